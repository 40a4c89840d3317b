"""Work that may block, done beside the event loop in a thread that nobody has to wait for.

Opening and closing a port can hang for as long as its driver or a name server likes. The threads of an executor would be waited
for when the gateway stops; these are not.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
    """Return what the work returns, or raise what it raises.

    Who is cancelled does not wait for it; what it then still returns is handed to `undo`, in a thread too.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def nobody_wants(result: T) -> None:
        if undo is not None:
            unwatched(lambda: undo(result))

    def deliver(result: T) -> None:
        if outcome.done():
            nobody_wants(result)
        else:
            outcome.set_result(result)

    def fail(error: BaseException) -> None:
        if not outcome.done():
            outcome.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where the work was asked for
            _tell(loop, partial(fail, error))
        else:
            if not _tell(loop, partial(deliver, result)):
                nobody_wants(result)

    unwatched(run)
    try:
        return await outcome
    except asyncio.CancelledError:
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            nobody_wants(outcome.result())
        raise


def unwatched(work: Callable[[], object]) -> None:
    """Have this done, by and by."""
    threading.Thread(target=work, daemon=True, name="serial port").start()


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Say whether the loop still was there to be told."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # it is closed
        return False
    return True
