"""How the bytes of an open port get into the event loop and out of it, without ever stopping it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from adapters.serial.port.blocking_io import aside

LISTEN_SECONDS = 0.25
"""A thread that reads looks so often whether it is over."""

CHUNK_BYTES = 4096

Opened: TypeAlias = Any
"""A port as pyserial has it, which carries no types."""

Heard: TypeAlias = Callable[[bytes], None]
Failed: TypeAlias = Callable[[BaseException], None]


class Track(ABC):
    """How the bytes of an open port get into the event loop, and out of it."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Return when the port has taken this."""

    @abstractmethod
    def throw_away(self) -> None:
        """Send no more of what was to be written."""

    @abstractmethod
    def stop(self) -> None:
        """Hear no more, write no more, at once."""


class Fitting:
    """A port as its transport sees it: takes or gives at once what can be, tells of its end, and never blocks."""

    timeout = write_timeout = 0.0

    def __init__(self, number: int, failed: Failed) -> None:
        self._number = number
        self._failed = failed

    def fileno(self) -> int:
        """Return the number that the event loop watches."""
        return self._number

    def read(self, size: int) -> bytes:
        """Return what has come; of a lost port, nothing."""
        try:
            data = os.read(self._number, max(size, CHUNK_BYTES))
        except BlockingIOError:
            return b""
        except OSError as error:
            self._failed(error)
            return b""
        if not data:
            self._failed(OSError("it says that it can be read, and returned no data"))
        return data

    def write(self, data: bytes) -> int:
        """Write as much as the port takes.

        Raises:
            BlockingIOError: it takes nothing now, or is lost: then its transport has been stopped, and tries no more.
        """
        try:
            return os.write(self._number, data)
        except BlockingIOError:
            raise
        except OSError as error:
            self._failed(error)
            raise BlockingIOError from error

    def flush(self) -> None:
        """Do nothing: who holds the real port closes it, and nobody waits for what is not sent."""

    def close(self) -> None:
        """Do nothing, as above."""


class Threaded(Track):
    """By a thread that reads: an `rfc2217://`."""

    def __init__(self, opened: Opened, heard: Heard, failed: Failed) -> None:
        super().__init__(opened)
        self._heard, self._failed = heard, failed
        self._loop = asyncio.get_running_loop()
        self._is_over = False
        threading.Thread(target=self._read, daemon=True, name="serial port").start()

    async def write(self, data: bytes) -> None:
        """Return when the device server has taken this."""
        await aside(partial(self.opened.write, data))

    def throw_away(self) -> None:
        """Do nothing: what is written is on its way."""

    def stop(self) -> None:
        """Hear no more."""
        self._is_over = True

    def _read(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while not self._is_over:
                try:
                    data = self.opened.read(1)
                    data += self.opened.read(min(self.opened.in_waiting, CHUNK_BYTES)) if data else b""
                except (OSError, TypeError, AttributeError) as error:  # the latter two when it was closed meanwhile
                    self._loop.call_soon_threadsafe(self._tell_failed, error)
                    return
                if data:
                    self._loop.call_soon_threadsafe(self._tell_heard, data)

    def _tell_heard(self, data: bytes) -> None:
        if not self._is_over:
            self._heard(data)

    def _tell_failed(self, error: BaseException) -> None:
        if not self._is_over:
            self._failed(error)
