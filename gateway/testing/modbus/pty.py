"""Connect a virtual line to a pseudo-terminal, so that any program can use it as a serial port."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.testing.modbus.line import VirtualLine

_CHUNK_BYTES = 4096
_OUTPUT_SPEED = 5


@asynccontextmanager
async def on_a_pty(line: VirtualLine) -> AsyncIterator[str]:
    """Connect the line to a pseudo-terminal and yield the path of the port, which any program can open; real time only.

        async with on_a_pty(VirtualLine(units, baudrate=9600)) as port:
            ...

    A master at another speed is not understood, as on a real line; a pseudo-terminal has no parity and no stop bits. A request
    has to
    be written in one piece. The delays of the operating system, a few tenths of a millisecond, appear in `line.violations`, too:
    check for those that are much too short.

    Raises:
        ValueError: no serial port has the speed of the line.
    """
    speed = _termios_speed(line.baudrate)
    master, slave = os.openpty()
    port: Any = None
    try:
        tty.setraw(slave)
        os.set_blocking(master, False)
        port, _ = await line.dial(lambda: _Outlet(master))
        asyncio.get_running_loop().add_reader(master, _forward_to_line, master, slave, speed, port)
        yield os.ttyname(slave)
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if port is not None:
            port.close()
        os.close(master)
        os.close(slave)


class _Outlet(asyncio.Protocol):
    """Writes what the master receives into the pseudo-terminal; bytes that nobody reads are lost, as on a real line."""

    def __init__(self, master: int) -> None:
        self._master = master

    def data_received(self, data: bytes) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._master, data)


def _forward_to_line(master: int, slave: int, speed: int, port: Any) -> None:  # noqa: ANN401 - the line's own transport
    with suppress(BlockingIOError):
        data = os.read(master, _CHUNK_BYTES)
        port.is_understood = termios.tcgetattr(slave)[_OUTPUT_SPEED] == speed
        port.write(data)


def _termios_speed(baudrate: int) -> int:
    speed: int | None = vars(termios).get(f"B{baudrate}")
    if speed is None:
        raise ValueError(f"no serial port has {baudrate} bit/s")
    return speed
