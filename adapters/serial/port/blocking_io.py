"""Run blocking calls in daemon threads, which never delay the shutdown of the gateway.

Opening and closing a port can hang for as long as its driver or a name server does. The event loop would wait for the threads of
an executor when it stops; it does not wait for these.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
    """Run the work in a thread and return its result, or raise its error.

    A cancelled caller does not wait for the thread; a result that comes later is passed to `undo`, also in a thread.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def discard(result: T) -> None:
        if undo is not None:
            start_thread(lambda: undo(result))

    start_thread(lambda: _run(work, loop, outcome, discard))
    try:
        return await outcome
    except asyncio.CancelledError:
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            discard(outcome.result())
        raise


def start_thread(work: Callable[[], object]) -> None:
    """Run the work in a daemon thread, without waiting for it."""
    threading.Thread(target=work, daemon=True, name="serial port").start()


def _run(
    work: Callable[[], T], loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[T], discard: Callable[[T], None]
) -> None:
    """Run the work in this thread and set its outcome in the loop; discard a result that nobody waits for any more."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again in the caller of `run_in_thread`
        _call_in_loop(loop, partial(_fail, outcome, error))
    else:
        if not _call_in_loop(loop, partial(_succeed, outcome, result, discard)):
            discard(result)


def _succeed(outcome: asyncio.Future[T], result: T, discard: Callable[[T], None]) -> None:
    if outcome.done():
        discard(result)
    else:
        outcome.set_result(result)


def _fail(outcome: asyncio.Future[T], error: BaseException) -> None:
    if not outcome.done():
        outcome.set_exception(error)


def _call_in_loop(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Schedule the callback in the loop; return whether the loop was still open."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # it is closed
        return False
    return True
