"""Move the bytes of an open port into and out of the event loop without blocking it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from adapters.serial.port.blocking_io import run_in_thread, start_thread

READ_POLL_SECONDS = 0.25
"""A reading thread checks at this interval whether it has been stopped."""

CHUNK_BYTES = 4096

PySerialPort: TypeAlias = Any
"""A port object of pyserial, which has no type annotations."""

OnData: TypeAlias = Callable[[bytes], None]
OnFailure: TypeAlias = Callable[[BaseException], None]


class BytePump(ABC):
    """Base class: moves the bytes of one open port into and out of the event loop."""

    def __init__(self, serial_port: PySerialPort) -> None:
        self.serial_port = serial_port

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Write a few bytes without waiting for the port to accept them."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Write the data; return when the port has accepted it."""

    @abstractmethod
    def discard_output(self) -> None:
        """Discard what has not been sent yet."""

    @abstractmethod
    def stop(self) -> None:
        """Stop reading and writing at once."""


class NonBlockingFile:
    """Non-blocking reads and writes on the file descriptor of a port, as pyserial-asyncio's transport expects of a serial object.

    Reports the failure of the port through a callback instead of an exception.
    """

    timeout = write_timeout = 0.0

    def __init__(self, number: int, on_failure: OnFailure) -> None:
        self._error_number = number
        self._on_failure = on_failure

    def fileno(self) -> int:
        """Return the file descriptor that the event loop watches."""
        return self._error_number

    def read(self, size: int) -> bytes:
        """Return the bytes received so far; none if the port is lost."""
        try:
            data = os.read(self._error_number, max(size, CHUNK_BYTES))
        except BlockingIOError:
            return b""
        except OSError as error:
            self._on_failure(error)
            return b""
        if not data:
            self._on_failure(OSError("the port was readable, but returned no data"))
        return data

    def write(self, data: bytes) -> int:
        """Write as many bytes as the port accepts and return their number.

        Raises:
            BlockingIOError: the port accepts nothing now, or is lost: then its transport has been stopped and does not retry.
        """
        try:
            return os.write(self._error_number, data)
        except BlockingIOError:
            raise
        except OSError as error:
            self._on_failure(error)
            raise BlockingIOError from error

    def flush(self) -> None:
        """Do nothing: the owner of the pyserial port closes it, and unsent bytes are discarded."""

    def close(self) -> None:
        """Do nothing, for the same reason as `flush`."""


class ThreadedPump(BytePump):
    """Reads an `rfc2217://` port in a thread, since pyserial implements it synchronously only."""

    def __init__(self, serial_port: PySerialPort, on_data: OnData, on_failure: OnFailure) -> None:
        super().__init__(serial_port)
        self._on_data, self._on_failure = on_data, on_failure
        self._loop = asyncio.get_running_loop()
        self._is_stopped = False
        threading.Thread(target=self._read, daemon=True, name="serial port").start()

    def send(self, data: bytes) -> None:
        """Write a few bytes in a thread of their own."""
        start_thread(partial(self.serial_port.write, data))

    async def write(self, data: bytes) -> None:
        """Write the data; return when the device server has accepted it."""
        await run_in_thread(partial(self.serial_port.write, data))

    def discard_output(self) -> None:
        """Do nothing: written bytes have been sent already."""

    def stop(self) -> None:
        """Stop delivering what is read."""
        self._is_stopped = True

    def _read(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while not self._is_stopped:
                try:
                    data = self.serial_port.read(1)
                    data += self.serial_port.read(min(self.serial_port.in_waiting, CHUNK_BYTES)) if data else b""
                except (OSError, TypeError, AttributeError) as error:  # the latter two when the port was closed meanwhile
                    self._loop.call_soon_threadsafe(self._deliver_failure, error)
                    return
                if data:
                    self._loop.call_soon_threadsafe(self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if not self._is_stopped:
            self._on_data(data)

    def _deliver_failure(self, error: BaseException) -> None:
        if not self._is_stopped:
            self._on_failure(error)
