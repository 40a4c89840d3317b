import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from gateway.cloud.child_records import MARKER
from gateway.cloud.child_registrar import ChildRegistrar, RegistrationPolicy
from gateway.cloud.revocation import KeyCheck, KeyState, RevocationTiming
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import GatewayRegistration
from gateway.models import ChildDevice, Found, Identity, IdentityKind, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.state.writes import retry_until_stored
from gateway.testing.clock import simulated
from gateway.testing.hub import LOST_ANSWER, FakeHub

SETTLE = timedelta(seconds=0.05)
GATEWAY = GatewayRegistration(hardware_key=SecretStr("hk"), serial_number="S", firmware_version="1.0.0")


def child(number, **rest):
    facts = {
        "key": f"sn:acme/{number}", "adapter": "modbus", "bus": "hall", "address": str(number), "profile": "acme",
        "family": "meter", "model_id": "m-1", "sub_model": "A1", "firmware_version": "V1.2", "name": f"Meter {number}",
        "serial_number": str(number), "manufacturer": "Acme", "model": "One",
    }  # fmt: skip
    return ChildDevice(**{**facts, **rest})


@pytest.fixture
async def house(tmp_path):
    """A registry on a real store, a fake hub with a registered parent, and a registrar between them."""
    async with Store(tmp_path / "s.sqlite3") as store:
        hub, outbox = FakeHub(), Outbox(store, most_samples=1000)
        made = SimpleNamespace(hub=hub, store=store, outbox=outbox, parent=await hub.register_device(GATEWAY))

        async def start(deleted_children="register_again", not_found_for=timedelta(minutes=3)):
            """As after a restart: everything in memory is gone."""
            made.registry = Registry(store)
            await made.registry.load()
            made.registrar = ChildRegistrar(
                hub,
                made.registry,
                outbox,
                KeyCheck(hub, RevocationTiming(confirm_after=timedelta(0), not_found_for=not_found_for)),
                policy=RegistrationPolicy(deleted_children=deleted_children, settle=SETTLE),
                status_of=lambda key: Status.ONLINE,
            )

        async def catch_up(times=500):
            """Take steps, and short waits, until there is nothing to do for a while; return for how long."""
            for _ in range(times):
                wait = await made.registrar.step(made.parent)
                if wait > timedelta(seconds=1):
                    return wait
                await asyncio.sleep(wait.total_seconds())
            raise AssertionError("it never comes to rest")

        async def step():
            """Take steps until there is nothing to do right now; return for how long."""
            while not (wait := await made.registrar.step(made.parent)):
                pass
            return wait

        async def check_child(key="sn:acme/1"):
            """Look into a child until what is found is believed."""
            key_state = await made.registrar.check_child(made.parent, key)
            return await made.registrar.check_child(made.parent, key) if key_state is KeyState.DOUBTED else key_state

        made.start, made.catch_up, made.step, made.check_child = start, catch_up, step, check_child
        made.registered = lambda: hub.children_of(made.parent.device_id)
        await start()
        yield made


def record(house, number=1):
    return house.registry.children[f"sn:acme/{number}"]


async def test_a_child_is_registered_with_all_known_facts(house):
    await house.registry.admit(child(1, mac="02:00:00:00:00:01"))
    await house.catch_up()
    (device,) = house.registered()
    sent = device.registration
    assert (sent.model_id, sent.sub_model, sent.firmware_version, sent.serial_number) == ("m-1", "A1", "1.2.0", "1")
    assert (sent.name, sent.mac) == ("Meter 1", "02:00:00:00:00:01")
    assert sent.details[MARKER] == record(house).marker
    assert sent.details["manufacturer"] == "Acme"
    assert record(house).state is ChildState.REGISTERED
    assert record(house).access_key == device.credentials.access_key


