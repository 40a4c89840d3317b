"""One serial port: opened, written to, heard and closed, never at the event loop's expense. The only file that knows pyserial.

pyserial opens and sets, pyserial-asyncio waits; what they would block or circle on is kept from them:

- The transport flushes when it closes, for as long as a device holds us back, and a `socket://` sleeps: it gets a port whose
  `flush` and `close` do nothing (`Fitting`), and the real one is closed aside.
- pyserial's write circles while a port takes nothing, its read cannot bear file numbers from 1024 on: `Fitting` does both itself.
- `rfc2217://` waits only synchronously: it is read in a thread, and written to aside.
- pyserial drops the socket of a peer that closed first, unclosed: it is closed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import termios
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import serial
import serial_asyncio
from serial.tools import list_ports

from adapters.serial.port.blocking_io import aside, unwatched
from adapters.serial.port.byte_pump import LISTEN_SECONDS, Failed, Fitting, Heard, Opened, Threaded, Track
from adapters.serial.port.line_settings import Line
from adapters.serial.port.open_errors import STUCK, UNPLUGGED, held_by, why_lost, why_not_open
from adapters.serial.port.selection import ListedPort, scheme
from gateway.adapter import BusUnavailable, DeviceUnreachable, holder_of

OPEN_SECONDS = 10.0
"""A port that is not open by then cannot be opened; pyserial gives a device server 5 s for the connection, 3 s for settings."""

CLOSE_SECONDS = 2.0
"""So long the closing of a port is waited for; it goes on all the same."""

WRITE_SECONDS = 2.0
"""So much longer than its characters need may a write take: a converter's own buffer has to run empty first."""

_FAILURES = (serial.SerialException, OSError, ValueError, TypeError, NotImplementedError, termios.error)
"""What pyserial raises when it cannot open or set a port; a TypeError when it was closed meanwhile."""

_NO_WIRES = (serial.SerialException, OSError)


class Listener(Protocol):
    """Who is told what a port hears."""

    def heard(self, data: bytes) -> None:
        """Take what came, in whatever pieces."""

    def lost(self, why: str) -> None:
        """Take in that nothing more comes, and why."""


