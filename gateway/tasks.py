"""Run asyncio work that ends for certain, close iterators that are left early, and read the event loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def loop_time() -> float:
    """Return the time of the running event loop in seconds: the one clock for all waits, so that tests can simulate it."""
    return asyncio.get_running_loop().time()


async def run_in_own_task(work: Coroutine[Any, Any, None]) -> BaseException | None:
    """Run `work` in a task of its own and return what it raised; `None` when it returned.

    A loop that restarts task groups must run each round through this function. On Python 3.11 a task group that fails while its
    own task is being cancelled can swallow that cancellation (cpython gh-116720); here the loop's task contains no group, and a
    cancellation of it ends the work and is raised.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        _error_of(task)  # the caller is stopping and does not need it, but asyncio warns about an error that nobody retrieved
        raise
    return _error_of(task)


def raise_if_cancelled() -> None:
    """Raise a cancellation of this task that a library has swallowed.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives together with the result, and libraries use it.

    Raises:
        CancelledError: the task was cancelled and still runs.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def run_until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of `work`; cancel it and return `None` when `stop` is set first."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
    return None if working.cancelled() else working.result()


async def wait_until(event: asyncio.Event, at: float | None) -> bool:
    """Wait until the event is set, or until the loop time `at` at most; return whether it is set. `None`: without a limit."""
    try:
        async with asyncio.timeout_at(at):
            await event.wait()
    except TimeoutError:
        return False
    return True


def start_in(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> bool:
    """Run `work` as a task of the group; `False`, and nothing is run, when the group is ending already."""
    try:
        group.create_task(work)
    except RuntimeError:
        work.close()
        return False
    return True


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return RuntimeError("it cancelled itself") if task.cancelled() else task.exception()


@asynccontextmanager
async def closed_after(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the iterator when the block ends, if it has an `aclose` method, as generators have."""
    try:
        yield iterator
    finally:
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()
