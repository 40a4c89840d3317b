"""A bug of an adapter is told once with its traceback, counted, and met less and less often until it is over."""

import asyncio
import logging
from datetime import timedelta

import pytest

from gateway.backoff import Backoff
from gateway.field.guard.repeated_causes import FORGOTTEN_AFTER_SECONDS, MOST_CAUSES, RepeatedCauses
from gateway.field.polling.schedule import IdentifyTask, PollGroupsTask, ReadTask, Schedule
from gateway.models import Reach
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, found_of

KEY = "sn:synthetic/1"
SECOND = timedelta(seconds=1)


def reach(field):
    return field.availability.of(KEY).reach


def broken(bus, *methods, error=lambda: ZeroDivisionError("by its author")):  # noqa: C901 - a line for each method
    """Return an adapter class with a bug in these methods while `bus.has_bug`."""

    def fail(method):
        if method in methods and bus.has_bug:
            bus.failures += 1
            raise error()

    class Broken(SyntheticAdapter):
        async def read(self, child, due):
            fail("read")
            async for readings in super().read(child, due):
                yield readings

        async def discover(self):
            fail("discover")
            async for step in super().discover():
                yield step

        async def identify(self, address):
            fail("identify")
            return await super().identify(address)

        async def listen(self, uplink):
            fail("listen")

        async def __aenter__(self):
            fail("__aenter__")
            return await super().__aenter__()

        def planned_reads(self, children):
            fail("planned_reads")
            return ()

    bus.has_bug, bus.failures = True, 0
    return Broken


@pytest.mark.parametrize("method", ["read", "discover", "identify", "listen", "__aenter__", "planned_reads"])
async def test_a_lasting_bug_writes_a_few_lines_and_has_one_traceback(field, caplog, method):
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    await field.intake.take_in("entry", "bus", found_of(bus.devices["a1"]))
    field.serve(bus, broken(bus, method), backoff=Backoff(1, 60))
    await asyncio.sleep(95)
    assert bus.failures >= (1 if method == "identify" else 2)  # after it, the search finds the device
    assert len(caplog.records) < 10, caplog.text
    assert caplog.text.count("Traceback") == 1
    before = len(caplog.records)
    await asyncio.sleep(3600)
    assert len(caplog.records) - before < 20, caplog.text


async def test_it_is_read_less_and_less_often_until_a_read_succeeds(field, caplog):
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([SyntheticDevice("1", "a1", poll_every=SECOND)])
    field.serve(bus, broken(bus, "read"))
    await asyncio.sleep(95)
    assert 5 <= bus.failures <= 9
    assert reach(field) is Reach.SILENT
    assert caplog.text.count("answers") == 1, "when it was found"
    bus.has_bug = False
    await field.until(lambda: reach(field) is Reach.REACHABLE, seconds=310)
    assert caplog.text.count("device 1 answers") == 2


async def test_another_kind_of_bug_is_told_as_well_but_not_without_end(field, caplog):
    numbers = iter(range(10**6))
    kinds = [type(f"Bug{number}", (Exception,), {}) for number in range(200)]
    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    field.serve(bus, broken(bus, "read", error=lambda: kinds[next(numbers) % 200]("x")))
    await asyncio.sleep(95)
    assert "Bug0" in caplog.text
    assert "Bug1" in caplog.text
    await asyncio.sleep(3600)
    assert caplog.text.count("Traceback") <= MOST_CAUSES + 1


async def test_a_search_with_a_bug_costs_the_children_nothing(field):
    bus = SyntheticBus([SyntheticDevice("1", "a1", poll_every=SECOND)])
    adapter = broken(bus, "discover")
    bus.has_bug = False
    supervisor = field.serve(bus, adapter, discover_every=60)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.has_bug = True
    reads = bus.devices["a1"].reads
    await asyncio.sleep(600)
    assert bus.devices["a1"].reads - reads > 590
    assert bus.opened == 1
    assert supervisor.status().remarks == ("its search for devices failed: ZeroDivisionError: by its author",)
    bus.has_bug = False
    await field.until(lambda: supervisor.status().remarks == (), seconds=3700)


async def test_a_bug_now_and_then_costs_less_and_less_time(field, caplog):
    """Each third read fails: the waits grow all the same, so that the log stays short."""
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([SyntheticDevice("1", "a1", poll_every=SECOND)])
    reads = iter(range(10**6))

    class Moody(SyntheticAdapter):
        async def read(self, child, due):
            if next(reads) % 3 == 2:
                raise ZeroDivisionError("now and then")
            async for readings in super().read(child, due):
                yield readings

    field.serve(bus, Moody)
    await asyncio.sleep(1800)
    assert caplog.text.count("Traceback") == 1
    assert len(caplog.records) < 60
    assert bus.devices["a1"].reads > 10


def test_a_child_with_a_bug_is_trusted_after_it_was_read_as_long_as_it_waited():
    schedule = Schedule()
    schedule.add("a", 0)
    assert schedule.next_task(0) == IdentifyTask("a")
    now = 0.0
    for _ in range(4):
        schedule.hold_back("a", now)
        now += 300
        assert schedule.next_task(now) == IdentifyTask("a")
    wait = schedule._entries["a"].bug_wait_seconds
    assert wait >= 8
    schedule.identified("a", now)
    assert schedule.next_task(now) == PollGroupsTask("a")
    schedule.set_poll_groups("a", {"g": SECOND}, now)
    read = schedule.next_task(now)
    assert isinstance(read, ReadTask)
    schedule.read_done(read, now)
    assert schedule._entries["a"].bug_wait_seconds == wait
    schedule.read_done(read, now + wait + 0.001)
    assert schedule._entries["a"].bug_wait_seconds == 0


def test_a_cause_is_told_at_once_then_less_and_less_often_and_forgotten_after_a_while():
    causes = RepeatedCauses()
    told = [(second, came.times) for second in range(4000) if (came := causes.count("x", second))]
    assert told == [(0, 1), (60, 60), (180, 120), (420, 240), (900, 480), (1860, 960), (3780, 1920)]
    assert causes.counts == {"x": 4000}
    assert causes.count("x", 4000 + FORGOTTEN_AFTER_SECONDS).is_first


def test_so_many_causes_are_told_apart_and_the_rest_together():
    causes = RepeatedCauses()
    is_told = [causes.count(number, 0) is not None for number in range(MOST_CAUSES + 5)]
    assert is_told == [True] * (MOST_CAUSES + 1) + [False] * 4
