"""The whole gateway against the emulated cloud: registration, telemetry, outages, deletions, bad answers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from gateway.cloud.revocation import RevocationTiming
from gateway.config.settings import AdmissionSection, Policy
from gateway.state.child_states import ChildState
from gateway.state.records import Decision
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}
BELIEVES_SOON = RevocationTiming(confirm_after=timedelta(seconds=0.05), not_found_for=timedelta(seconds=0.3))


def device(number, **rest):
    return SyntheticDevice(f"{number}", f"a{number}", **{"poll_every": timedelta(milliseconds=100), **rest})


def bus_of(*devices):
    bus = SyntheticBus(devices)
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.parent_id is None), None)


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


def is_told(emulator, *numbers):
    children = children_of(emulator)
    return all(str(number) in children and "power" in children[str(number)].state for number in numbers)


async def test_the_main_job(emulator, running, until):
    bus, adapters = bus_of(
        device(1, sub_model="S-1"), device(2, sub_model="S-2", values={"power": 7.5, "on": True, "mode": "eco"})
    )
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        parent, children = parent_of(emulator), children_of(emulator)
        assert (parent.name, parent.sub_model, parent.state["status"]) == ("Test gateway", "GW-T", "online")
        assert {"uptime_seconds", "version", "children", "outbox_samples", "load_1m", "memory_mb"} <= parent.state.keys()
        assert {one.sub_model for one in children.values()} == {"S-1", "S-2"}
        assert all(one.parent_id == parent.id for one in children.values())
        assert children["2"].state == {"status": "online", "power": 7.5, "on": True, "mode": "eco"}
        assert emulator.journal.telemetry(children["2"].id)[0].override
        assert emulator.journal.calls()["Register Child Device"] == 2
        calls = [entry.device for entry in emulator.journal.entries() if entry.call == "Send Telemetry"]
        assert set(calls) == {parent.id}, "children are told of in bulk only"
        gateway.stop.set()
        await asyncio.wait_for(gateway.task, 30)
    assert bus.closed == bus.opened


async def test_a_restart_registers_nobody_anew_and_starts_with_override(emulator, running, until):
    _bus, adapters = bus_of(device(1), device(2))
    for _ in range(2):
        async with running(adapters, SYNTHETIC):
            emulator.journal.clear()
            await until(lambda: is_told(emulator, 1, 2) and len(emulator.journal.telemetry(children_of(emulator)["1"].id)) > 0)
            first = emulator.journal.telemetry(children_of(emulator)["1"].id)[0]
            assert first.override
    assert len(emulator.cloud.devices) == 3
    assert emulator.journal.calls()["Register Device"] == 0


async def test_an_outage_loses_nothing(emulator, running, until):
    bus, adapters = bus_of(device(1, urgent=True))
    sent = []
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1))
        await emulator.__aexit__(None, None, None)
        for value in range(5):
            bus.devices["a1"].values["power"] = 100.0 + value
            sent.append(100.0 + value)
            depth = gateway.parts.state.outbox.depth
            await until(lambda depth=depth: gateway.parts.state.outbox.depth > depth)
        await emulator.__aenter__()
        await until(lambda: gateway.parts.state.outbox.depth == 0)
        child = children_of(emulator)["1"]
        arrived = [
            message.values["power"] for message in emulator.journal.telemetry(child.id) if message.values.get("power", 0) >= 100
        ]
        times = [message.at for message in emulator.journal.telemetry(child.id)]
    assert sorted(set(arrived)) == sent
    assert times == sorted(times), "back-dated, in order"


@pytest.mark.parametrize("kind", ["500-html", "drop", "drop-after", "garbage", "slow", "429"])
async def test_bad_answers_cost_time_and_nothing_else(emulator, running, until, kind):
    for call in ("Register Device", "Send Telemetry", "Send Child Telemetries", "Get Child Devices"):
        if (call, kind) == ("Register Device", "drop-after"):
            continue  # a registration whose answer is lost needs a person: see the next test
        if call == "Register Device" and kind in ("garbage", "slow"):
            continue  # as above: the hub has carried it out
        emulator.faults.add(kind, call=call, times=2, seconds=0.3, retry_after=1)
    _bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC, cloud={"timeout_seconds": 0.2 if kind == "slow" else 5}):
        await until(lambda: is_told(emulator, 1, 2))
    assert len(emulator.cloud.devices) == 3


async def test_a_registration_whose_answer_is_lost_says_what_to_do_and_follows_once_it_is_done(emulator, running, until, caplog):
    emulator.faults.add("drop-after", call="Register Device", times=1)
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: gateway.parts.cloud.enrolment.problem and "Replace Device" in gateway.parts.cloud.enrolment.problem)
        emulator.cloud.replace(parent_of(emulator).id)
        await until(lambda: is_told(emulator, 1))
    assert gateway.parts.cloud.enrolment.problem is None


async def test_a_child_registration_whose_answer_is_lost_makes_no_twin(emulator, running, until):
    """Section 13.2, row 7: the key of a child is lost, but it exists."""
    emulator.faults.add("drop-after", call="Register Child Device", times=1)
    _bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        keyless = [record for record in gateway.parts.state.registry.children.values() if record.access_key is None]
    assert len(keyless) == 1
    assert len(emulator.cloud.devices) == 3


async def test_a_hub_without_sub_models_at_registration_gets_them_afterwards(emulator, running, until):
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"strict_child_fields": True})
    _bus, adapters = bus_of(device(1, sub_model="S-9"))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1) and children_of(emulator)["1"].sub_model == "S-9")
    assert emulator.journal.calls()["Update Device"] == 1


async def test_a_gateway_deleted_in_the_cloud_comes_back_with_its_children(emulator, running, until):
    """Section 13.2, row 1: 401 on the parent; its children were deleted with it."""
    _bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1, 2))
        old = parent_of(emulator)
        emulator.cloud.delete(old.id)
        await until(lambda: parent_of(emulator) and parent_of(emulator).id != old.id and is_told(emulator, 1, 2))
        assert parent_of(emulator).sn == old.sn


async def test_children_that_outlive_their_parent_are_moved_and_not_made_twice(emulator, running, until):
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"parent_deletion": "orphans-children"})
    _bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1, 2))
        old, ids = parent_of(emulator), {child.id for child in children_of(emulator).values()}
        emulator.cloud.delete(old.id)
        await until(lambda: parent_of(emulator) and parent_of(emulator).sn == old.sn and parent_of(emulator).id != old.id)
        await until(lambda: {child.parent_id for child in children_of(emulator).values()} == {parent_of(emulator).id})
        assert {child.id for child in children_of(emulator).values()} == ids


async def test_a_spurious_401_makes_nobody_register_anew(emulator, running, until):
    """Section 13.2, row 1: a 401 is confirmed once."""
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1))
        for call in ("Send Telemetry", "Send Child Telemetries"):
            calls = emulator.journal.calls()
            emulator.faults.add("401", call=call, times=1)
            await until(lambda call=call, calls=calls: emulator.journal.calls()[call] > calls[call] + 2)
    assert emulator.journal.calls()["Register Device"] == 1
    assert len(emulator.cloud.devices) == 2


async def test_a_cloud_that_errs_for_longer_gets_its_old_gateway_back(emulator, running, until):
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1))
        calls = emulator.journal.calls()
        emulator.faults.add("401", call="Send Telemetry", times=2)
        await until(lambda: emulator.journal.calls()["Register Device"] > 1)
        await until(lambda: emulator.journal.calls()["Send Telemetry"] > calls["Send Telemetry"] + 4)
    assert len(emulator.cloud.devices) == 2


async def test_a_child_deleted_on_purpose_stays_away_when_so_set(emulator, running, until):
    """Section 13.2, row 6: deleted on purpose, by setting."""
    bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC, cloud={"deleted_children": "leave"}) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        emulator.cloud.delete(children_of(emulator)["1"].id)
        registry = gateway.parts.state.registry
        await until(lambda: registry.children["sn:synthetic/1"].state is ChildState.DELETED)
        reads = bus.devices["a1"].reads
        await asyncio.sleep(0.4)
        assert bus.devices["a1"].reads <= reads + 1, "nobody reads what nobody wants"
    assert set(children_of(emulator)) == {"2"}


async def test_a_silent_child_is_offline_in_the_cloud_once_and_online_when_it_is_back(emulator, running, until, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.05)
    bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1, 2))
        child = children_of(emulator)["1"]
        bus.devices["a1"].silent = True
        await until(lambda: child.state["status"] == "offline")
        await asyncio.sleep(1.2)  # two telemetry rounds
        statuses = [message.status for message in emulator.journal.telemetry(child.id)]
        assert statuses.count("offline") == 1
        bus.devices["a1"].silent = False
        await until(lambda: child.state["status"] == "online")


async def test_a_device_that_waits_for_a_person_is_admitted_from_outside(emulator, running, until, tmp_path):
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC, admission=AdmissionSection(policy=Policy.ASK)) as gateway:
        await until(lambda: gateway.parts.state.registry.found_devices)
        assert not children_of(emulator)
        async with Store(tmp_path / "gateway.sqlite3") as store:
            outside = Registry(store)
            await outside.load()
            assert await outside.decide("sn:synthetic/1", Decision.ADMIT)
        await until(lambda: is_told(emulator, 1))


async def test_a_store_that_cannot_be_read_for_a_while_is_told_once_and_hides_nothing_from_outside(
    running, until, tmp_path, caplog
):
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC, admission=AdmissionSection(policy=Policy.ASK)) as gateway:
        store = gateway.parts.state.store
        connection, store._connection = store._connection, None  # from before its first look on
        await asyncio.sleep(0.5)
        store._connection = connection
        await until(lambda: gateway.parts.state.registry.found_devices)
        async with Store(tmp_path / "gateway.sqlite3") as other:
            outside = Registry(other)
            await outside.load()
            await outside.decide("sn:synthetic/1", Decision.ADMIT)
        await until(lambda: gateway.parts.state.registry.children)
    told = [record for record in caplog.records if "changes of the store by another process" in record.message]
    assert len(told) == 1


async def test_a_child_that_is_renamed_from_outside_or_from_the_page_is_called_so_in_the_cloud(
    emulator, running, until, tmp_path
):
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1))
        async with Store(tmp_path / "gateway.sqlite3") as store:
            outside = Registry(store)
            await outside.load()
            assert await outside.rename("sn:synthetic/1", "Boiler house")
        await until(lambda: children_of(emulator)["1"].name == "Boiler house")
        told = len(emulator.journal.telemetry(children_of(emulator)["1"].id))
        await until(lambda: len(emulator.journal.telemetry(children_of(emulator)["1"].id)) > told)
        view = gateway.parts.view
        line = view.child("sn:synthetic/1").line
        assert (line.name, line.found_as) == ("Boiler house", "device 1")
        assert await view.rename("sn:synthetic/1", None) is None
        await until(lambda: children_of(emulator)["1"].name == "device 1")
        assert view.child("sn:synthetic/1").line.found_as is None
    assert emulator.journal.calls()["Register Child Device"] == 1


async def test_a_child_whose_bus_left_the_config_is_reported_offline(emulator, running, until):
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1))
    async with running({"synthetic": SyntheticAdapter.on()}, SYNTHETIC):
        await until(lambda: children_of(emulator)["1"].state["status"] == "offline")


async def test_model_ids_that_the_cloud_does_not_know_cost_only_their_children(emulator, running, until):
    _bus, adapters = bus_of(device(1, family="odd"), device(2))
    models = {"odd": str(UUID("00000000-0000-4000-8000-00000000dead")), "meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"}
    async with running(adapters, SYNTHETIC, models=models) as gateway:
        await until(lambda: is_told(emulator, 2))
        await until(lambda: gateway.parts.state.registry.children["sn:synthetic/1"].state is ChildState.REFUSED)
        assert "[models] odd" in gateway.parts.state.registry.children["sn:synthetic/1"].problem


async def test_a_stop_in_the_middle_of_everything_ends_in_time(emulator, running, until):
    class Stuck(SyntheticAdapter):
        async def read(self, child, due):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(1)  # a driver that takes its time
                raise
            yield []

    bus = SyntheticBus([device(1)])
    bound = type("Bound", (Stuck,), {"all_buses": (bus,)})
    emulator.faults.add("slow", call="Send Telemetry", times=None, seconds=30)
    async with running({"synthetic": bound}, SYNTHETIC) as gateway:
        await until(lambda: parent_of(emulator))
        await asyncio.sleep(0.3)
        begun = asyncio.get_running_loop().time()
        gateway.stop.set()
        await gateway.task
        assert asyncio.get_running_loop().time() - begun < 7


@pytest.mark.parametrize(
    "quirks",
    [
        {"registration_status": 200, "telemetry_status": 200, "hub_url_form": "slash", "model_api_version": "1.0.0"},
        {"child_hub_url": True, "strict_values": True, "telemetry_message": "refused", "bulk_refreshes_parent": False},
        {"spurious_401": 1, "command_flag": "while-pending", "command_id": "integer"},
        {"spurious_401": 2},
        {"repeated_child": "same", "parent_key_opens_children": True, "child_registration_needs_key": False},
        {"rate_limit": 40, "retry_after": True, "info_version": "counts"},
    ],
    ids=lambda quirks: next(iter(quirks)),
)
async def test_the_open_points_of_the_reference_cost_nothing(emulator, running, until, quirks):
    emulator.cloud.quirks = emulator.cloud.quirks.changed(quirks)
    _bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        command = emulator.cloud.queue_command(children_of(emulator)["1"].id, "self_destruct", None)
        await until(lambda: command.status == "failed")
        assert gateway.parts.state.outbox.lost == 0
    assert len(emulator.cloud.devices) == 3


async def test_children_that_are_refused_until_their_parent_is_claimed_follow_the_claim(emulator, running, until):
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"child_before_claim": "refused"})
    bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        registry = gateway.parts.state.registry
        await until(lambda: [one.state for one in registry.children.values()] == [ChildState.REFUSED])
        emulator.cloud.claim(parent_of(emulator).id)
        await until(lambda: gateway.parts.cloud.session.is_claimed)
        bus.devices["a1"].firmware_version = "1.0.1"  # any change: otherwise it is looked once a minute
        await registry.admit(replace(registry.children["sn:synthetic/1"].child, firmware_version="1.0.1"))
        await until(lambda: is_told(emulator, 1))


@pytest.mark.parametrize("deleted_answer", ["unauthorised", "not-found", "error-in-2xx"])
@pytest.mark.parametrize("foreign_child", ["not-found", "not-authorized", "omitted"])
async def test_a_deleted_child_comes_back_however_the_hub_says_so(
    emulator, running, until, quick, monkeypatch, deleted_answer, foreign_child
):
    """Section 13.2, rows 2 and 4: 401 on a child's own call, and its error entry in the bulk response."""
    monkeypatch.setattr("gateway.cloud.child_registrar.REGISTER_AGAIN_AFTER", timedelta(0))
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"deleted_answer": deleted_answer, "foreign_child": foreign_child})
    _bus, adapters = bus_of(device(1, urgent=True), device(2))
    async with running(
        adapters, SYNTHETIC, telemetry_every=timedelta(seconds=0.2), timing=replace(quick, revocation=BELIEVES_SOON)
    ) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        old = children_of(emulator)["1"].id
        emulator.cloud.delete(old)
        await until(lambda: is_told(emulator, 1, 2) and children_of(emulator)["1"].id != old)
        assert gateway.parts.state.outbox.lost == 0
    assert len(emulator.cloud.devices) == 3


@pytest.mark.parametrize("deleted_answer", ["unauthorised", "not-found", "error-in-2xx"])
async def test_a_gateway_deleted_while_its_children_are_registered_starts_over(
    emulator, running, until, quick, monkeypatch, deleted_answer
):
    """Section 13.2, row 3: 401 on Register Child Device is about the parent."""
    monkeypatch.setattr("gateway.cloud.child_registrar.NOT_FOUND_AGAIN_AFTER", timedelta(seconds=0.1))
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"deleted_answer": deleted_answer})
    numbers = range(1, 31)
    _bus, adapters = bus_of(*(device(number) for number in numbers))
    async with running(
        adapters, SYNTHETIC, telemetry_every=timedelta(seconds=0.2), timing=replace(quick, revocation=BELIEVES_SOON)
    ) as gateway:
        await until(lambda: len(children_of(emulator)) > 5)
        emulator.cloud.delete(parent_of(emulator).id)
        await until(lambda: is_told(emulator, *numbers))
        assert gateway.parts.state.outbox.lost == 0
    assert len(emulator.cloud.devices) == 31