class Port:
    """A local port by its path, or one behind a device server: `socket://host:port`, `rfc2217://host:port`.

    What comes while nobody is attached is lost.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.line: Line | None = None
        """How it was set last."""
        self.why_lost: str | None = None
        """Why an open port is of no use any more; `None` while it is."""
        self._listener: Listener | None = None
        self._track: Track | None = None
        self._gone = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """It was opened and not closed, and is not lost."""
        return self._track is not None and self.why_lost is None

    @property
    def can_be_set(self) -> bool:
        """Speed and parity can be chosen here: of a `socket://`, only its device server knows them."""
        return scheme(self.address) != "socket"

    def attach(self, listener: Listener | None) -> None:
        """Tell this listener, and nobody else, what comes from now on; `None` for nobody."""
        self._listener = listener
        if listener is not None and self.why_lost is not None:
            listener.lost(self.why_lost)

    async def open(self, line: Line) -> None:
        """Open the port with these settings.

        Raises:
            BusUnavailable: it cannot be opened; the text says what mends it, and nothing stays open.
        """
        await self.close()
        self.why_lost, self._gone = None, asyncio.Event()
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                opened = await aside(partial(_opened, self.address, line), undo=_close)
        except TimeoutError as error:
            raise BusUnavailable(f"{self.address}: it does not open within {OPEN_SECONDS:g} s") from error
        except _FAILURES as error:
            raise BusUnavailable(why_not_open(self.address, error)) from error
        kind = Threaded if scheme(self.address) == "rfc2217" else _Transported
        self._track, self.line = kind(opened, self._heard, self._failed), line

    async def close(self) -> None:
        """Close the port, and throw away what was not sent. Never raises, waits for no device. Harmless when it is not open."""
        track, self._track = self._track, None
        if track is None:
            return
        track.stop()
        if _hang_up(track.opened):
            unwatched(partial(_close, track.opened))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await aside(partial(_close, track.opened))

    async def set_line(self, line: Line) -> None:
        """Set the open port to this speed, parity and so on, and throw away what was heard before.

        Raises:
            BusUnavailable: it does not take these settings, or is lost.
        """
        track = self._opened_track()
        if self.can_be_set:
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    await aside(partial(_set, track.opened, line))
            except (TimeoutError, *_FAILURES) as error:
                raise BusUnavailable(why_not_open(self.address, error)) from error
        self.line = line

    async def write(self, data: bytes) -> None:
        """Hand this to the port, and return when it has taken all.

        Raises:
            DeviceUnreachable: it takes no more, as when flow control holds us back; what was not sent is thrown away.
            BusUnavailable: it is not open, or lost; or its device server takes no more.
        """
        track = self._opened_track()
        character = self.line.character_seconds if self.line is not None and self.can_be_set else 0.0
        try:
            async with asyncio.timeout(WRITE_SECONDS + 1.5 * character * len(data)):
                await track.write(data)
        except TimeoutError as error:
            if scheme(self.address) is not None:
                self._failed(OSError(STUCK))
                raise BusUnavailable(self.why_lost) from error
            track.throw_away()
            raise DeviceUnreachable(f"{self.address}: {STUCK}") from error
        except _FAILURES as error:
            self._failed(error)
        self._opened_track()

    async def lost(self) -> str:
        """Return why the open port is of no use any more, once it is."""
        await self._gone.wait()
        return self.why_lost or UNPLUGGED

    def _opened_track(self) -> Track:
        if self._track is None or self.why_lost is not None:
            raise BusUnavailable(self.why_lost or f"{self.address}: it is not open")
        return self._track

    def _heard(self, data: bytes) -> None:
        if self._listener is not None:
            self._listener.heard(data)

    def _failed(self, error: BaseException) -> None:
        if self._track is None or self.why_lost is not None:
            return
        self._track.stop()
        self.why_lost = why_lost(self.address, error)
        self._gone.set()
        if self._listener is not None:
            self._listener.lost(self.why_lost)


def listed_ports() -> list[ListedPort]:
    """Return the ports that this machine has, as it tells of them; pseudo-terminals and names of one's own are never among them.

    Raises:
        OSError: they change too quickly to be told.
    """
    for _ in range(3):
        with contextlib.suppress(TypeError, ValueError):  # one was pulled out while it was asked about
            return [_listed(info) for info in list_ports.comports()]
    raise OSError("the serial ports change while they are looked at")


def _listed(info: Any) -> ListedPort:  # noqa: ANN401 - pyserial's own
    return ListedPort(
        path=info.device,
        vid=info.vid,
        pid=info.pid,
        serial_number=info.serial_number,
        location=info.location,
        manufacturer=info.manufacturer,
        product=info.product,
    )


def _opened(address: str, line: Line) -> Opened:
    """Open a port and return it. May take its time."""
    kind = scheme(address)
    if kind is None and (holder := holder_of(address)) is not None:
        raise BusUnavailable(held_by(address, str(holder)))
    ways: Mapping[str | None, Mapping[str, Any]] = {
        None: {"exclusive": True, "timeout": 0, "write_timeout": 0},
        "socket": {"timeout": 0, "write_timeout": 0},
        "rfc2217": {"timeout": LISTEN_SECONDS},  # a write timeout it refuses
    }
    if kind not in ways:
        raise ValueError(f"{kind}:// is not among socket:// and rfc2217://")
    opened = serial.serial_for_url(address, do_not_open=True, **_settings(line), **ways[kind])
    opened.dtr, opened.rts = line.dtr, line.rts
    opened.open()
    if (connection := _socket_of(opened)) is not None:
        _keep_alive(connection)
    return opened


def _settings(line: Line) -> dict[str, Any]:
    return {
        "baudrate": line.baudrate,
        "bytesize": line.bytesize,
        "parity": line.parity,
        "stopbits": line.stopbits,
        "xonxoff": line.flow_control == "xonxoff",
        "rtscts": line.flow_control == "rtscts",
    }


def _set(opened: Opened, line: Line) -> None:
    """Set an open port. May take its time."""
    opened.apply_settings(_settings(line))
    for wire, level in (("dtr", line.dtr), ("rts", line.rts)):
        if getattr(opened, wire) != level:
            with contextlib.suppress(*_NO_WIRES):  # a pseudo-terminal has none
                setattr(opened, wire, level)
    opened.reset_input_buffer()


def _socket_of(opened: Opened) -> socket.socket | None:
    connection = getattr(opened, "_socket", None)
    return connection if isinstance(connection, socket.socket) else None


def _keep_alive(connection: socket.socket) -> None:
    """Have a device server that went without a word be noticed after about two minutes."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _hang_up(opened: Opened) -> bool:
    """End the connection to a device server at once; say whether there was one."""
    connection = _socket_of(opened)
    if connection is None:
        return False
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    return True


def _close(opened: Opened) -> None:
    """Close a port, and throw away what was not sent. May take its time."""
    _hang_up(opened)
    with contextlib.suppress(*_FAILURES):
        if hasattr(opened, "fd"):
            opened.reset_output_buffer()  # closing waits for what is not sent
    with contextlib.suppress(*_FAILURES):
        opened.close()


class _Transported(Track, asyncio.Protocol):
    """By pyserial-asyncio: a local port, a `socket://`."""

    def __init__(self, opened: Opened, heard: Heard, failed: Failed) -> None:
        super().__init__(opened)
        self.data_received = heard  # type: ignore[method-assign,assignment]  # a call less for everything that comes
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._transport = serial_asyncio.SerialTransport(asyncio.get_running_loop(), self, Fitting(opened.fileno(), failed))
        self._transport.set_write_buffer_limits(high=0)

    async def write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._may_write.wait()

    def throw_away(self) -> None:
        self._transport.flush()
        unwatched(partial(_throw_away, self.opened))

    def stop(self) -> None:
        if not self._transport.is_closing():
            self._transport.abort()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()


def _throw_away(opened: Opened) -> None:
    with contextlib.suppress(*_FAILURES):
        opened.reset_output_buffer()
