"""Work is started in a task group unless the group is ending."""

import asyncio

from gateway.tasks import start_in


async def test_work_runs_in_a_group_that_goes_on():
    ran = []

    async def work():
        ran.append(True)

    async with asyncio.TaskGroup() as group:
        assert start_in(group, work())
    assert ran == [True]


async def test_work_is_dropped_by_a_group_that_is_ending():
    ran, started = [], []

    async def work():
        ran.append(True)

    async def start_at_the_end(group):
        try:
            await asyncio.Event().wait()
        finally:
            started.append(start_in(group, work()))

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(start_at_the_end(group))

    task = asyncio.create_task(main())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert (started, ran) == ([False], [])