async def test_a_child_without_a_serial_number_is_registered_without_one_and_with_its_mac(house):
    await house.registry.admit(child(1, key="mac:00:90:e8:7a:31:c4", serial_number=None, mac="00:90:e8:7a:31:c4"))
    await house.catch_up()
    sent = house.registered()[0].registration
    assert (sent.serial_number, sent.mac) == (None, "00:90:e8:7a:31:c4"), "none is invented (section 18)"


async def test_the_intention_is_on_disk_before_the_call_and_the_answer_before_its_use(house):
    await house.registry.admit(child(1))
    seen = []
    register_child = house.hub.register_child

    async def spy(parent, registration):
        on_disk = Registry(house.store)
        await on_disk.load()
        seen.append(on_disk.children["sn:acme/1"])
        return await register_child(parent, registration)

    house.hub.register_child = spy
    await house.catch_up()
    assert [(one.state, one.marker) for one in seen] == [(ChildState.REGISTERING, record(house).marker)]
    on_disk = Registry(house.store)
    await on_disk.load()
    assert on_disk.children == house.registry.children


async def test_a_lost_answer_is_resolved_by_the_marker_and_never_by_a_second_registration(house, caplog):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", LOST_ANSWER)
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    await house.catch_up()
    assert len(house.registered()) == 1
    assert record(house).device_id == house.registered()[0].credentials.device_id
    assert record(house).access_key is None
    assert "Delete it in the portal" in record(house).problem


async def test_a_call_that_was_lost_before_it_was_carried_out_is_made_again_after_a_while(house):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", HubUnreachable("timeout", maybe_done=True))
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    wait = await house.step()
    assert timedelta(0) < wait <= SETTLE, "a hub that is slow may still carry it out"
    assert house.hub.calls["register_child"] == 1
    await house.catch_up()
    assert len(house.registered()) == 1
    assert record(house).access_key is not None


async def test_a_call_that_certainly_never_left_is_made_again_without_asking(house):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", HubUnreachable("no route", maybe_done=False))
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    await house.catch_up()
    assert house.hub.calls["get_children"] == 0
    assert record(house).state is ChildState.REGISTERED


async def test_a_kill_at_any_point_registers_nobody_twice(house):
    """The store is cut off at a random commit, and a new run takes over, fifty times."""
    chance = random.Random(7)
    for number in range(60):
        await house.registry.admit(child(number))

    class Killed(Exception):
        pass

    transact = house.store.transact
    for _ in range(50):
        left = chance.randrange(1, 6)

        async def cut(work, chance=chance):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            result = await transact(work)
            if left == 0 and chance.random() < 0.5:
                raise Killed  # committed, but the process never heard of it
            return result

        await house.start()
        house.store.transact = cut
        if chance.random() < 0.3:
            house.hub.fail("register_child", LOST_ANSWER)
        try:
            await house.catch_up()
        except (Killed, HubUnreachable):
            pass
        finally:
            house.store.transact = transact
            house.hub.failures.clear()
    await house.start()
    await house.catch_up()
    serials = [device.registration.serial_number for device in house.registered()]
    assert sorted(serials) == sorted(str(number) for number in range(60))
    assert all(record(house, number).state is ChildState.REGISTERED for number in range(60))


async def test_a_refused_sub_model_is_left_out_and_sent_afterwards(house):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", HubRejected("no", status=422, error="unknown field sub_model"))
    await house.catch_up()
    (device,) = house.registered()
    assert device.registration.sub_model is None
    assert [update["sub_model"] for update in device.updates] == ["A1"]
    assert not record(house).needs_update


async def test_a_refused_child_is_logged_with_the_fix_and_retried_at_the_next_start(house, caplog):
    await house.registry.admit(child(1))
    await house.registry.admit(child(2))
    house.hub.fail("register_child", HubRejected("Model not found", status=404, error="Model not found"))
    await house.catch_up()
    await house.catch_up()
    assert record(house, 1).state is ChildState.REFUSED
    assert record(house, 2).state is ChildState.REGISTERED
    assert '[models] meter = "m-1"' in record(house, 1).problem
    assert house.hub.calls["register_child"] == 2
    await house.start()
    await house.catch_up()
    assert record(house, 1).state is ChildState.REGISTERED


