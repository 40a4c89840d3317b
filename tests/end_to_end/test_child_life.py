"""The life of children against the emulated cloud, from the table of section 13.2 and the facts of section 18."""

import asyncio

import pytest

from gateway.state.child_states import ChildState
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
    async with running(adapters, SYNTHETIC) as gateway:
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
