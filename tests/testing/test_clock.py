"""Simulated time: jumps over waits, stands still for what happens outside, and says so when nothing can happen any more."""

import asyncio
import time

import pytest

from gateway.testing.clock import NothingWillHappen, simulated


def now():
    return asyncio.get_running_loop().time()


def test_ten_minutes_take_no_time_and_last_exactly_ten_minutes():
    async def main():
        await asyncio.sleep(600)
        await asyncio.sleep(0.0123)
        return now()

    begun = time.monotonic()
    assert simulated(main()) == pytest.approx(600.0123, abs=1e-9)
    assert time.monotonic() - begun < 60


def test_timers_fire_in_their_order_and_at_their_time():
    async def main():
        fired = []
        for delay in (3, 1, 2, 1.5):
            asyncio.get_running_loop().call_later(delay, lambda delay=delay: fired.append((delay, now())))
        await asyncio.sleep(5)
        return fired

    assert simulated(main()) == [(delay, pytest.approx(delay)) for delay in (1, 1.5, 2, 3)]


def test_a_timeout_ends_a_wait_at_its_time():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return now()

    assert simulated(main()) == pytest.approx(5)


def test_time_stands_still_while_work_is_under_way_in_a_thread():
    async def main():
        ticks = []

        async def tick():
            while True:
                await asyncio.sleep(1)
                ticks.append(now())

        ticking = asyncio.create_task(tick())
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
        ticking.cancel()
        return ticks, now()

    assert simulated(main()) == ([], 0.0)


def test_a_program_that_waits_for_nothing_is_told_so():
    async def main():
        await asyncio.Event().wait()

    with pytest.raises(NothingWillHappen, match="would wait for ever"):
        simulated(main())


def test_what_is_raised_and_what_is_left_over_end_as_in_real_time():
    ended = []

    async def forever():
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append(now())

    async def main():
        task = asyncio.create_task(forever())
        await asyncio.sleep(7)
        assert not task.done()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        simulated(main())
    assert ended == [pytest.approx(7)]


def test_many_days_pass_without_a_timer_that_never_fires():
    async def main():
        for _ in range(1000):
            await asyncio.sleep(3600.1)
        return now()

    assert simulated(main()) == pytest.approx(3_600_100)


def test_a_loop_that_waits_until_its_time_has_come_ends_however_short_the_last_wait_is():
    async def main():
        until = 120.0
        await asyncio.sleep(until - 8.5e-14)
        rounds = 0
        while now() < until:
            rounds += 1
            assert rounds < 100
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(until - now()))], timeout=until - now())
        return now()

    assert simulated(main()) == pytest.approx(120)
