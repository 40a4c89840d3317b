import asyncio
from contextlib import suppress

import pytest

from gateway.errors import BusUnavailable
from gateway.field.polling.timed_steps import STEP_SECONDS, TimedSteps
from gateway.tasks import loop_time


@pytest.fixture
def ended():
    return []


@pytest.fixture
def steps(ended):
    return TimedSteps(lambda purpose, seconds: ended.append((purpose, seconds)))


async def taking(seconds, result=None):
    await asyncio.sleep(seconds)
    return result


async def test_a_step_is_measured_and_its_result_is_returned(steps, ended):
    assert await steps.run("reading", taking(2, "values"), "a") == "values"
    assert ended == [("a", pytest.approx(2))]


async def test_a_step_that_fails_is_measured_too(steps, ended):
    async def fail():
        await asyncio.sleep(3)
        raise BusUnavailable("gone")

    with pytest.raises(BusUnavailable):
        await steps.run("reading", fail(), "a")
    assert ended == [("a", pytest.approx(3))]


async def test_a_step_that_hangs_is_reported_by_its_name_and_others_are_not(steps):
    slow = asyncio.create_task(steps.run("reading", taking(STEP_SECONDS * 3), "slow"))
    begun = loop_time()
    with pytest.raises(BusUnavailable, match="reading did not finish within 60 s"):
        await steps.watch()
    assert STEP_SECONDS < loop_time() - begun <= STEP_SECONDS * 1.2
    slow.cancel()


async def test_steps_that_end_in_time_are_never_reported(steps):
    watching = asyncio.create_task(steps.watch())
    for _ in range(5):
        await steps.run("reading", taking(STEP_SECONDS * 0.9), "a")
    assert not watching.done()
    watching.cancel()


async def test_a_cancellation_that_a_step_swallows_is_raised_after_it(steps):
    async def swallow():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    task = asyncio.create_task(steps.run("reading", swallow(), "a"))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_step_that_ended_is_not_reported_however_long_ago_it_began(steps):
    watching = asyncio.create_task(steps.watch())
    await steps.run("reading", taking(1), "a")
    await asyncio.sleep(STEP_SECONDS * 3)
    assert not watching.done()
    watching.cancel()
