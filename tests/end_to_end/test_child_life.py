"""The life of children against the emulated cloud, from the table of section 13.2 and the facts of section 18."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.state.child_states import ChildState
from gateway.state.records import ChildRequest, Request
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}


def device(number, **rest):
    return SyntheticDevice(f"{number}", f"a{number}", **rest)


def bus_of(*devices):
    bus = SyntheticBus(devices)
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.kinship == "stand-alone"), None)


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.kinship == "controlled"}


def is_told(emulator, *numbers):
    children = children_of(emulator)
    return all(str(number) in children and "power" in children[str(number)].state for number in numbers)


def set_quirks(emulator, **quirks):
    emulator.cloud.quirks = emulator.cloud.quirks.changed(quirks)


def states(gateway):
    return {record.state for record in gateway.parts.state.registry.children.values()}


async def test_13_2_row_1_and_18_children_that_outlive_their_parent_wait_for_the_claim_and_lose_nothing(
    emulator, running, until, caplog
):
    set_quirks(emulator, parent_deletion="orphans-children")
    bus, adapters = bus_of(device(1, urgent=True), device(2, urgent=True))
    async with running(adapters, SYNTHETIC, cloud={"commands_every": 0.5}) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        emulator.cloud.claim(parent_of(emulator).id, "Example Ltd")
        old, ids = parent_of(emulator), {child.id for child in children_of(emulator).values()}
        emulator.cloud.delete(old.id)
        await until(lambda: states(gateway) == {ChildState.UNMOVED})

        summary = (await gateway.parts.view.snapshot()).children[0]
        assert (summary.standing, "claim this gateway" in summary.why) == ("unmoved", True)
        bus.devices["a1"].values["power"] = 77.0
        await until(lambda: children_of(emulator)["1"].state.get("power") == 77.0)  # with its own key
        command = emulator.cloud.queue_command(children_of(emulator)["2"].id, "reboot", None)
        await until(lambda: not command.is_open)
    async with running(adapters, SYNTHETIC) as gateway:
        assert states(gateway) == {ChildState.UNMOVED}, "it survives a restart"
        await until(lambda: gateway.parts.cloud.session.is_claimed is False)
        emulator.cloud.claim(parent_of(emulator).id, "Example Ltd")
        await until(lambda: states(gateway) == {ChildState.REGISTERED}, 10)
        assert {child.parent_id for child in children_of(emulator).values()} == {parent_of(emulator).id}
        bus.devices["a1"].values["power"] = 78.0
        await until(lambda: children_of(emulator)["1"].state.get("power") == 78.0)
        assert gateway.parts.state.outbox.lost == 0
    assert {child.id for child in children_of(emulator).values()} == ids
    assert emulator.journal.calls()["Register Child Device"] == 2
    told = [record.message for record in caplog.records if "claim this gateway" in record.message]
    assert len(told) == 2, "once for each child"


async def test_13_2_row_1_a_child_that_died_while_it_waited_for_the_claim_is_registered_again(emulator, running, until):
    set_quirks(emulator, parent_deletion="orphans-children")
    _bus, adapters = bus_of(device(1, urgent=True))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1))
        emulator.cloud.claim(parent_of(emulator).id)
        emulator.cloud.delete(parent_of(emulator).id)
        await until(lambda: states(gateway) == {ChildState.UNMOVED})
        emulator.cloud.delete(children_of(emulator)["1"].id)
        await until(lambda: states(gateway) == {ChildState.ADMITTED})
        problem = gateway.parts.state.registry.children["sn:synthetic/1"].problem
        assert "registered again at " in problem, "it was registered a moment ago, so it says when"
        await asyncio.sleep(0)
    async with running(adapters, SYNTHETIC):
        await until(lambda: is_told(emulator, 1) and children_of(emulator)["1"].parent_id == parent_of(emulator).id)
    assert len(emulator.cloud.devices) == 2


async def ask(tmp_path, request, key, new_key=None):
    """Ask for something as the command line does while a gateway runs: from another process, through the store."""
    async with Store(tmp_path / "gateway.sqlite3") as store:
        outside = Registry(store)
        await outside.load()
        await outside.request(ChildRequest(key=key, request=request, new_key=new_key, at=datetime.now(UTC)))


async def test_13_2_gone_from_the_site_a_retired_child_is_deleted_with_its_own_key_and_not_found_again(
    emulator, running, until, tmp_path
):
    _bus, adapters = bus_of(device(1), device(2))
    entry = {**SYNTHETIC, "discover_every": 1}
    async with running(adapters, entry) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        gone = children_of(emulator)["1"].id
        await ask(tmp_path, Request.RETIRE, "sn:synthetic/1")
        await until(lambda: set(children_of(emulator)) == {"2"})
        assert [entry.device for entry in emulator.journal.entries() if entry.call == "Delete Device"] == [gone]
        supervisor = gateway.parts.field.fleet.supervisors["synthetic", "bus"]
        await supervisor.start_discovery()
        await until(lambda: supervisor.progress is None)
    async with running(adapters, entry) as gateway:
        await until(lambda: is_told(emulator, 2))
        assert set(gateway.parts.state.registry.children) == {"sn:synthetic/2"}
        waiting = (await gateway.parts.view.snapshot()).waiting
        assert [(one.key, "children admit sn:synthetic/1" in one.why) for one in waiting] == [("sn:synthetic/1", True)]
        assert await gateway.parts.view.admit("sn:synthetic/1") is None
        await until(lambda: is_told(emulator, 1))
    assert len(emulator.cloud.devices) == 3


async def test_13_2_gone_from_the_site_a_child_that_is_kept_in_the_cloud_is_offline_there(emulator, running, until, tmp_path):
    _bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        await ask(tmp_path, Request.RETIRE_HERE, "sn:synthetic/1")
        await until(lambda: "sn:synthetic/1" not in gateway.parts.state.registry.children)
        assert children_of(emulator)["1"].state["status"] == "offline"
        assert emulator.journal.calls()["Delete Device"] == 0


async def test_an_exchanged_device_waits_for_a_person_and_then_keeps_its_device_in_the_cloud(
    emulator, running, until, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.05)
    bus, adapters = bus_of(device(1, urgent=True))
    async with running(adapters, SYNTHETIC, cloud={"commands_every": 0.5}) as gateway:
        await until(lambda: is_told(emulator, 1))
        old = children_of(emulator)["1"]
        emulator.cloud.claim(parent_of(emulator).id)
        bus.devices["a1"].silent = True
        await until(lambda: old.state["status"] == "offline")
        bus.devices["a1"] = device(2, urgent=True, firmware_version="2.0.0", values={"power": 5.0})
        bus.devices["a1"].address = "a1"
        registry = gateway.parts.state.registry
        await until(lambda: "sn:synthetic/2" in registry.children)
        command = emulator.cloud.queue_command(old.id, "set", {"power": 9})
        await until(lambda: command.status == "failed")
        assert "device 2 (serial number 2)" in command.message
        assert bus.devices["a1"].values["power"] == 5.0
        lines = {line.key: line for line in (await gateway.parts.view.snapshot()).children}
        assert lines["sn:synthetic/2"].standing == "held"
        assert "children replace sn:synthetic/1 sn:synthetic/2" in lines["sn:synthetic/1"].alarms[0]
        await until(lambda: [event.name for event in old.events].count("device_exchanged") == 1)
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: bus.devices["a1"].reads > 3)
        assert emulator.journal.calls()["Register Child Device"] == 1, "it is not registered meanwhile"
        await ask(tmp_path, Request.REPLACE, "sn:synthetic/1", "sn:synthetic/2")
        await until(lambda: old.firmware_version == "2.0.0" and old.state.get("power") == 5.0)
        assert old.details["serial_number"] == "2"
    async with running(adapters, SYNTHETIC) as gateway:
        emulator.journal.clear()
        await until(lambda: len(emulator.journal.telemetry(old.id)) > 1)
        assert {key: record.device_id for key, record in gateway.parts.state.registry.children.items()} == {
            "sn:synthetic/2": old.id
        }
    assert len(emulator.cloud.devices) == 2


async def test_17_16_a_registration_that_is_carried_out_late_is_told_with_both_ids(emulator, running, until, monkeypatch):
    monkeypatch.setattr("gateway.cloud.children.lookups.LOOKS_AFTER", (timedelta(seconds=1), timedelta(seconds=2)))
    emulator.faults.add("drop-late", call="Register Child Device", seconds=1.2)
    _bus, adapters = bus_of(device(1))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1))
        await until(lambda: len(gateway.parts.state.registry.unused_devices) == 1)
        (twin,) = gateway.parts.state.registry.unused_devices
        used = gateway.parts.state.registry.children["sn:synthetic/1"].device_id
        (line,) = (await gateway.parts.view.snapshot()).children
        assert (twin in line.alarms[0], used in line.alarms[0]) == (True, True)
        emulator.cloud.delete(twin)
    assert len(emulator.cloud.devices) == 2


async def test_a_child_that_is_silent_for_a_week_is_shown_with_the_way_to_retire_it(emulator, running, until, monkeypatch):
    monkeypatch.setattr("gateway.runtime.summaries.children.SILENT_FOR_LONG", timedelta(seconds=0.2))
    bus, adapters = bus_of(device(1), device(2))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: is_told(emulator, 1, 2))
        bus.devices["a1"].silent = True
        await until(lambda: children_of(emulator)["1"].state["status"] == "offline")
        await asyncio.sleep(0.2)
        alarms = {line.key: line.alarms for line in (await gateway.parts.view.snapshot()).children}
        assert "xyte-gateway children retire sn:synthetic/1" in alarms["sn:synthetic/1"][0]
        assert not alarms["sn:synthetic/2"]
