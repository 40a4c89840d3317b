import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from gateway.hub import Credentials
from gateway.models import ChildDevice, Found, Identity, IdentityKind
from gateway.state.child_states import ChildState
from gateway.state.records import Decision, GatewayRecord
from gateway.state.registry import Registry
from gateway.state.store import Store

CHILD = ChildDevice(
    key="sn:acme/1", adapter="modbus", bus="hall", address="3", profile="acme-1", family="meter", model_id="m-1", sub_model="A1",
    firmware_version="1.2", name="Meter", serial_number="1", manufacturer="Acme", model="One",
)  # fmt: skip
FOUND = Found(address="9", identity=Identity(IdentityKind.PLACE, "hall/9"), name="Box", evidence={"asked": "answered"})
CREDENTIALS = Credentials(device_id="p", access_key=SecretStr("k" * 32), hub_url="https://hub.example", mqtt_hub_url="mqtts://x")


@pytest.fixture
async def registry(store):
    registry = Registry(store)
    await registry.load()
    return registry


async def reloaded(store):
    again = Registry(store)
    await again.load()
    return again


async def test_everything_survives_a_restart(registry, store):
    gateway = GatewayRecord(
        serial_number="S",
        mac="02:00:00:00:00:01",
        cloud_id="c",
        credentials=CREDENTIALS,
        former_credentials=CREDENTIALS,
        sent_info="x",
    )
    await registry.save_gateway(gateway)
    record = await registry.admit(CHILD)
    registered = replace(
        record, state=ChildState.REGISTERED, device_id="d", access_key=SecretStr("secret"), hub_url="https://h", parent_id="p",
        needs_update=True, problem="none",
    )  # fmt: skip
    await registry.save_child(registered)
    await registry.add_found("modbus", "hall", FOUND, "no profile")
    await registry.decide("place:hall/9", Decision.IGNORE)
    again = await reloaded(store)
    assert again.gateway == gateway
    assert again.children == {CHILD.key: registered}
    assert again.found_devices["place:hall/9"].found == FOUND
    assert again.found_devices["place:hall/9"].decision is Decision.IGNORE
    assert again.by_device_id("d") == registered


async def test_a_child_that_was_removed_meanwhile_does_not_come_back_with_its_registration(registry, store):
    record = await registry.admit(CHILD)
    await registry.retire(CHILD.key, why="a person said so", unused=None)
    await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d"))
    for one in (registry, await reloaded(store)):
        assert one.children == {}
        assert one.by_device_id("d") is None


async def test_a_child_that_is_met_again_keeps_its_registration_and_learns_where_it_is(registry):
    record = await registry.admit(CHILD)
    await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d"))
    moved = await registry.admit(replace(CHILD, bus="cellar", address="4"))
    assert (moved.device_id, moved.marker, moved.child.bus) == ("d", record.marker, "cellar")
    assert not moved.needs_update, "the cloud is not told where a child hangs by Update Device"


async def test_a_new_firmware_version_is_owed_to_the_cloud(registry):
    record = await registry.admit(CHILD)
    await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d"))
    assert (await registry.admit(replace(CHILD, firmware_version="1.3"))).needs_update


async def test_a_refused_child_is_tried_again_when_its_model_changes(registry):
    record = await registry.admit(CHILD)
    await registry.save_child(replace(record, state=ChildState.REFUSED))
    assert (await registry.admit(replace(CHILD, bus="x"))).state is ChildState.REFUSED
    assert (await registry.admit(replace(CHILD, model_id="m-2"))).state is ChildState.ADMITTED


async def test_an_admitted_device_waits_at_the_door_no_more(registry, store):
    await registry.add_found("modbus", "hall", replace(FOUND, identity=Identity(IdentityKind.SERIAL_NUMBER, "acme/1")), "ask")
    await registry.admit(CHILD)
    assert not registry.found_devices
    assert not (await reloaded(store)).found_devices


async def test_a_decision_outlives_the_next_meeting(registry):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    await registry.decide("place:hall/9", Decision.ADMIT)
    await registry.add_found("modbus", "hall", replace(FOUND, name="Other"), "ask")
    assert registry.found_devices["place:hall/9"].decision is Decision.ADMIT
    assert registry.found_devices["place:hall/9"].found.name == "Other"


