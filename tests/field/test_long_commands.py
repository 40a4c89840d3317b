"""A long command takes one step after the other in the gaps of its bus, and stops where it is told to."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from gateway.errors import BusUnavailable, CommandRejected, CommandStopped, DeviceUnreachable, OutcomeUnknown
from gateway.field.child_buses import ChildBuses
from gateway.field.dispatcher import CommandDispatcher
from gateway.field.fleet import Fleet
from gateway.field.long_commands import run_steps
from gateway.models import Command, CommandResult
from gateway.testing.devices import SyntheticBus, SyntheticDevice

MINUTE = timedelta(minutes=1)
KEY = "sn:synthetic/1"
UPDATE = Command(1, KEY, "identify", {})  # a declared command that these tests carry out in steps


class Update:
    """A firmware update in blocks, each of which takes some time of the bus."""

    def __init__(self, blocks=5, block_seconds=0.2):
        self.blocks, self.block_seconds = blocks, block_seconds
        self.written = []
        self.closed = 0
        self.fails_at = {}

    async def steps(self, adapter, child):
        try:
            for number in range(1, self.blocks + 1):
                if number in self.fails_at:
                    raise self.fails_at[number]
                await asyncio.sleep(self.block_seconds)
                self.written.append((adapter.bus, number))
                yield f"block {number} of {self.blocks}"
            yield CommandResult(message="the firmware is written")
        finally:
            self.closed += 1

    def find(self, child, command):
        async def run(bus, checkpoint):
            return await run_steps(bus, self.steps, checkpoint)

        return run if command.name == "identify" else None


async def nothing():
    pass


async def carry_out(dispatcher):
    return await dispatcher.execute(UPDATE, within=MINUTE, before_start=nothing, checkpoint=lambda _text: None)


@pytest.fixture
def served(field):
    """A bus with some devices that are polled, and a dispatcher whose commands are an update: `await served(update, ...)`."""

    async def start(update, devices=3, **rest):
        bus = SyntheticBus([SyntheticDevice(str(number), f"a{number}", **rest) for number in range(1, devices + 1)])
        fleet = Fleet((), {}, lambda adapter, entry: None)
        supervisor = fleet.supervisors["entry", bus.label] = field.serve(bus)
        await field.until(lambda: len(field.registry.children) == devices)
        await asyncio.sleep(5)
        return SimpleNamespace(
            dispatcher=CommandDispatcher(ChildBuses(field.registry, fleet), None, update.find),
            buses=ChildBuses(field.registry, fleet),
            bus=bus,
            supervisor=supervisor,
            fleet=fleet,
        )

    return start


async def test_the_steps_are_taken_in_order_and_reported(served):
    update, told = Update(), []
    site = await served(update)
    result = await site.dispatcher.execute(UPDATE, within=MINUTE, before_start=nothing, checkpoint=told.append)
    assert result == CommandResult(message="the firmware is written")
    assert [number for _, number in update.written] == [1, 2, 3, 4, 5]
    assert told == [f"block {number} of 5" for number in range(1, 6)]
    assert update.closed == 1


async def test_the_other_devices_keep_their_readings_meanwhile(served):
    update = Update(blocks=200)
    site = await served(update)
    reads = sum(device.reads for device in site.bus.devices.values())
    began_at = asyncio.get_running_loop().time()
    await carry_out(site.dispatcher)
    seconds = asyncio.get_running_loop().time() - began_at
    reads = sum(device.reads for device in site.bus.devices.values()) - reads
    assert reads >= 0.95 * 3 * seconds, "each of three devices is due every second"
    assert seconds < 60, "and most of the idle time is used"


async def test_a_bus_without_gaps_still_gives_the_steps_a_twentieth_of_its_time(served, monkeypatch):
    update = Update(blocks=10)
    site = await served(update, poll_every=timedelta(seconds=0.1))
    read = type(site.supervisor.adapter.unchecked).read

    async def slowly(self, child, due):
        await asyncio.sleep(0.1)
        async for readings in read(self, child, due):
            yield readings

    monkeypatch.setattr(type(site.supervisor.adapter.unchecked), "read", slowly)
    await asyncio.sleep(1)
    reads = sum(device.reads for device in site.bus.devices.values())
    began_at = asyncio.get_running_loop().time()
    await carry_out(site.dispatcher)
    seconds = asyncio.get_running_loop().time() - began_at
    reads = sum(device.reads for device in site.bus.devices.values()) - reads
    assert 10 * 0.2 / seconds == pytest.approx(0.05, rel=0.3)
    assert reads * 0.1 / seconds > 0.9


async def test_a_short_command_goes_ahead_of_the_steps(served):
    update = Update(blocks=50, block_seconds=1)
    site = await served(update)
    updating = asyncio.create_task(
        site.dispatcher.execute(UPDATE, within=MINUTE, before_start=nothing, checkpoint=lambda _text: None)
    )
    await asyncio.sleep(3.5)
    written, began_at = len(update.written), asyncio.get_running_loop().time()
    await site.dispatcher.execute(
        Command(2, "sn:synthetic/2", "set", {"power": 3.0}), within=MINUTE, before_start=nothing, checkpoint=print
    )
    assert len(update.written) <= written + 1
    assert asyncio.get_running_loop().time() - began_at <= 1
    await updating


async def test_a_cancelled_command_stops_between_two_steps_and_is_closed(served):
    def stop(text):
        if text == "block 3 of 5":
            raise CommandStopped(f"stopped after {text}")

    update = Update()
    site = await served(update)
    with pytest.raises(CommandStopped, match="stopped after block 3 of 5"):
        await site.dispatcher.execute(UPDATE, within=MINUTE, before_start=nothing, checkpoint=stop)
    assert ([number for _, number in update.written], update.closed) == ([1, 2, 3], 1)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CommandRejected("the checksum is wrong"), CommandRejected),
        (BusUnavailable("pulled"), OutcomeUnknown),
        (ZeroDivisionError("oops"), OutcomeUnknown),
    ],
)
async def test_a_step_that_fails_ends_the_command_and_nothing_else(served, error, outcome):
    update = Update()
    update.fails_at[3] = error
    site = await served(update)
    with pytest.raises(outcome):
        await carry_out(site.dispatcher)
    reads = site.bus.devices["a2"].reads
    await asyncio.sleep(10)
    assert site.bus.devices["a2"].reads > reads


async def test_a_step_waits_for_a_bus_that_is_lost_and_for_a_child_that_moves(served, field):
    update, told = Update(blocks=30), []
    site = await served(update)
    other = SyntheticBus([], label="other")
    site.fleet.supervisors["entry", "other"] = field.serve(other)
    steps = asyncio.create_task(_by_hand(site.buses, told))
    await asyncio.sleep(2)
    site.bus.unplugged = True
    await asyncio.sleep(5)
    assert told[-1] == "bus"
    child = field.registry.children[KEY].child
    other.devices["a1"] = site.bus.devices.pop("a1")
    await field.registry.admit(replace(child, bus="other"))
    await steps
    assert told[-1] == "other"


async def _by_hand(buses, told):
    async def step(adapter, child):
        adapter.unchecked._plugged_in()
        await asyncio.sleep(0.1)
        return child.bus

    for _ in range(30):
        try:
            told.append(await buses.step(KEY, "update", step, within=MINUTE))
        except OutcomeUnknown:
            told.append("bus")
        await asyncio.sleep(0.2)


async def test_an_iterator_that_ends_without_a_result_has_an_unknown_outcome(served):
    class Endless(Update):
        async def steps(self, adapter, child):
            yield "block 1"

    site = await served(Endless())
    with pytest.raises(OutcomeUnknown, match="it ended without a result"):
        await carry_out(site.dispatcher)


async def test_an_interrupted_long_command_is_resumed_by_its_own_records(served):
    update = Update()
    site = await served(update)
    result = await site.dispatcher.finish_interrupted(UPDATE, within=MINUTE, checkpoint=lambda _text: None)
    assert result == CommandResult(message="the firmware is written")
    update.fails_at[2] = CommandRejected("the file is gone")
    with pytest.raises(CommandRejected, match="the file is gone"):
        await site.dispatcher.finish_interrupted(UPDATE, within=MINUTE, checkpoint=lambda _text: None)


async def test_a_step_that_a_silent_device_misses_can_be_taken_again(served):
    site = await served(Update())
    device = site.bus.devices["a1"]
    device.silent = True
    await asyncio.sleep(20)

    async def step(adapter, child):
        return "taken"

    with pytest.raises(DeviceUnreachable, match="no answer from a1"):
        await site.supervisor.step(KEY, "update", step, within=MINUTE)
    device.silent = False
    assert await site.supervisor.step(KEY, "update", step, within=MINUTE) == "taken"
