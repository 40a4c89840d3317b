"""Keep what belongs to the whole process as the gateway has set it: code of an adapter may change it for everybody.

Signals, the log, the folder, the limit of recursion and the time-out of sockets are one each for a process. Libraries set them as
if the process were theirs: one that takes SIGTERM over keeps the gateway from its stop, one that sets up logging silences it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway.event_loop import GatewayLoop
from gateway.field.guard.repeated_causes import RepeatedCauses
from gateway.runtime.log_level import chosen_level, keep_present_level

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS: Final = 1.0

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
STRAY_SIGNALS: Final = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2, signal.SIGIO)
"""Signals that end a process that does not handle them, and that code of an adapter may cause."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Something of the process that is looked after."""

    name: str
    now: Callable[[], Any]
    put_back: Callable[[Any], object]


async def keep_process_state() -> None:
    """Keep the state that the process has now until cancelled, where its event loop is the gateway's own."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, GatewayLoop):
        await ProcessState(loop).keep()


class ProcessState:
    """What the process was like when this was made.

    Args:
        loop: its event loop, in whose thread this is called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._causes = RepeatedCauses()
        self._came = set[str]()
        """The signals that came since the last look."""
        keep_present_level()
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._parts = tuple(_parts(loop, signals=STOP_SIGNALS if in_main_thread else ()))
        self._kept = {part: part.now() for part in self._parts}
        self._handlers = tuple(logging.getLogger().handlers)
        stray = STRAY_SIGNALS if in_main_thread else ()
        self._handled = [number for number in stray if signal.getsignal(number) is signal.SIG_DFL]
        for number in self._handled:
            signal.signal(number, self._note_signal)

    async def keep(self) -> None:
        """Put back what was changed, until cancelled."""
        try:
            while True:
                self.put_back()
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            for number in self._handled:
                signal.signal(number, signal.SIG_IGN)  # Python forgets other handlers while it ends

    def put_back(self) -> None:
        """Put back what was changed since this was made."""
        changed = [name for name in ("the log",) if self._mend_log()]
        for part in self._parts:
            if part.now() != self._kept[part]:
                part.put_back(self._kept[part])
                changed.append(part.name)
        came, self._came = self._came, set()
        for name in sorted(came):
            self._tell(name, "%s came, which nobody handles; the gateway goes on")
        for name in changed:
            self._tell(name, "%s was changed by code in this process, most likely of an adapter; it is as before again")

    def _mend_log(self) -> bool:
        """Let the log be written again where it was silenced; return whether it was."""
        root, manager = logging.getLogger(), logging.root.manager
        silenced = [
            one
            for name, one in manager.loggerDict.items()
            if isinstance(one, logging.Logger) and one.disabled and name.partition(".")[0] == "gateway"
        ]
        missing = [handler for handler in self._handlers if handler not in root.handlers]
        closed = [one for one in self._handlers if isinstance(one, logging.StreamHandler) and one.stream.closed]
        for logger in silenced:
            logger.disabled = False
        for handler in missing:
            root.addHandler(handler)
        for stream_handler in closed:
            with contextlib.suppress(OSError):  # the descriptor is closed as well
                stream_handler.stream = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - as long as the process runs
        return bool(silenced or missing or closed)

    def _note_signal(self, number: int, _frame: object) -> None:
        """Go on at a signal that nobody handles; it is told with the next look, when the log is certain to be written."""
        self._came.add(signal.Signals(number).name)

    def _tell(self, name: str, text: str) -> None:
        came = self._causes.count((name, text), self._loop.time())
        if came is not None:
            again = "" if came.is_first else f" ({came.times} times since it was last told)"
            log.warning(f"{text}%s", name, again)  # noqa: G004 - one of two texts of this file


def _parts(loop: asyncio.AbstractEventLoop, *, signals: tuple[signal.Signals, ...]) -> list[_Part]:
    root = logging.getLogger()
    return [
        *map(_handler_of, signals),
        _Part("the level of the log", lambda: root.level == chosen_level(), lambda _: root.setLevel(chosen_level())),
        _Part("the level below which the log is silent", lambda: root.manager.disable, logging.disable),
        _Part("the working directory", _folder, _change_folder),
        _Part("the limit of recursion", sys.getrecursionlimit, sys.setrecursionlimit),
        _Part("the default time-out of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
        _Part("the exception handler of the event loop", loop.get_exception_handler, loop.set_exception_handler),
        _Part("the task factory of the event loop", loop.get_task_factory, loop.set_task_factory),
    ]


def _handler_of(number: signal.Signals) -> _Part:
    return _Part(f"the handler of {number.name}", partial(signal.getsignal, number), partial(signal.signal, number))


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a text is compared
    except OSError:  # it was removed
        return None


def _change_folder(before: str | None) -> None:
    if before is not None:
        with contextlib.suppress(OSError):
            os.chdir(before)
