"""Run the process of the gateway: an event loop that no adapter ends, and an end within a fixed time, whatever still runs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, Final, TypeVar

from gateway.event_loop import GatewayLoop
from gateway.tasks import end_tasks

log = logging.getLogger(__name__)

T = TypeVar("T")

STOP_SECONDS: Final = 7.5
"""After this time a part that hangs is ended: Docker kills a container after 10 s, and `run` promises 8."""

REST_SECONDS: Final = 0.4
"""How long what is left at the end, tasks and threads, may take to end."""


MOST_NAMES: Final = 8


def run_process(main: Coroutine[Any, Any, T], *, exit_code: Callable[[BaseException | None], int]) -> T:
    """Run the main work and return its result; where something is left that does not end, end the process at once.

    Args:
        main: the main work. When it is done, everything is stored.
        exit_code: returns the exit code for an error of the main work, or for none.
    """
    runner = asyncio.Runner(loop_factory=GatewayLoop)
    error: BaseException | None = None
    try:
        return runner.run(main)
    except BaseException as raised:
        error = raised
        raise
    finally:
        left = _what_does_not_end(runner.get_loop())
        if left:
            log.warning("ending without waiting for what does not end: %s", _summary(left))
            logging.shutdown()
            os._exit(exit_code(error))
        runner.close()


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal, or a stop that takes too long, ends the process at once.

    It does so by the real time, and also while an adapter holds the event loop.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = 0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal signals
        if loop.is_closed():  # the handler has outlived what it was for
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            signal.raise_signal(number)
            return
        signals += 1
        if signals > 1:
            end_now("a second signal came")
        end_in_time()
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def end_in_time() -> None:
    """End the process at once if it has not ended by itself when the time for a stop is over."""
    _later(STOP_SECONDS, lambda: end_now("a part did not stop in time"))


def end_now(why: str) -> None:
    """End the process at once."""
    _later(0.5, lambda: os._exit(1))  # if even the log is held by something
    log.error("exiting at once: %s; everything in the store is safe", why)
    logging.shutdown()
    os._exit(1)


def _later(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def _what_does_not_end(loop: asyncio.AbstractEventLoop) -> list[str]:
    """End the tasks and threads that are left, and return the names of those that do not end."""

    async def end_rest() -> list[str]:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        left = await end_tasks(rest, within_seconds=REST_SECONDS)
        closing = {asyncio.create_task(loop.shutdown_asyncgens()), asyncio.create_task(loop.shutdown_default_executor())}
        await asyncio.wait(closing, timeout=REST_SECONDS)
        return [f"the task {getattr(task.get_coro(), '__qualname__', task.get_name())}" for task in left]

    left = loop.run_until_complete(end_rest())
    ends_at = time.monotonic() + REST_SECONDS
    while (threads := _threads()) and time.monotonic() < ends_at:
        time.sleep(0.02)
    return left + [f"the thread {thread.name}" for thread in threads]


def _summary(names: Sequence[str]) -> str:
    """Return names that may be thousands: each once, with how often it stands there, and the most frequent ones alone."""
    counted = Counter(names).most_common()
    shown = [name if count == 1 else f"{name} ({count} times)" for name, count in counted[:MOST_NAMES]]
    return ", ".join(shown if len(counted) <= MOST_NAMES else [*shown, f"and {len(counted) - MOST_NAMES} others"])


def _threads() -> list[threading.Thread]:
    """Return the threads for which Python would wait at its end."""
    mine = threading.current_thread()
    return [thread for thread in threading.enumerate() if not thread.daemon and thread is not mine]