async def test_a_decision_about_nobody_is_said_to_be_so(registry):
    assert not await registry.decide("sn:nobody", Decision.ADMIT)


async def test_a_change_wakes_those_who_wait_for_it(registry):
    async def wait():
        async with registry.changed:
            await registry.changed.wait_for(lambda: registry.children)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await registry.admit(CHILD)
    await asyncio.wait_for(waiting, 60)


async def test_meeting_the_same_device_again_changes_nothing(registry):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    await registry.admit(CHILD)
    revision = registry.revision
    await registry.add_found("modbus", "hall", FOUND, "ask")
    await registry.admit(CHILD)
    assert registry.revision == revision


async def test_no_key_shows_in_a_record(registry):
    record = replace(await registry.admit(CHILD), access_key=SecretStr("topsecret"), device_id="d", since=datetime.now(UTC))
    gateway = GatewayRecord(serial_number="S", mac=None, cloud_id=None, credentials=CREDENTIALS)
    assert "topsecret" not in repr(record)
    assert "k" * 32 not in repr(gateway)
    assert "topsecret" not in repr(record.credentials(CREDENTIALS))
    assert record.credentials(CREDENTIALS).access_key.get_secret_value() == "topsecret"


async def test_a_cancelled_change_is_as_much_in_memory_as_on_disk(registry, store):
    record = await registry.admit(CHILD)
    keeping = asyncio.create_task(registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d")))
    await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert registry.children[CHILD.key].device_id == "d"
    assert (await reloaded(store)).children == registry.children


async def test_a_child_that_was_met_anew_meanwhile_stays_so_when_its_registration_is_kept(registry):
    record = await registry.admit(CHILD)
    moved = replace(CHILD, bus="cellar", firmware_version="1.3")
    await registry.admit(moved)
    kept = await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d"))
    assert kept.child == moved
    assert kept.needs_update, "the cloud was told the old version"


# names that people give -----------------------------------------------------------------------------------------------


async def test_a_given_name_outlives_meetings_and_restarts_and_can_be_taken_back(registry, store):
    await registry.admit(CHILD)
    assert await registry.rename(CHILD.key, "Boiler house")
    met_again = await registry.admit(replace(CHILD, name="Meter EM340", bus="cellar"))
    assert (met_again.child.name, met_again.child.found_as) == ("Boiler house", "Meter EM340")
    again = await reloaded(store)
    assert again.children == registry.children
    assert await again.rename(CHILD.key, None)
    assert again.children[CHILD.key].child == replace(CHILD, name="Meter EM340", bus="cellar")
    assert (await reloaded(store)).children == again.children


async def test_a_name_given_at_the_door_is_that_of_the_child(registry, store):
    key = FOUND.identity.key
    await registry.add_found("modbus", "hall", FOUND, "ask")
    assert await registry.rename(key, "Box by the stairs")
    await registry.add_found("modbus", "hall", replace(FOUND, name="Box 2"), "ask")
    again = await reloaded(store)
    assert (again.found_devices[key].name, again.found_devices[key].found.name) == ("Box by the stairs", "Box 2")
    assert again.name_of(key) == "Box by the stairs"
    record = await again.admit(FOUND.as_child(adapter="modbus", bus="hall", model_id="m-1"))
    assert record.child.name == "Box by the stairs"
    assert not record.needs_update, "it is not in the cloud yet, and will be registered under that name"


async def test_nobody_is_renamed_by_a_key_that_nobody_has(registry):
    assert not await registry.rename("sn:nobody", "X")
    assert registry.name_of("sn:nobody") is None


async def test_a_rename_is_owed_to_the_cloud_until_it_is_told(registry, store):
    record = await registry.admit(CHILD)
    await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d"))
    revision = registry.revision
    await registry.rename(CHILD.key, "Boiler house")
    assert registry.changed_since(revision) == [CHILD.key]
    assert registry.children[CHILD.key].needs_update
    assert (await reloaded(store)).children[CHILD.key].needs_update, "the gateway may end before the cloud was told"
    await registry.save_child(replace(registry.children[CHILD.key], needs_update=False))
    assert not (await reloaded(store)).children[CHILD.key].needs_update


async def test_a_rename_by_another_process_reaches_a_gateway_that_runs(registry, store):
    record = await registry.admit(CHILD)
    await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d", access_key=SecretStr("secret")))
    revision, seen = registry.revision, await store.data_version()
    async with Store(store.path) as beside:
        await (await reloaded(beside)).rename(CHILD.key, "Boiler house")
    assert await store.data_version() != seen
    await registry.load()
    assert registry.changed_since(revision) == [CHILD.key]
    renamed = registry.children[CHILD.key]
    assert (renamed.child.name, renamed.needs_update) == ("Boiler house", True)


async def test_a_rename_by_another_process_costs_nothing_that_was_stored_meanwhile(registry, store):
    record = await registry.admit(CHILD)
    async with Store(store.path) as beside:
        outside = await reloaded(beside)
        await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d", access_key=SecretStr("secret")))
        await outside.rename(CHILD.key, "Boiler house")
    await registry.load()
    kept = registry.children[CHILD.key]
    assert (kept.device_id, kept.access_key, kept.child.name) == ("d", SecretStr("secret"), "Boiler house")
    assert kept.needs_update


async def test_a_rename_while_a_record_is_being_told_is_owed_all_the_same(registry):
    record = await registry.save_child(replace(await registry.admit(CHILD), state=ChildState.REGISTERED, device_id="d"))
    await registry.rename(CHILD.key, "Boiler house")
    kept = await registry.save_child(replace(record, needs_update=False))
    assert (kept.child.name, kept.needs_update) == ("Boiler house", True)


# the state of a registration -------------------------------------------------------------------------------------------


async def test_a_child_is_found_by_the_id_that_it_has_now_and_by_no_former_one(registry, store):
    record = await registry.admit(CHILD)
    assert registry.by_device_id("d") is None
    await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="d"))
    again = await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id="e"))
    for known in (registry, await reloaded(store)):
        assert known.by_device_id("e") == again
        assert known.by_device_id("d") is None


