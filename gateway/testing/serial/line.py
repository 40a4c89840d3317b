"""Simulate a serial line: a pseudo-terminal with simulated devices at its other end, which can be unplugged and replugged.

    async with SerialLine(Display(), link=folder / "usb-FTDI_FT232R_A10K3X9Q-if00-port0") as line:
        ...                 # open line.port with anything that opens a serial port
        line.unplug()
        line.replug()       # the same link, but another tty name behind it, like an adapter in another socket

Runs in the event loop. Only the program under test opens the port; bytes that are sent while it is not open are lost.
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

CHECK_OPEN_EVERY_SECONDS = 0.004
"""Interval of the check whether the port has been opened: the event loop cannot watch a pseudo-terminal that is not open."""

BYTE_GAP_SECONDS = 0.001
"""Pause between two bytes of a device that sends them one at a time."""

MAX_RECEIVED_BYTES = 1_000_000

_CHUNK_BYTES = 4096
_OUTPUT_SPEED = 5
_BITS_PER_CHARACTER = 10


class SerialLine:
    """A line with a port at one end and devices at the other, plugged in within its `async with` block.

    Args:
        devices: the devices on the line; each one receives everything that is sent.
        link: a symbolic link to the port while it is plugged in, like those in /dev/serial/by-id.
        baudrate: its speed, which delays characters; at another speed, garbage is received. `None`: any speed, no delay.
    """

    def __init__(self, *devices: SerialDevice, link: Path | None = None, baudrate: int | None = None) -> None:
        self.devices = list(devices)
        self.echoes = False
        """Sent bytes are echoed, as by some RS-485 adapters."""
        self.received = bytearray()
        """The latest bytes that were sent to the devices."""
        self._link = link
        self._baudrate = baudrate
        self._speed = None if baudrate is None else _termios_speed(baudrate)
        self._character = 0.0 if baudrate is None else _BITS_PER_CHARACTER / baudrate
        self._master: int | None = None
        self._path = ""
        self._is_open = False
        self._free_at = 0.0
        self._timers: list[asyncio.TimerHandle] = []
        self._sender_tasks: list[asyncio.Task[None]] = []
        self._check_timer: asyncio.TimerHandle | None = None

    @property
    def port(self) -> str:
        """The path to open: the link, else the pseudo-terminal."""
        return str(self._link) if self._link is not None else self._path

    @property
    def tty_name(self) -> str:
        """The current pseudo-terminal behind the link; another one after each replugging."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether a program has the port open."""
        return self._is_open

    async def __aenter__(self) -> Self:
        self.replug()
        self._sender_tasks = [
            asyncio.create_task(self._send_periodically(one, every)) for one, every in _sending_devices(self.devices)
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._sender_tasks:
            task.cancel()
        await asyncio.gather(*self._sender_tasks, return_exceptions=True)
        self.unplug()

    def unplug(self) -> None:
        """Unplug the adapter: a program that has the port open loses it, and its names disappear."""
        if self._master is None:
            return
        self._set_open(is_open=False)
        if self._check_timer is not None:
            self._check_timer.cancel()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._free_at = 0.0
        os.close(self._master)
        self._master = None
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def replug(self) -> None:
        """Plug the adapter in, or in again, with another tty name than before."""
        if self._master is not None:
            return
        self._master, self._path = _new_terminal(self._path)
        if self._link is not None:
            self._link.parent.mkdir(parents=True, exist_ok=True)
            self._link.symlink_to(self._path)
        self._check_open()

    def send(self, data: bytes) -> None:
        """Send bytes to the port, in order, each after its duration on the line."""
        self._send(data, 0.0, is_bytewise=False)

    # opening and closing of the port ----------------------------------------------------------------------------------

    def _check_open(self) -> None:
        """Check whether the port has been opened, and if not, check again later."""
        if self._check_timer is not None:
            self._check_timer.cancel()
        if self._master is None:
            return
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        if any(events & select.POLLHUP for _, events in poll.poll(0)):
            self._check_timer = asyncio.get_running_loop().call_later(CHECK_OPEN_EVERY_SECONDS, self._check_open)
        else:
            self._set_open(is_open=True)

    def _set_open(self, *, is_open: bool) -> None:
        if self._master is None or is_open == self._is_open:
            return
        self._is_open = is_open
        if is_open:
            asyncio.get_running_loop().add_reader(self._master, self._on_readable, self._master)
        else:
            asyncio.get_running_loop().remove_reader(self._master)

    # data on the line -------------------------------------------------------------------------------------------------

    def _on_readable(self, master: int) -> None:
        try:
            data = os.read(master, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # the program has closed the port
            self._set_open(is_open=False)
            self._check_open()
            return
        if self.echoes:
            self._send(data, 0.0, is_bytewise=False)
        if self._speed is not None and termios.tcgetattr(master)[_OUTPUT_SPEED] != self._speed:
            return
        self.received += data
        del self.received[:-MAX_RECEIVED_BYTES]
        for device in self.devices:
            if not device.faults.deaf:
                for answer in device.receive(data):
                    self._send_frame(device, answer, self._character * len(data) + device.faults.late_seconds)

    async def _send_periodically(self, device: SerialDevice, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            if self._is_open and (message := device.unsolicited()):
                self._send_frame(device, message, 0.0)

    def _send_frame(self, device: SerialDevice, frame: bytes, after_seconds: float) -> None:
        self._send(device.faults.damage(frame), after_seconds, is_bytewise=device.faults.one_byte_at_a_time)

    def _send(self, data: bytes, after_seconds: float, *, is_bytewise: bool) -> None:
        """Send bytes to the port after this time, behind those that are on the line already."""
        loop = asyncio.get_running_loop()
        pieces = [bytes([byte]) for byte in data] if is_bytewise else [data]
        at = max(loop.time() + after_seconds, self._free_at)
        self._timers = [timer for timer in self._timers if timer.when() > loop.time()]
        for piece in pieces:
            at += max(BYTE_GAP_SECONDS if is_bytewise else 0.0, self._character * len(piece))
            self._timers.append(loop.call_at(at, self._write, piece))
        self._free_at = at

    def _write(self, data: bytes) -> None:
        if not self._is_open:
            self._check_open()
        if self._master is None or not self._is_open:
            return
        if self._speed is not None and termios.tcgetattr(self._master)[_OUTPUT_SPEED] != self._speed:
            data = _garbled(data)
        with suppress(BlockingIOError, OSError):  # bytes that the port does not accept are lost
            os.write(self._master, data)


def _sending_devices(devices: Iterable[SerialDevice]) -> list[tuple[SerialDevice, float]]:
    return [(one, one.sends_every_seconds) for one in devices if one.sends_every_seconds is not None]


def _new_terminal(last: str) -> tuple[int, str]:
    """Return a new pseudo-terminal with another name than the last one."""
    unused: list[int] = []
    try:
        while True:
            master, slave = os.openpty()
            path = os.ttyname(slave)
            tty.setraw(slave)
            os.close(slave)
            if path != last:
                os.set_blocking(master, False)
                return master, path
            unused.append(master)
    finally:
        for one in unused:
            os.close(one)


def _garbled(data: bytes) -> bytes:
    """Return the bytes that are received at another speed."""
    return bytes((byte * 37 + 11) & 0xFF | 0x80 for byte in data)


def _termios_speed(baudrate: int) -> int:
    speed: int | None = vars(termios).get(f"B{baudrate}")
    if speed is None:
        raise ValueError(f"no serial port supports {baudrate} bit/s")
    return speed
