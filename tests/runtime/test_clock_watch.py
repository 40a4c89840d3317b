"""Jumps of the clock are told, and samples get their time, whatever sets the clock and how often."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from gateway.models import Sample, Status
from gateway.runtime.clock_watch import watch_clock
from gateway.state.parts import StateParts
from gateway.state.store import Store
from gateway.state.wall_clock import WallClock
from gateway.tasks import loop_time
from gateway.testing.clock import simulated

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
NO_CLOCK = datetime(1970, 1, 1, tzinfo=UTC)


class Machine:
    """A machine whose clock a test sets."""

    def __init__(self, shows):
        self.shows_at_boot = shows

    def now(self):
        return self.shows_at_boot + timedelta(seconds=loop_time())

    def set(self, shows):
        self.shows_at_boot = shows - timedelta(seconds=loop_time())


def watched(tmp_path, shows, test):
    async def main():
        machine = Machine(shows)
        clock = WallClock(now=machine.now, ticks=loop_time, boot="b1")
        async with Store(tmp_path / "s.sqlite3") as store:
            state = StateParts.on(store, most_samples=1_000, clock=clock)
            await state.load()
            watching = asyncio.create_task(watch_clock(state))
            await asyncio.sleep(1)
            await test(machine, state)
            watching.cancel()
            await asyncio.wait({watching})
            await state.events.save()
            return [event.name for event in await state.events.oldest_of_each()]

    return simulated(main())


def test_samples_of_a_clock_that_is_not_set_get_their_time_within_seconds_after_it_is(tmp_path, caplog):
    async def test(machine, state):
        caplog.set_level(logging.INFO)
        await state.outbox.put([Sample("a", machine.now(), Status.ONLINE, {"n": 1})])
        await asyncio.sleep(100)
        assert await state.outbox.oldest_of("a", 1) == []
        machine.set(NOON)
        await asyncio.sleep(3)
        (queued,) = await state.outbox.oldest_of("a", 1)
        assert abs(queued.sample.at - (NOON - timedelta(seconds=100))) < timedelta(seconds=1)

    assert watched(tmp_path, NO_CLOCK, test) == ["clock_jumped"]
    assert "the clock is not set" in caplog.text
    assert "1 samples that were taken before the clock was set have their time now" in caplog.text


def test_two_programs_that_set_the_clock_against_each_other_are_told_of_once_a_minute(tmp_path, caplog):
    async def test(machine, state):
        for second in range(300):
            machine.set(NOON + timedelta(seconds=second + 10 * (second % 2)))
            await asyncio.sleep(1)

    watched(tmp_path, NOON, test)
    assert 3 <= caplog.text.count("the clock was set") <= 7


def test_a_clock_that_runs_is_nothing_to_tell(tmp_path, caplog):
    async def test(machine, state):
        await asyncio.sleep(3_600)

    assert watched(tmp_path, NOON, test) == []
    assert caplog.text == ""