async def test_a_corrected_model_id_is_tried_at_once(house):
    await house.registry.admit(child(1, model_id="wrong"))
    house.hub.fail("register_child", HubRejected("Model not found", status=404, error="Model not found"))
    await house.catch_up()
    assert record(house).state is ChildState.REFUSED
    await house.registry.admit(child(1, model_id="right"))
    await house.catch_up()
    assert record(house).state is ChildState.REGISTERED
    assert house.registered()[0].registration.model_id == "right"


async def test_a_401_at_a_registration_concerns_the_parents_key(house):
    """Section 13.2, row 3."""
    await house.registry.admit(child(1))
    house.hub.fail("register_child", HubUnauthorised("no", status=401, error="Not authorized"))
    with pytest.raises(HubUnauthorised):
        await house.catch_up()
    assert record(house).state is ChildState.ADMITTED


async def test_under_a_new_parent_a_known_child_is_moved_and_a_deleted_one_registered_again(house):
    for number in (1, 2, 3):
        await house.registry.admit(child(number))
    await house.catch_up()
    old = {number: record(house, number).device_id for number in (1, 2, 3)}
    del house.hub.devices[old[2]]
    house.parent = await house.hub.register_device(GATEWAY)
    await house.catch_up()
    assert record(house, 1).device_id == old[1]
    assert record(house, 3).device_id == old[3]
    assert record(house, 2).device_id not in old.values()
    assert len(house.registered()) == 3


