"""Simulate units on a serial bus, behind a pseudo-terminal that a client opens like any serial port."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Self

from gateway.testing.modbus.ascii import SerialFraming, serial_framing
from gateway.testing.modbus.conversation import SimulatedBus, end
from gateway.testing.modbus.framing import Frame, Framing
from gateway.testing.modbus.unit import SimulatedUnit

BITS_PER_CHARACTER = 11
"""Start, eight data, parity or a second stop, stop (Modbus over Serial Line V1.02, section 2.5.1)."""
_SHORTEST_SILENCE_SECONDS = 0.02
"""The operating system delivers a client's frame in pieces that are further apart than the 3.5 characters of a real line."""
_CHUNK_BYTES = 4096
_OUTPUT_SPEED = 5


class ModbusRtuBus(SimulatedBus):
    """A serial bus with Modbus units, open while entered. One client at a time, as on any port.

    The bus ignores a client whose port has another speed, as real units do. (A pseudo-terminal has no parity.)

    Args:
        units: the units on it.
        baudrate: the speed of the line, in bits per second; one that termios has a name for.
        paced: an exchange takes as long as on a line of this speed; otherwise no time.
        framing: what the units speak: `rtu`, `ascii`, or a framing such as `Ascii(lower_case=True)`.

    Raises:
        ValueError: two units have the same id, or termios does not know this speed.
    """

    def __init__(
        self,
        units: Iterable[SimulatedUnit],
        *,
        baudrate: int = 19200,
        paced: bool = False,
        framing: SerialFraming | Framing = "rtu",
    ) -> None:
        super().__init__(
            units,
            serial_framing(framing),
            silence_seconds=max(frame_silence_seconds(baudrate), _SHORTEST_SILENCE_SECONDS),
            has_broadcast=True,
            exchange_time=self._exchange_seconds,
        )
        self.baudrate = baudrate
        self.paced = paced
        self.port = ""
        """The path of the device to open as a serial port; known once entered."""
        self._speed = _termios_speed(baudrate)
        self._master = self._slave = -1
        self._conversations: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        """Open the pseudo-terminal; its client end stays open too, so that a client may come and go."""
        self._master, self._slave = os.openpty()
        self.port = os.ttyname(self._slave)
        os.set_blocking(self._master, False)
        tty.setraw(self._slave)
        _set_speed(self._slave, self._speed)
        reader = asyncio.StreamReader()
        asyncio.get_running_loop().add_reader(self._master, self._receive, reader)
        self._conversations = (asyncio.create_task(self.converse(reader, self._send), name=f"modbus bus {self.port}"),)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Unplug the port: an open client gets an input/output error."""
        asyncio.get_running_loop().remove_reader(self._master)
        try:
            await end(self._conversations)
        finally:
            os.close(self._master)
            os.close(self._slave)

    async def send_as_other_master(self, request: bytes) -> None:
        """Send this request, including its checksum, as another master: the client receives it, and then the unit's answer."""
        await self._send(request)
        async with asyncio.TaskGroup() as late_answers:
            for frame in self._framing.take(bytearray(request), after_silence=True):
                await self._respond(frame, self._send, late_answers)

    def _receive(self, reader: asyncio.StreamReader) -> None:
        with suppress(BlockingIOError):
            data = os.read(self._master, _CHUNK_BYTES)
            if termios.tcgetattr(self._slave)[_OUTPUT_SPEED] == self._speed:
                reader.feed_data(data)

    async def _send(self, sent: bytes) -> None:
        """Write bytes to the client; bytes that nobody reads are lost, as on a real line."""
        with suppress(BlockingIOError):
            os.write(self._master, sent)

    def _exchange_seconds(self, request: Frame, sent: bytes) -> float:
        if not self.paced:
            return 0
        characters = len(self._framing.bytes_of(request)) + len(sent)
        return characters * BITS_PER_CHARACTER / self.baudrate + frame_silence_seconds(self.baudrate)


def frame_silence_seconds(baudrate: int) -> float:
    """Return the silence between two frames: 3.5 characters, fixed above 19200 bit/s (Serial Line V1.02, section 2.5.1.1)."""
    return 3.5 * BITS_PER_CHARACTER / baudrate if baudrate <= 19200 else 0.00175


def _termios_speed(baudrate: int) -> int:
    speeds: Mapping[str, int] = vars(termios)
    if f"B{baudrate}" not in speeds:
        raise ValueError(f"no serial port has {baudrate} bit/s")
    return speeds[f"B{baudrate}"]


def _set_speed(port: int, speed: int) -> None:
    attributes = termios.tcgetattr(port)
    attributes[4] = attributes[5] = speed
    termios.tcsetattr(port, termios.TCSANOW, attributes)
