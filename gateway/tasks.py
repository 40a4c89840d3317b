"""Ends, made certain: of a coroutine run apart, and of an iterator given up half-way; and the one clock for all waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def loop_time() -> float:
    """Return the time of the running event loop, in seconds: the clock of everything that waits, also where it is simulated."""
    return asyncio.get_running_loop().time()


async def ending_of(work: Coroutine[Any, Any, None]) -> BaseException | None:
    """Run `work` in a task of its own and return what it raised, `None` when it returned.

    A loop that starts task groups over and over must do so through this. On Python 3.11 a task group that fails while its own
    task is being cancelled can swallow that cancellation (cpython gh-116720); here the loop's task holds no group, and a
    cancellation of it ends the work and is raised.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        _how_it_ended(task)  # whoever stops a loop does not want to know, but asyncio wants somebody to have asked
        raise
    return _how_it_ended(task)


async def ended_by(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what `work` returns; `None`, and `work` cancelled, when `stop` is set before."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
    return None if working.cancelled() else working.result()


def _how_it_ended(task: asyncio.Task[None]) -> BaseException | None:
    return RuntimeError("it cancelled itself") if task.cancelled() else task.exception()


@asynccontextmanager
async def closed_after(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the iterator at the end, if it is one that can be closed, as generators are."""
    try:
        yield iterator
    finally:
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()