async def test_a_doubted_child_that_answers_to_its_key_is_left_alone(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    house.hub.fail("send_telemetry", HubUnauthorised("once", status=401, error="Not authorized"))
    assert await house.check_child() is KeyState.ACCEPTED, "one 401 may be a passing fault"
    assert record(house).state is ChildState.REGISTERED


async def test_a_deleted_child_comes_back_but_not_again_and_again(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    del house.hub.devices[record(house).device_id]
    assert await house.check_child() is KeyState.GONE
    await house.catch_up()
    assert not house.registered(), "it was registered a moment ago"
    assert house.registrar._queue._not_before["sn:acme/1"] - asyncio.get_running_loop().time() > 14 * 60


async def test_a_child_deleted_long_after_its_registration_comes_back_at_once(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    await house.registry.save_child(replace(record(house), since=record(house).since - timedelta(hours=1)))
    del house.hub.devices[record(house).device_id]
    assert await house.check_child() is KeyState.GONE
    await house.catch_up()
    assert len(house.registered()) == 1


async def test_a_child_deleted_on_purpose_stays_deleted_by_setting(house):
    await house.start(deleted_children="leave")
    await house.registry.admit(child(1))
    await house.catch_up()
    await house.outbox.put([Sample("sn:acme/1", datetime.now(UTC), Status.ONLINE, {})])
    del house.hub.devices[record(house).device_id]
    assert await house.check_child() is KeyState.GONE
    await house.catch_up()
    await house.start(deleted_children="leave")
    await house.catch_up()
    assert not house.registered()
    assert record(house).state is ChildState.DELETED
    assert house.outbox.depth == 0
    assert house.outbox.lost == 1


async def test_a_keyless_child_that_is_deleted_gets_a_new_key(house):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", LOST_ANSWER)
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    await house.catch_up()
    assert await house.check_child() is KeyState.UNCLEAR
    del house.hub.devices[record(house).device_id]
    await house.registry.save_child(replace(record(house), since=record(house).since - timedelta(hours=1)))
    assert await house.check_child() is KeyState.GONE
    await house.catch_up()
    assert record(house).access_key is not None


async def test_while_a_response_is_missing_no_other_key_is_put_at_risk(house):
    for number in (1, 2):
        await house.registry.admit(child(number))
    house.hub.fail("register_child", LOST_ANSWER)
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    await house.step()
    assert house.hub.calls["register_child"] == 1
    await house.catch_up()
    assert record(house, 2).access_key is not None
    assert len(house.registered()) == 2


async def test_a_clock_that_jumps_neither_hurries_nor_holds_up_an_open_registration(house):
    await house.registry.admit(child(1))
    for jump in (-timedelta(days=400), timedelta(days=400)):
        await house.registry.save_child(replace(record(house), state=ChildState.REGISTERING, since=datetime.now(UTC) + jump))
        await house.start()
        assert timedelta(0) < await house.step() <= SETTLE
        assert record(house).state is ChildState.REGISTERING
    await house.catch_up()
    assert record(house).state is ChildState.REGISTERED


async def test_a_hub_that_lists_no_markers_shows_a_lost_registration_by_its_serial_number(house):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", LOST_ANSWER)
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    for device in house.registered():
        device.registration = replace(device.registration, details={})
    await house.catch_up()
    assert len(house.registered()) == 1


@pytest.mark.parametrize(("other", "devices"), [({}, 1), ({"name": "Somebody else"}, 2), ({"serial_number": "S-9"}, 2)])
async def test_a_lost_registration_without_marker_and_serial_number_is_found_by_its_name_alone(house, other, devices):
    await house.registry.admit(child(1, key="place:hall/1", serial_number=None))
    house.hub.fail("register_child", LOST_ANSWER)
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    for device in house.registered():
        device.registration = replace(device.registration, details={}, **other)
    await house.catch_up()
    assert len(house.registered()) == devices


async def test_a_device_that_moves_while_its_key_arrives_does_not_cost_the_key(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    registered = record(house)
    await house.registry.save_child(replace(registered, state=ChildState.REGISTERING, access_key=None, device_id=None))
    keeping = asyncio.create_task(house.registry.save_child(registered))
    moving = asyncio.create_task(house.registry.admit(child(1, bus="cellar", firmware_version="V2")))
    await asyncio.gather(keeping, moving)
    await house.start()
    assert record(house).access_key == registered.access_key
    assert record(house).child.bus == "cellar"
    assert record(house).needs_update


async def test_a_stop_while_the_answer_is_on_its_way_does_not_cost_the_key(house):
    await house.registry.admit(child(1))
    register_child, asked = house.hub.register_child, asyncio.Event()

    async def slowly(parent, registration):
        credentials = await register_child(parent, registration)
        asked.set()
        await asyncio.sleep(0.1)
        return credentials

    house.hub.register_child = slowly
    stepping = asyncio.create_task(house.registrar.step(house.parent))
    await asked.wait()
    stepping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stepping
    await house.start()
    assert record(house).access_key == house.registered()[0].credentials.access_key


async def test_a_store_that_fails_while_the_key_arrives_gets_it_when_it_works_again(house, monkeypatch):
    monkeypatch.setitem(retry_until_stored.__kwdefaults__, "again_after_seconds", 0.01)
    await house.registry.admit(child(1))
    transact, failures = house.store.transact, []

    async def full(work):
        if house.hub.calls["register_child"] and len(failures) < 3:
            failures.append(1)
            raise StoreError("disk full")
        return await transact(work)

    house.store.transact = full
    await house.catch_up()
    assert len(failures) == 3
    assert record(house).access_key == house.registered()[0].credentials.access_key


async def test_an_update_is_sent_once_although_the_store_cannot_take_that_at_once(house, monkeypatch):
    monkeypatch.setitem(retry_until_stored.__kwdefaults__, "again_after_seconds", 0.01)
    await house.registry.admit(child(1))
    await house.catch_up()
    await house.registry.admit(child(1, name="Renamed"))
    transact, failures = house.store.transact, []

    async def full(work, **how):
        if house.hub.calls["update_device"] and len(failures) < 3:
            failures.append(1)
            raise StoreError("disk full")
        return await transact(work, **how)

    house.store.transact = full
    await house.catch_up()
    assert (len(failures), house.hub.calls["update_device"]) == (3, 1)
    assert not record(house).needs_update


async def test_a_404_that_is_not_about_the_model_is_not_held_against_the_child(house):
    for number in (1, 2):
        await house.registry.admit(child(number))
    house.hub.fail("register_child", HubRejected("no", status=404, error="Not found"))
    with pytest.raises(HubUnreachable):
        await house.catch_up()
    assert record(house, 1).state is ChildState.ADMITTED
    await house.catch_up()
    assert record(house, 2).state is ChildState.REGISTERED, "its neighbours come first"


async def test_refused_children_are_retried_when_the_parent_is_claimed_or_registered_again(house):
    await house.registry.admit(child(1))
    house.hub.fail("register_child", *[HubRejected("no", status=422, error="Parent must be claimed")] * 2)
    await house.catch_up()
    assert record(house).state is ChildState.REFUSED
    house.registrar.retry_refused()
    await house.catch_up()
    assert house.hub.calls["register_child"] == 2
    house.parent = await house.hub.register_device(GATEWAY)
    await house.catch_up()
    assert record(house).state is ChildState.REGISTERED


async def test_a_hub_that_takes_two_children_for_one_harms_neither_the_first_nor_the_store(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    first = record(house)

    async def the_same(parent, registration):
        return house.hub.devices[first.device_id].credentials

    house.hub.register_child = the_same
    await house.registry.admit(child(2))
    await house.catch_up()
    assert record(house, 1) == first
    assert record(house, 2).state is ChildState.REFUSED
    assert "same serial number" in record(house, 2).problem


async def test_children_of_a_deleted_parent_are_not_taken_for_deleted_themselves(house):
    await house.start(deleted_children="leave")
    await house.registry.admit(child(1))
    await house.catch_up()
    await house.outbox.put([Sample("sn:acme/1", datetime.now(UTC), Status.ONLINE, {})])
    house.hub.devices.clear()
    with pytest.raises(HubUnauthorised):
        await house.check_child()
    assert record(house).state is ChildState.REGISTERED
    assert house.outbox.depth == 1


async def test_a_child_that_the_parent_still_lists_is_not_registered_again(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    house.hub.fail("send_telemetry", *[HubUnauthorised("no", status=401, error="Not authorized")] * 2)
    assert await house.check_child() is KeyState.UNCLEAR
    assert record(house).state is ChildState.REGISTERED


async def test_a_child_that_is_not_found_for_minutes_is_deleted(house):
    await house.start(not_found_for=timedelta(seconds=0.1))
    await house.registry.admit(child(1))
    await house.catch_up()
    del house.hub.devices[record(house).device_id]
    house.hub.fail("send_telemetry", *[HubRejected("no", status=404, error="Not found")] * 3)
    assert await house.check_child() is KeyState.DOUBTED
    await asyncio.sleep(0.11)
    assert await house.registrar.check_child(house.parent, "sn:acme/1") is KeyState.GONE


async def test_children_left_deleted_come_back_when_the_setting_is_changed(house):
    await house.start(deleted_children="leave")
    await house.registry.admit(child(1))
    await house.catch_up()
    del house.hub.devices[record(house).device_id]
    await house.check_child()
    assert record(house).state is ChildState.DELETED
    await house.start(deleted_children="register_again")
    await house.catch_up()
    assert record(house).state is ChildState.REGISTERED


async def test_an_update_that_the_hub_refuses_for_its_limit_stays_needed_and_is_retried_later(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    house.hub.fail("update_device", HubBusy("ten an hour", retry_after_seconds=3000))
    await house.registry.admit(child(1, name="Renamed"))
    for number in (2, 3):
        await house.registry.admit(child(number))
        await house.catch_up()
    assert house.hub.calls["update_device"] == 1
    assert record(house).needs_update


async def test_a_name_that_a_person_gives_reaches_the_cloud(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    await house.registry.rename("sn:acme/1", "Boiler house")
    await house.catch_up()
    (device,) = house.registered()
    assert [update["name"] for update in device.updates] == ["Boiler house"]
    assert not record(house).needs_update
    await house.registry.admit(child(1))
    await house.catch_up()
    assert len(device.updates) == 1, "being met again is no news"
    await house.registry.rename("sn:acme/1", None)
    await house.catch_up()
    assert device.updates[-1]["name"] == "Meter 1"


async def test_a_name_that_was_given_beside_a_gateway_that_runs_reaches_the_cloud(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    async with Store(house.store.path) as store:
        outside = Registry(store)
        await outside.load()
        await outside.rename("sn:acme/1", "Boiler house")
    await house.registry.load()
    await house.catch_up()
    assert [update["name"] for update in house.registered()[0].updates] == ["Boiler house"]


async def test_a_name_that_was_given_while_no_gateway_ran_reaches_the_cloud(house):
    await house.registry.admit(child(1))
    await house.catch_up()
    await house.registry.rename("sn:acme/1", "Boiler house")
    await house.start()
    await house.catch_up()
    assert [update["name"] for update in house.registered()[0].updates] == ["Boiler house"]


async def test_a_device_that_was_named_before_it_was_admitted_is_registered_under_that_name(house):
    found = Found(address="1", identity=Identity(IdentityKind.SERIAL_NUMBER, "acme/1"), name="Meter 1")
    await house.registry.add_found("modbus", "hall", found, "ask")
    await house.registry.rename("sn:acme/1", "Boiler house")
    await house.registry.admit(child(1))
    await house.catch_up()
    (device,) = house.registered()
    assert (device.registration.name, device.updates) == ("Boiler house", [])


def test_so_many_children_are_registered_in_a_minute_and_the_others_follow_and_it_is_told_once(tmp_path, caplog):
    """Whatever is found on a bus: 2,067 devices must not become 2,067 registrations in 45 s."""

    async def main():
        async with Store(tmp_path / "s.sqlite3") as store:
            hub, outbox, registry = FakeHub(), Outbox(store, most_samples=1000), Registry(store)
            await registry.load()
            parent = await hub.register_device(GATEWAY)
            registrar = ChildRegistrar(
                hub, registry, outbox, KeyCheck(hub, RevocationTiming()), policy=RegistrationPolicy(per_minute=10),
                status_of=lambda key: Status.ONLINE,
            )  # fmt: skip
            for number in range(35):
                await registry.admit(child(number))
            at = {}
            while len(hub.devices) < 36:
                wait = await registrar.step(parent)
                at.setdefault(len(hub.devices) - 1, asyncio.get_running_loop().time())
                await asyncio.sleep(wait.total_seconds())
            assert at[10] < 1
            assert 60 <= at[11] < 61
            assert 120 <= at[21] < 122
            assert 180 <= at[31] < 183

    simulated(main())
    told = [record.getMessage() for record in caplog.records if "wait: no more are registered in a minute" in record.getMessage()]
    assert told == [
        (
            "10 children were registered within a minute, and 25 more wait: no more are registered in a minute"
            " (`registrations_per_minute` in [cloud])"
        )
    ]


def test_a_child_that_is_registered_is_updated_also_while_others_wait_for_their_registration(tmp_path):
    async def main():
        async with Store(tmp_path / "s.sqlite3") as store:
            hub, outbox, registry = FakeHub(), Outbox(store, most_samples=1000), Registry(store)
            await registry.load()
            parent = await hub.register_device(GATEWAY)
            registrar = ChildRegistrar(
                hub, registry, outbox, KeyCheck(hub, RevocationTiming()), policy=RegistrationPolicy(per_minute=1),
                status_of=lambda key: Status.ONLINE,
            )  # fmt: skip
            await registry.admit(child(1))
            await registrar.step(parent)
            await registry.admit(child(2))
            await registry.admit(child(1, name="Another name"))
            while not await registrar.step(parent):
                pass
            assert hub.calls["update_device"] == 1
            assert hub.calls["register_child"] == 1

    simulated(main())