async def test_a_child_without_an_id_or_a_key_of_its_own_has_no_credentials(registry):
    record = await registry.admit(CHILD)
    key = SecretStr("secret")
    assert record.credentials(CREDENTIALS) is None
    assert replace(record, device_id="d").credentials(CREDENTIALS) is None
    assert replace(record, access_key=key).credentials(CREDENTIALS) is None
    own = replace(record, device_id="d", access_key=key)
    assert own.credentials(CREDENTIALS) == replace(CREDENTIALS, device_id="d", access_key=key)
    assert replace(own, hub_url="https://other").credentials(CREDENTIALS).hub_url == "https://other"


async def test_every_child_has_a_marker_of_its_own_that_stays(registry, store):
    first, second = await registry.admit(CHILD), await registry.admit(replace(CHILD, key="sn:acme/2"))
    assert first.marker != second.marker
    await registry.admit(replace(CHILD, bus="cellar"))
    assert (await reloaded(store)).children[CHILD.key].marker == first.marker


async def test_the_former_credentials_are_kept_until_the_gateway_is_registered_again(registry, store):
    kept = GatewayRecord(serial_number="S", mac=None, cloud_id=None, credentials=None, former_credentials=CREDENTIALS)
    await registry.save_gateway(kept)
    assert (await reloaded(store)).gateway == kept
    registered = replace(kept, credentials=replace(CREDENTIALS, device_id="new"), former_credentials=None)
    await registry.save_gateway(registered)
    assert (await reloaded(store)).gateway == registered


async def test_a_change_of_the_gateway_is_a_change_of_no_child(registry):
    await registry.admit(CHILD)
    revision = registry.revision
    await registry.save_gateway(GatewayRecord(serial_number="S", mac=None, cloud_id=None))
    assert registry.revision == revision + 1
    assert registry.changed_since(revision) == []


async def test_changes_are_told_apart_by_revision(registry):
    revisions = [registry.revision]
    for number in (1, 2, 1):
        await registry.admit(replace(CHILD, key=f"sn:acme/{number}", bus=f"bus {len(revisions)}"))
        revisions.append(registry.revision)
    changed = [registry.changed_since(revision) for revision in revisions]
    assert changed == [["sn:acme/1", "sn:acme/2"], ["sn:acme/1", "sn:acme/2"], ["sn:acme/1"], []]


