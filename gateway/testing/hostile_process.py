"""List what code of an adapter may change for its whole process, each by name: signals, the log, the folder, limits, a copy."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final


def _raise_timeout(*_: object) -> None:
    raise TimeoutError("an alarm")


def _exit(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    raise SystemExit(7)


def _set_bad_handler() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_exit)
    loop.call_soon(sys.exit, 3)


def _raise_by_alarm() -> None:
    signal.signal(signal.SIGALRM, _raise_timeout)
    signal.setitimer(signal.ITIMER_REAL, 0.3)


def _limit_recursion() -> None:
    threading.Thread(target=sys.setrecursionlimit, args=(60,)).start()  # it may not be lower than the present depth


def _close_errors() -> None:
    sys.stderr.close()


async def _wait_for_ever() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


_tasks: Final = list[object]()


def _start_tasks() -> None:
    _tasks.extend(asyncio.create_task(_wait_for_ever()) for _ in range(3000))


PROCESS: Final[Mapping[str, Callable[[], object]]] = MappingProxyType(
    {
        "SIGTERM is ignored": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        "the loop handles SIGTERM": lambda: asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, int),
        "an alarm": lambda: signal.alarm(1),
        "SIGUSR1 comes": lambda: signal.raise_signal(signal.SIGUSR1),
        "an alarm raises": _raise_by_alarm,
        "the exception handler exits": _set_bad_handler,
        "there is no task factory": lambda: asyncio.get_running_loop().set_task_factory(None),
        "another folder": lambda: os.chdir("/"),
        "recursion of 60": _limit_recursion,
        "the log is shut down": logging.shutdown,
        "the log is disabled": lambda: logging.disable(logging.CRITICAL),
        "the log is set up anew": lambda: logging.config.dictConfig({"version": 1}),
        "the log has no handlers": lambda: logging.getLogger().handlers.clear(),
        "the log has a high level": lambda: logging.getLogger().setLevel(100),
        "stderr is closed": _close_errors,
        "sockets time out at once": lambda: socket.setdefaulttimeout(0.0001),
        "a copy of the process": os.fork,
        "thousands of tasks": _start_tasks,
    }
)
"""What an adapter does once."""
