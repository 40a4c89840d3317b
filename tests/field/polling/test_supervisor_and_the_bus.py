"""How a supervisor shares its bus: commands first, slices, plans that are too much."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest

from gateway.adapter import BusUnavailable, CommandRejected, DeviceUnreachable, Metric, PlannedRead, Reading
from gateway.field.polling.load import LoadPurpose
from gateway.models import Command, Reach
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
    await field.until(lambda: "a1 block 1" in supervisor.adapter.did)
    before = len(supervisor.adapter.did)
    assert await supervisor.execute(key(1), command(), within=SECOND) == "it is on"
    assert "switch_on" in supervisor.adapter.did[before : before + 2], "at most the block that was under way came first"


async def test_a_reading_that_gave_way_to_a_command_is_finished(field):
    supervisor = field.serve(SyntheticBus([device(1, poll_every=SECOND)]), Obedient)
    await field.until(lambda: "a1 block 1" in supervisor.adapter.did)
    await supervisor.execute(key(1), command(), within=SECOND)
    await field.until(lambda: "a1 block 4" in supervisor.adapter.did)
    blocks = [entry for entry in supervisor.adapter.did if "block" in entry]
    assert blocks[:5] == [f"a1 block {number}" for number in range(5)]


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("refused", CommandRejected, "the device says no"),
        ("unanswered", DeviceUnreachable, "no answer"),
        ("bug", CommandRejected, "its adapter failed: ZeroDivisionError: oops"),
        ("unplugged", CommandRejected, "whether the device carried it out is unknown"),
    ],
)
async def test_a_command_that_fails_says_why_and_costs_nothing_else(field, name, error, text):
    supervisor = field.serve(SyntheticBus([device(1)]), Obedient)
    await field.until(lambda: key(1) in field.registry.children)
    with pytest.raises(error, match=text):
        await supervisor.execute(key(1), command(name), within=SECOND)
    assert await supervisor.execute(key(1), command(), within=SECOND) == "it is on"


async def test_a_command_for_nobody_is_refused(field):
    supervisor = field.serve(SyntheticBus([device(1)]), Obedient)
    with pytest.raises(CommandRejected, match="there is no sn:nobody"):
        await supervisor.execute("sn:nobody", command(), within=SECOND)


async def test_a_command_whose_time_is_over_is_never_sent(field):
    bus = SyntheticBus([device(1)])
    bus.unplugged = True
    supervisor = field.serve(bus, Obedient)
    with pytest.raises(CommandRejected, match="nothing was sent"):
        await supervisor.execute(key(1), command(), within=timedelta(seconds=0.05))
    bus.unplugged = False
    await field.until(lambda: key(1) in field.registry.children and supervisor.adapter.did)
    assert "switch_on" not in supervisor.adapter.did


async def test_a_command_that_nobody_waits_for_any_more_is_not_sent(field):
    bus = SyntheticBus([device(1)])
    bus.unplugged = True
    supervisor = field.serve(bus, Obedient)
    asking = asyncio.create_task(supervisor.execute(key(1), command(), within=timedelta(minutes=1)))
    await asyncio.sleep(0.02)
    asking.cancel()
    bus.unplugged = False
    await field.until(lambda: supervisor.adapter.did)
    assert "switch_on" not in supervisor.adapter.did


async def test_a_reading_that_gives_way_again_and_again_loses_no_block(field):
    class Long(Obedient):
        blocks = 20

    supervisor = field.serve(SyntheticBus([device(1, poll_every=SECOND), device(2, poll_every=SECOND)]), Long)
    await field.until(lambda: {"a1 block 19", "a2 block 19"} <= set(supervisor.adapter.did))
    for child in ("a1", "a2"):
        assert [entry for entry in supervisor.adapter.did if child in entry][:20] == [f"{child} block {n}" for n in range(20)]


async def test_a_long_reading_leaves_the_bus_to_others_after_its_slice(field):
    supervisor = field.serve(SyntheticBus([device(1, poll_every=SECOND), device(2, poll_every=SECOND)]), Obedient)
    await field.until(lambda: sum("block 4" in entry for entry in supervisor.adapter.did) >= 2)
    blocks = supervisor.adapter.did
    assert sorted(blocks[:10]) == sorted(f"a{child} block {block}" for child in (1, 2) for block in range(5)), "none is lost"
    runs = [len(list(run)) for _, run in groupby(blocks, key=lambda entry: entry[:2])]
    assert max(runs) <= 5, "a slice of 0.1 s holds five blocks of 0.02 s"
    assert len(runs) >= 2


class ReadPlanner(SyntheticAdapter):
    """Says that each child takes so much of the bus."""

    seconds = 0.5

    def planned_reads(self, children):
        return [
            PlannedRead(address=one.address, name=one.name, group="all", every=SECOND, seconds=self.seconds, transactions=1)
            for one in children
        ]

    def remarks(self, child):
        if child.address == "a2":
            raise RuntimeError("broken by its author")
        return ["answers in 12 ms"]


async def test_a_plan_that_is_too_much_for_the_bus_is_stretched_and_told_once(field, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.planning.AFTER_CHANGE_SECONDS", 0.01)
    supervisor = field.serve(SyntheticBus([device(1), device(2)]), ReadPlanner)
    await field.until(lambda: supervisor.status().stretch > 1)
    assert supervisor.status().stretch == pytest.approx(1.0 / 0.7)
    assert caplog.text.count("bus needs 1.00 s of each 1.00 s; device 1 takes 50 %, which is more than its load_limit") == 1


async def test_a_plan_that_is_too_much_is_refused_where_that_is_wanted(field, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.planning.AFTER_CHANGE_SECONDS", 0.01)
    supervisor = field.serve(SyntheticBus([device(1), device(2)]), ReadPlanner, overload="refuse")
    await field.until(lambda: supervisor.problem is not None)
    assert "it is not read, as set with `overload`: bus needs 1.00 s of each 1.00 s" in supervisor.problem


async def test_a_plan_that_fails_costs_only_the_plan(field, caplog, monkeypatch):
    monkeypatch.setattr("gateway.field.polling.planning.AFTER_CHANGE_SECONDS", 0.01)

    class Broken(SyntheticAdapter):
        def planned_reads(self, children):
            raise RuntimeError("broken by its author")

    bus = SyntheticBus([device(1)])
    field.serve(bus, Broken)
    await field.until(lambda: bus.devices["a1"].reads > 3 and "its read plan is unknown" in caplog.text)


async def test_the_standing_of_a_bus_tells_who_takes_what_and_who_is_tried_when(field, caplog):
    caplog.set_level(logging.CRITICAL)
    bus = SyntheticBus([device(1), device(2)])
    supervisor = field.serve(bus, ReadPlanner)
    await field.until(lambda: all(one.reads > 1 for one in bus.devices.values()))
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(key(1)).reach is Reach.SILENT)
    standing = supervisor.status()
    silent, well = supervisor.child_status(key(1)), supervisor.child_status(key(2))
    assert supervisor.child_status("somebody else") is None
    assert 0 <= silent.next_try_seconds <= 60
    assert well.next_try_seconds is None
    assert silent.remarks == ("answers in 12 ms",)
    assert "broken by its author" in well.remarks[0]
    assert 0 <= standing.live_load <= 1
    assert set(standing.load) == set(LoadPurpose)
    bus.unplugged = True
    await field.until(lambda: supervisor.problem is not None)
    assert supervisor.next_try_seconds(key(1)) is None