async def test_a_reload_reports_only_the_children_that_another_process_changed(registry, store):
    for number in (1, 2):
        await registry.admit(replace(CHILD, key=f"sn:acme/{number}"))
    async with Store(store.path) as beside:
        outside = await reloaded(beside)
        await outside.admit(replace(CHILD, key="sn:acme/2", bus="cellar"))
        await outside.admit(replace(CHILD, key="sn:acme/3"))
    revision = registry.revision
    await registry.load()
    assert sorted(registry.changed_since(revision)) == ["sn:acme/2", "sn:acme/3"]


async def test_an_update_that_the_cloud_got_is_needed_no_more_and_one_that_failed_still_is(registry, store):
    record = await registry.save_child(replace(await registry.admit(CHILD), state=ChildState.REGISTERED, device_id="d"))
    assert not record.needs_update
    behind = await registry.admit(replace(CHILD, sub_model="A2"))
    assert behind.needs_update
    assert (await reloaded(store)).children[CHILD.key].needs_update
    assert (await registry.admit(replace(CHILD, sub_model="A2", bus="cellar"))).needs_update, "moving is no update"
    done = await registry.save_child(replace(registry.children[CHILD.key], needs_update=False))
    assert not done.needs_update


async def test_a_child_that_is_not_in_the_cloud_needs_no_update(registry):
    await registry.admit(CHILD)
    assert not (await registry.admit(replace(CHILD, firmware_version="2", sub_model="B"))).needs_update


async def test_a_device_found_again_with_other_evidence_alone_is_not_written_again(registry):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    first = registry.found_devices["place:hall/9"]
    await registry.add_found("modbus", "hall", replace(FOUND, evidence={"asked": "answered again"}), "ask")
    assert registry.found_devices["place:hall/9"] is first
    await registry.add_found("modbus", "hall", FOUND, "no model")
    assert registry.found_devices["place:hall/9"].why == "no model"
    await registry.add_found("modbus", "cellar", FOUND, "no model")
    assert registry.found_devices["place:hall/9"].bus == "cellar"


async def test_a_decision_can_be_taken_back(registry, store):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    for decision in (Decision.IGNORE, None, Decision.ADMIT):
        assert await registry.decide("place:hall/9", decision)
        assert registry.found_devices["place:hall/9"].decision is decision
        assert (await reloaded(store)).found_devices["place:hall/9"].decision is decision


async def test_a_given_name_of_a_found_device_can_be_taken_back(registry, store):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    await registry.rename("place:hall/9", "Box by the stairs")
    await registry.rename("place:hall/9", None)
    for known in (registry, await reloaded(store)):
        assert (known.found_devices["place:hall/9"].given_name, known.name_of("place:hall/9")) == (None, "Box")


@pytest.mark.parametrize("decision_first", [True, False])
async def test_a_decision_and_a_search_at_the_same_time_overwrite_nothing_of_each_other(registry, store, decision_first):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    changes = [
        registry.decide("place:hall/9", Decision.IGNORE),
        registry.add_found("modbus", "hall", replace(FOUND, name="Other"), "ask"),
    ]
    await asyncio.gather(*(changes if decision_first else reversed(changes)))
    for known in (registry, await reloaded(store)):
        device = known.found_devices["place:hall/9"]
        assert (device.decision, device.found.name) == (Decision.IGNORE, "Other")


async def test_a_name_that_was_taken_back_does_not_return_when_the_device_is_found_again(registry):
    await registry.add_found("modbus", "hall", FOUND, "ask")
    await registry.rename("place:hall/9", "Box by the stairs")
    await registry.rename("place:hall/9", None)
    await registry.add_found("modbus", "hall", replace(FOUND, name="Box 2"), "ask")
    assert registry.found_devices["place:hall/9"].name == "Box 2"
    record = await registry.admit(FOUND.as_child(adapter="modbus", bus="hall", model_id="m-1"))
    assert (record.child.name, record.child.found_as) == ("Box", None)
