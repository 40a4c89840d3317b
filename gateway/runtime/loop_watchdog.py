"""Name the code that holds the event loop: a thread looks at the loop, and at what it does when a round takes too long.

While an adapter waits with `time.sleep` or computes for seconds, no bus is served and no call answered. The clock of the loop
does not count that time (see `gateway.event_loop`), so nobody is called silent for it; here it is told whose code it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.event_loop import GatewayLoop
from gateway.field.guard.repeated_causes import RepeatedCauses

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS: Final = 0.25
STALL_SECONDS: Final = 1.0
"""A round of the loop that takes so long is told."""

SHOWN_FOR_SECONDS: Final = 3600.0


class LoopWatchdog:
    """Watches the event loop from a thread of its own.

    Args:
        loop: the loop, in whose thread this is called.
        adapters: the adapter classes by their type, whose code is named.
    """

    def __init__(self, loop: GatewayLoop, adapters: Mapping[str, type[Adapter[Any]]]) -> None:
        self._loop = loop
        self._packages = packages_of(adapters)
        self._thread_id = threading.get_ident()
        self._causes = RepeatedCauses()
        self._is_ended = threading.Event()
        self._told_round: float | None = None
        self._culprit = ""
        self._seen_at = 0.0

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="loop watchdog", daemon=True).start()

    def end(self) -> None:
        """Watch no longer."""
        self._is_ended.set()

    @property
    def notice(self) -> str | None:
        """What an operator should know: who has held the event loop in the last hour; `None` if nobody."""
        if not self._culprit or time.monotonic() - self._seen_at > SHOWN_FOR_SECONDS:
            return None
        times = sum(self._causes.counts.values())
        return f"{self._culprit} has held the event loop, so that nothing else was served ({times} times in all)"

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._is_ended.wait(LOOK_EVERY_SECONDS):
            late_seconds = time.monotonic() - looked_at - LOOK_EVERY_SECONDS
            looked_at = time.monotonic()
            if late_seconds < STALL_SECONDS / 2:  # else this thread stood still as well: the machine did, or the interpreter
                self._look(looked_at)

    def _look(self, now: float) -> None:
        since = self._loop.busy_since
        if since is None or since == self._told_round or now - since < STALL_SECONDS:
            return
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - the documented way to the stack of another thread
        if frame is None or self._loop.busy_since != since:
            return
        self._told_round = since
        self._culprit, self._seen_at = self._name(list(_outwards(frame))), now
        came = self._causes.count(self._culprit, now)
        if came is not None:
            again = "" if came.is_first else f" ({came.times} times since it was last told)"
            log.error(
                "%s holds the event loop%s: no bus is served and no call made meanwhile. An adapter has to await what takes"
                " time, or to do it in asyncio.to_thread",
                *(self._culprit, again),
            )

    def _name(self, frames: list[FrameType]) -> str:
        """Return whose code runs: the adapter, its method and the line; else the line of whatever runs."""
        for kind, package in self._packages.items():
            own = [frame for frame in frames if f"{frame.f_globals.get('__name__', '')}.".startswith(f"{package}.")]
            if own:
                return f"the adapter {kind}, in `{own[-1].f_code.co_name}` ({_place(own[0])}),"
        theirs = [frame for frame in frames if "asyncio" not in frame.f_code.co_filename]
        return f"the code at {_place((theirs or frames)[0])}"


def packages_of(adapters: Mapping[str, type[Adapter[Any]]]) -> dict[str, str]:
    """Return the package of each adapter: the outermost one that no other adapter is in."""
    modules = {kind: adapter.__module__.split(".") for kind, adapter in adapters.items()}
    packages = {}
    for kind, parts in modules.items():
        others = [other for name, other in modules.items() if name != kind and other != parts]
        depth = next((n for n in range(1, len(parts) + 1) if all(other[:n] != parts[:n] for other in others)), len(parts))
        packages[kind] = ".".join(parts if parts[0] == "gateway" else parts[:depth])
    return packages


def watching(adapters: Mapping[str, type[Adapter[Any]]]) -> LoopWatchdog | None:
    """Return a started watchdog of the running loop; `None` where that is another loop, as in simulated time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, GatewayLoop):
        return None
    watchdog = LoopWatchdog(loop, adapters)
    stray = StrayErrors(packages_of(adapters))
    loop.set_exception_handler(stray.record)
    threading.excepthook = partial(stray.record_of_thread, loop)
    sys.unraisablehook = partial(stray.record_unraisable, loop)
    watchdog.start()
    return watchdog


class StrayErrors:
    """Logs errors that nobody has awaited, such as those of a task that an adapter has started; repeated ones less often."""

    def __init__(self, packages: Mapping[str, str]) -> None:
        self._packages = packages
        self._causes = RepeatedCauses()

    def record_of_thread(self, loop: asyncio.AbstractEventLoop, args: threading.ExceptHookArgs) -> None:
        """Handle what ends a thread; see `threading.excepthook`."""
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):  # an exit ends the thread alone, as asked
            self._record_soon(loop, "a thread has failed", args.exc_value)

    def record_unraisable(self, loop: asyncio.AbstractEventLoop, args: sys.UnraisableHookArgs) -> None:
        """Handle what cannot be raised, as out of `__del__`; see `sys.unraisablehook`."""
        if args.exc_value is not None:
            self._record_soon(loop, args.err_msg or "an object has failed when it was freed", args.exc_value)

    def _record_soon(self, loop: asyncio.AbstractEventLoop, message: str, error: BaseException) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self.record, loop, {"message": message, "exception": error})

    def record(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what the loop reports; see `loop.set_exception_handler`."""
        error, message = context.get("exception"), str(context.get("message"))
        modules, place = _modules_and_place(error)
        came = self._causes.count((type(error), place, None if error else message), loop.time())
        if came is None:
            return
        whose = [kind for kind, package in self._packages.items() if any(f"{one}.".startswith(f"{package}.") for one in modules)]
        who = f"a bug in the adapter {whose[0]}, in what it has started itself" if whose else "an error that nobody has awaited"
        again = "" if came.is_first else f" ({came.times} times since it was last told)"
        log.error("%s%s: %s", who, again, message, exc_info=error if came.is_first and error is not None else None)


def _modules_and_place(error: BaseException | None) -> tuple[list[str], str]:
    modules, place = list[str](), ""
    trace = None if error is None else error.__traceback__
    while trace is not None:
        modules.append(str(trace.tb_frame.f_globals.get("__name__", "")))
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return modules, place


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
