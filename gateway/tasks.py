"""Run asyncio work that ends for certain, close iterators that are left early, and read the event loop's clock."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

END_SECONDS = 5.0
"""How long work that was cancelled may take to end; then it is left running, and nobody waits for it any more."""

NOTICED_AFTER_SECONDS = 1.0
"""Work that was cancelled and has not ended by then is noticed."""

_left: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
"""The tasks that were left running."""


def loop_time() -> float:
    """Return the time of the running event loop in seconds: the one clock for all waits, so that tests can simulate it."""
    return asyncio.get_running_loop().time()


async def run_in_own_task(work: Coroutine[Any, Any, None]) -> BaseException | None:
    """Run `work` in a task of its own and return what it raised; `None` when it returned.

    A loop that restarts task groups must run each round through this function. On Python 3.11 a task group that fails while its
    own task is being cancelled can swallow that cancellation (cpython gh-116720); here the loop's task contains no group, and a
    cancellation of it ends the work and is raised. Work that does not end within `END_SECONDS` is left running.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        if await end_tasks({task}):
            log.warning(
                "%s goes on although it was cancelled; nobody waits for it any more", getattr(work, "__qualname__", "a task")
            )
        raise
    return error_of(task)


async def run_together(
    works: Mapping[str, Coroutine[Any, Any, None]],
    *,
    end_seconds: Callable[[], float] = lambda: END_SECONDS,
    on_slow_end: Callable[[Collection[asyncio.Task[None]]], None] = lambda tasks: None,
    on_left: Callable[[Collection[asyncio.Task[None]]], None] = lambda tasks: None,
) -> None:
    """Run works side by side, each as a task with its name; when one fails, or the caller is cancelled, end the others.

    Like a task group, except that it ends for certain: a task that ignores its cancellation is left running.

    Args:
        works: the works by name.
        end_seconds: returns how long a cancelled task may take to end.
        on_slow_end: is called with the tasks that have not ended a moment after they were cancelled.
        on_left: is called with the tasks that are left running.
    """
    tasks = {asyncio.create_task(work, name=name) for name, work in works.items()}
    running, errors = set(tasks), list[BaseException]()
    try:
        while running and not errors:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            errors = [error for task in done if (error := error_of(task)) is not None]
    finally:
        left = await end_tasks(running, within_seconds=end_seconds(), on_slow_end=on_slow_end)
        if left:
            on_left(left)
    errors += [error for task in running - left if not task.cancelled() and (error := task.exception()) is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("several parts failed", errors)


async def end_tasks(
    tasks: Collection[asyncio.Task[T]],
    *,
    within_seconds: float = END_SECONDS,
    on_slow_end: Callable[[Collection[asyncio.Task[T]]], None] = lambda tasks: None,
) -> set[asyncio.Task[T]]:
    """Cancel tasks and wait until they have ended; return those that have not ended in time, and are left running.

    They are cancelled a second time after half of the time, since much code swallows one cancellation and passes the next.
    """
    left = {task for task in tasks if not task.done()}
    began_at = loop_time()
    for task in left:
        task.cancel()
    try:
        for seconds in (min(NOTICED_AFTER_SECONDS, within_seconds / 2), within_seconds / 2, within_seconds):
            if left:
                _, left = await asyncio.wait(left, timeout=max(began_at + seconds - loop_time(), 0))
            if left and seconds < within_seconds / 2:
                on_slow_end(left)
            elif left:
                for task in left:
                    task.cancel()
    finally:  # also when the caller is cancelled once more, and does not wait
        _left.update(left)
        for task in tasks:
            if task.done():
                error_of(task)  # asyncio warns about an error that nobody retrieved
    return left


def error_of(task: asyncio.Task[Any]) -> BaseException | None:
    """Return what a task that has ended raised; nobody else may cancel it, so a cancelled one has cancelled itself."""
    return RuntimeError("it cancelled itself") if task.cancelled() else task.exception()


def raise_if_cancelled() -> None:
    """Raise a cancellation of this task that a library has swallowed.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives together with the result, and libraries use it.

    Raises:
        CancelledError: the task was cancelled and still runs.
    """
    task = asyncio.current_task()
    if task is not None and (task.cancelling() or task in _left):
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


@asynccontextmanager
async def closed_after(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the iterator when the block ends, if it has an `aclose` method, as generators have."""
    try:
        yield iterator
    finally:
        await closed(iterator)


async def closed(iterator: AsyncIterator[T]) -> None:
    """Close an iterator, if it has an `aclose` method, as generators have."""
    if (aclose := getattr(iterator, "aclose", None)) is not None:
        await aclose()
