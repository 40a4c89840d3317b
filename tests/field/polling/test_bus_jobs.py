"""Commands on a bus that is served."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapter import (
    BusUnavailable,
    CommandRejected,
    DeviceUnreachable,
    Metric,
    OutcomeUnknown,
    Reading,
)
from gateway.errors import BusLost
from gateway.field.polling.load import LoadPurpose
from gateway.models import Command
from gateway.tasks import loop_time
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

FAST = timedelta(milliseconds=20)
SECOND = timedelta(seconds=1)


def device(number, **rest):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}", **{"poll_every": FAST, **rest})


def key(number):
    return f"sn:synthetic/{number}"


def command(name="switch_on"):
    return Command(1, key(1), name, {})


class Obedient(SyntheticAdapter):
    """Carries commands out, and notes what the bus did in which order."""

    blocks = 5

    def __init__(self, settings, wire):
        super().__init__(settings, wire)
        self.did = []

    async def read(self, child, due):
        for block in range(self.blocks):
            await asyncio.sleep(0.02)
            self.did.append(f"{child.address} block {block}")
            yield [Reading(child.key, Metric(f"m{block}"), block, datetime.now(UTC))]

    async def execute(self, child, command):
        self.did.append(command.name)
        match command.name:
            case "refused":
                raise CommandRejected("the device says no")
            case "unanswered":
                raise DeviceUnreachable("no answer")
            case "bug":
                raise ZeroDivisionError("oops")
            case "unplugged":
                raise BusUnavailable("pulled")
        return "it is on"


async def test_a_command_is_the_next_thing_that_the_bus_does(field):
    supervisor = field.serve(SyntheticBus([device(1), device(2)]), Obedient)
    await field.until(lambda: "a1 block 1" in supervisor.adapter.unchecked.did)
    before = len(supervisor.adapter.unchecked.did)
    assert (await supervisor.execute(key(1), command(), within=SECOND)).message == "it is on"
    assert "switch_on" in supervisor.adapter.unchecked.did[before : before + 2], "at most the block that was under way came first"


async def test_a_read_that_was_paused_for_a_command_is_completed(field):
    supervisor = field.serve(SyntheticBus([device(1, poll_every=SECOND)]), Obedient)
    await field.until(lambda: "a1 block 1" in supervisor.adapter.unchecked.did)
    await supervisor.execute(key(1), command(), within=SECOND)
    await field.until(lambda: "a1 block 4" in supervisor.adapter.unchecked.did)
    blocks = [entry for entry in supervisor.adapter.unchecked.did if "block" in entry]
    assert blocks[:5] == [f"a1 block {number}" for number in range(5)]


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("refused", CommandRejected, "the device says no"),
        ("unanswered", DeviceUnreachable, "no answer"),
        ("bug", OutcomeUnknown, "its adapter failed, .* is unknown: ZeroDivisionError: oops"),
        ("unplugged", BusLost, "the bus was lost while it was carried out"),
    ],
)
async def test_a_command_that_fails_says_why_and_costs_nothing_else(field, name, error, text):
    supervisor = field.serve(SyntheticBus([device(1)]), Obedient)
    await field.until(lambda: key(1) in field.registry.children)
    with pytest.raises(error, match=text):
        await supervisor.execute(key(1), command(name), within=SECOND)
    assert (await supervisor.execute(key(1), command(), within=SECOND)).message == "it is on"


async def test_a_command_for_an_unknown_child_is_rejected(field):
    supervisor = field.serve(SyntheticBus([device(1)]), Obedient)
    with pytest.raises(CommandRejected, match="there is no sn:nobody"):
        await supervisor.execute("sn:nobody", command(), within=SECOND)


async def test_a_command_that_is_too_late_is_never_sent(field):
    bus = SyntheticBus([device(1)])
    bus.unplugged = True
    supervisor = field.serve(bus, Obedient)
    with pytest.raises(CommandRejected, match="nothing was sent"):
        await supervisor.execute(key(1), command(), within=timedelta(seconds=0.05))
    bus.unplugged = False
    await field.until(lambda: key(1) in field.registry.children and supervisor.adapter.unchecked.did)
    assert "switch_on" not in supervisor.adapter.unchecked.did


async def test_a_command_that_is_given_up_is_not_sent(field):
    bus = SyntheticBus([device(1)])
    bus.unplugged = True
    supervisor = field.serve(bus, Obedient)
    asking = asyncio.create_task(supervisor.execute(key(1), command(), within=timedelta(minutes=1)))
    await asyncio.sleep(0.02)
    asking.cancel()
    bus.unplugged = False
    await field.until(lambda: supervisor.adapter.unchecked.did)
    assert "switch_on" not in supervisor.adapter.unchecked.did


async def test_a_command_wakes_a_bus_that_has_nothing_to_do(field):
    supervisor = field.serve(SyntheticBus([device(1, poll_every=timedelta(hours=1))]), Obedient, discover_every=36000)
    await field.until(lambda: "a1 block 4" in supervisor.adapter.unchecked.did)
    await asyncio.sleep(30)
    begun = loop_time()
    assert (await supervisor.execute(key(1), command(), within=SECOND)).message == "it is on"
    assert loop_time() - begun < 0.1


async def test_the_time_of_a_command_counts_as_load_of_commands(field):
    class Slow(Obedient):
        async def execute(self, child, command):
            await asyncio.sleep(6)
            return await super().execute(child, command)

    supervisor = field.serve(SyntheticBus([device(1, poll_every=timedelta(hours=1))]), Slow)
    await field.until(lambda: "a1 block 4" in supervisor.adapter.unchecked.did)
    executing = asyncio.create_task(supervisor.execute(key(1), command(), within=SECOND))
    second = asyncio.create_task(supervisor.execute(key(1), command(), within=10 * SECOND))
    await asyncio.sleep(3)
    assert supervisor.status().waiting_commands == 1
    await executing
    await second
    assert supervisor.status().load[LoadPurpose.COMMANDS] > 0.1
    assert supervisor.child_status(key(1)).load > 0.1


async def test_a_command_whose_caller_was_cancelled_before_it_waited_is_not_executed(field):
    supervisor = field.serve(SyntheticBus([device(1)]), Obedient)
    await field.until(lambda: "a1 block 1" in supervisor.adapter.unchecked.did)
    async with field.registry.changed:  # the caller has queued its command and waits to wake the worker
        caller = asyncio.create_task(supervisor.execute(key(1), command(), within=SECOND))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    await asyncio.sleep(0.5)
    assert "switch_on" not in supervisor.adapter.unchecked.did
