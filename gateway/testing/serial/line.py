"""A serial line on a real port: a pseudo-terminal with devices at its other end, which can be pulled and put back.

    async with SerialLine(Display(), link=folder / "usb-FTDI_FT232R_A10K3X9Q-if00-port0") as line:
        ...                 # open line.port with anything that opens a serial port
        line.unplug()
        line.replug()       # the same link, another name behind it, as an adapter that was put into another socket

Runs in the event loop. Nobody but the program under test has the port open; what is said while nobody has is lost, as on a wire.
"""

from __future__ import annotations

import asyncio
import os
import select
import termios
import tty
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from gateway.testing.serial.device import SerialDevice

LOOK_EVERY_SECONDS = 0.004
"""How soon it is noticed that somebody opened the port: the event loop cannot watch a port that nobody has open."""

BYTE_SECONDS = 0.001
"""Between two bytes of a device that sends them one at a time."""

REMEMBERED_BYTES = 1_000_000

_CHUNK_BYTES = 4096
_OUTPUT_SPEED = 5
_BITS_PER_CHARACTER = 10


class SerialLine:
    """A line with a port at one end and devices at the other; plugged in from its `async with` on.

    Args:
        devices: who is on it; each hears everything that is sent.
        link: a symbolic link that leads to the port while it is plugged in, as /dev/serial/by-id has them.
        baudrate: its speed; at another one nobody is understood, and characters take their time. `None`: any will do, at once.
    """

    def __init__(self, *devices: SerialDevice, link: Path | None = None, baudrate: int | None = None) -> None:
        self.devices = list(devices)
        self.echoes = False
        """What is sent comes back, as with some RS-485 adapters."""
        self.heard = bytearray()
        """What was sent to the devices: the last of it."""
        self._link = link
        self._baudrate = baudrate
        self._speed = None if baudrate is None else _termios_speed(baudrate)
        self._character = 0.0 if baudrate is None else _BITS_PER_CHARACTER / baudrate
        self._master: int | None = None
        self._path = ""
        self._is_open = False
        self._free_at = 0.0
        self._under_way: list[asyncio.TimerHandle] = []
        self._speaking: list[asyncio.Task[None]] = []
        self._looking: asyncio.TimerHandle | None = None

    @property
    def port(self) -> str:
        """What to open: the link, else what it leads to."""
        return str(self._link) if self._link is not None else self._path

    @property
    def tty_name(self) -> str:
        """What is behind the link right now; another one after each replugging."""
        return self._path

    @property
    def is_open(self) -> bool:
        """A program has the port open."""
        return self._is_open

    async def __aenter__(self) -> Self:
        self.replug()
        self._speaking = [asyncio.create_task(self._let_speak(one, every)) for one, every in _speakers(self.devices)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._speaking:
            task.cancel()
        await asyncio.gather(*self._speaking, return_exceptions=True)
        self.unplug()

    def unplug(self) -> None:
        """Pull the adapter out: who has the port open loses it, and its names are gone."""
        if self._master is None:
            return
        self._watch(is_open=False)
        if self._looking is not None:
            self._looking.cancel()
        for timer in self._under_way:
            timer.cancel()
        self._under_way.clear()
        self._free_at = 0.0
        os.close(self._master)
        self._master = None
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def replug(self) -> None:
        """Put the adapter in, or back in: under another name than before."""
        if self._master is not None:
            return
        self._master, self._path = _another_terminal(self._path)
        if self._link is not None:
            self._link.parent.mkdir(parents=True, exist_ok=True)
            self._link.symlink_to(self._path)
        self._look()

    def send(self, data: bytes) -> None:
        """Put bytes on the line towards the port, in order, each after its time."""
        self._send(data, 0.0, is_dribbled=False)

    # who has the port open --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See whether somebody opened the port, and if not, look again later."""
        if self._looking is not None:
            self._looking.cancel()
        if self._master is None:
            return
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        if any(events & select.POLLHUP for _, events in poll.poll(0)):
            self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_SECONDS, self._look)
        else:
            self._watch(is_open=True)

    def _watch(self, *, is_open: bool) -> None:
        if self._master is None or is_open == self._is_open:
            return
        self._is_open = is_open
        if is_open:
            asyncio.get_running_loop().add_reader(self._master, self._hear, self._master)
        else:
            asyncio.get_running_loop().remove_reader(self._master)

    # what is said -----------------------------------------------------------------------------------------------------

    def _hear(self, master: int) -> None:
        try:
            data = os.read(master, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # whoever had it open has closed it
            self._watch(is_open=False)
            self._look()
            return
        if self.echoes:
            self._send(data, 0.0, is_dribbled=False)
        if self._speed is not None and termios.tcgetattr(master)[_OUTPUT_SPEED] != self._speed:
            return
        self.heard += data
        del self.heard[:-REMEMBERED_BYTES]
        for device in self.devices:
            if not device.faults.deaf:
                for answer in device.hear(data):
                    self._say(device, answer, self._character * len(data) + device.faults.late_seconds)

    async def _let_speak(self, device: SerialDevice, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            if self._is_open and (speech := device.speak()):
                self._say(device, speech, 0.0)

    def _say(self, device: SerialDevice, frame: bytes, after_seconds: float) -> None:
        self._send(device.faults.mar(frame), after_seconds, is_dribbled=device.faults.one_byte_at_a_time)

    def _send(self, data: bytes, after_seconds: float, *, is_dribbled: bool) -> None:
        """Put bytes on the line after this time, behind what is on it already."""
        loop = asyncio.get_running_loop()
        pieces = [bytes([byte]) for byte in data] if is_dribbled else [data]
        at = max(loop.time() + after_seconds, self._free_at)
        self._under_way = [timer for timer in self._under_way if timer.when() > loop.time()]
        for piece in pieces:
            at += max(BYTE_SECONDS if is_dribbled else 0.0, self._character * len(piece))
            self._under_way.append(loop.call_at(at, self._put, piece))
        self._free_at = at

    def _put(self, data: bytes) -> None:
        if not self._is_open:
            self._look()
        if self._master is None or not self._is_open:
            return
        if self._speed is not None and termios.tcgetattr(self._master)[_OUTPUT_SPEED] != self._speed:
            data = _garbage(data)
        with suppress(BlockingIOError, OSError):  # what nobody takes is lost
            os.write(self._master, data)


def _speakers(devices: Iterable[SerialDevice]) -> list[tuple[SerialDevice, float]]:
    return [(one, one.speaks_every_seconds) for one in devices if one.speaks_every_seconds is not None]


def _another_terminal(last: str) -> tuple[int, str]:
    """Return a new pseudo-terminal, whose name is not the last one's."""
    unwanted: list[int] = []
    try:
        while True:
            master, slave = os.openpty()
            path = os.ttyname(slave)
            tty.setraw(slave)
            os.close(slave)
            if path != last:
                os.set_blocking(master, False)
                return master, path
            unwanted.append(master)
    finally:
        for one in unwanted:
            os.close(one)


def _garbage(data: bytes) -> bytes:
    """Return what somebody hears who listens at another speed."""
    return bytes((byte * 37 + 11) & 0xFF | 0x80 for byte in data)


def _termios_speed(baudrate: int) -> int:
    speed: int | None = vars(termios).get(f"B{baudrate}")
    if speed is None:
        raise ValueError(f"no serial port has {baudrate} bit/s")
    return speed
