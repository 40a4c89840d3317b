"""A command goes to the bus of its child, or fails with the reason; a store that cannot record it keeps it from the device."""

from datetime import timedelta

import pytest

from gateway.errors import CommandRejected, StoreError
from gateway.field.dispatcher import CommandDispatcher
from gateway.field.fleet import Fleet
from gateway.models import Command
from gateway.testing.devices import SyntheticBus, SyntheticDevice

MINUTE = timedelta(minutes=1)
KEY = "sn:synthetic/1"


def command(child=KEY, name="set"):
    return Command(1, child, name, {"power": 5.0})


@pytest.fixture
async def site(field):
    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    fleet = Fleet((), {}, lambda adapter, entry: None)
    own = []

    async def execute_own(command):
        own.append(command.name)
        return "it is done"

    dispatcher = CommandDispatcher(field.registry, fleet, execute_own)
    supervisor = field.serve(bus)
    await field.until(lambda: KEY in field.registry.children)
    fleet.supervisors["entry", bus.label] = supervisor
    return dispatcher, bus, fleet, own


async def recorded():
    pass


async def test_a_command_reaches_the_bus_of_its_child(site):
    dispatcher, bus, _, _ = site
    assert (await dispatcher.execute(command(), within=MINUTE, before_start=recorded)).message == "power is 5.0"
    assert len(bus.devices["a1"].executed) == 1


async def test_a_command_for_the_gateway_itself_is_recorded_and_executed_there(site):
    dispatcher, bus, _, own = site
    steps = []

    async def record():
        steps.append(list(own))

    assert (await dispatcher.execute(command(None, "rescan"), within=MINUTE, before_start=record)).message == "it is done"
    assert (steps, own, bus.devices["a1"].executed) == ([[]], ["rescan"], []), "recorded before it was executed"


@pytest.mark.parametrize("error", [StoreError("disk full"), CommandRejected("cancelled")])
async def test_a_command_that_cannot_be_recorded_does_not_reach_its_device(site, error):
    dispatcher, bus, _, _ = site

    async def record():
        raise error

    with pytest.raises(CommandRejected, match=f"it was not executed: {error}"):
        await dispatcher.execute(command(), within=MINUTE, before_start=record)
    assert bus.devices["a1"].executed == []


async def test_a_device_without_a_bus_or_that_is_no_child_fails_with_the_reason(site):
    dispatcher, _, fleet, _ = site
    with pytest.raises(CommandRejected, match="not a child of the gateway any more"):
        await dispatcher.execute(command("sn:nobody/1"), within=MINUTE, before_start=recorded)
    fleet.supervisors.clear()
    with pytest.raises(CommandRejected, match=r"the bus bus of device 1 does not exist \(any more\)"):
        await dispatcher.execute(command(), within=MINUTE, before_start=recorded)
