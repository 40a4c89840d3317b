import asyncio

import pytest

from gateway.backoff import Backoff
from gateway.errors import BusUnavailable
from gateway.field.polling.keep_alive import bus_failure, keep_alive


async def nothing(error, wait_seconds):
    pass


async def test_it_starts_over_until_a_run_ends_well():
    runs, told = [], []

    async def run():
        runs.append(1)
        if len(runs) < 4:
            raise ValueError(len(runs))

    async def failed(error, wait_seconds):
        told.append((str(error), wait_seconds > 0))

    await keep_alive(run, failed, Backoff(0.001, 0.002))
    assert len(runs) == 4
    assert told == [("1", True), ("2", True), ("3", True)]


async def test_a_cancellation_from_outside_ends_it_and_its_run():
    ended = asyncio.Event()

    async def run():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = asyncio.create_task(keep_alive(run, nothing, Backoff(0.001, 0.002)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_cancellation_is_not_lost_when_a_task_group_fails_in_the_same_moment():
    """cpython gh-116720: on 3.11 the group's failure can swallow the cancellation of the task around it."""
    for _ in range(50):
        release = asyncio.Event()

        async def fail(release=release):
            await release.wait()
            raise BusUnavailable("gone")

        async def run(fail=fail):
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(asyncio.sleep(60))

        task = asyncio.create_task(keep_alive(run, nothing, Backoff(0.001, 0.002)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        release.set()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)


async def test_a_run_that_cancels_itself_is_started_over():
    runs = []

    async def run():
        runs.append(1)
        if len(runs) == 1:
            asyncio.current_task().cancel()
            await asyncio.sleep(1)

    await keep_alive(run, nothing, Backoff(0.001, 0.002))
    assert len(runs) == 2


def test_a_bus_failure_is_told_from_a_bug():
    bus = BusUnavailable("gone")
    assert bus_failure(bus) is bus
    assert bus_failure(BaseExceptionGroup("", [bus, BaseExceptionGroup("", [BusUnavailable("too")])])) is bus
    assert bus_failure(BaseExceptionGroup("", [bus, KeyError("bug")])) is None
    assert bus_failure(KeyError("bug")) is None
