"""Open, read, write and close one serial port without blocking the event loop. The only file that imports pyserial.

pyserial opens and configures the port, pyserial-asyncio waits for data. Both block or spin in some cases, which are avoided here:

- pyserial-asyncio flushes and closes in the event loop, which waits for a device that accepts nothing: its transport gets
  an object whose `flush` and `close` do nothing (`NonBlockingFile`), and the pyserial port is closed in a thread.
- pyserial's write spins while a port accepts nothing, and its read fails for file descriptors from 1024 on: `NonBlockingFile`
  reads and writes itself.
- `rfc2217://` is synchronous only: it is read in a thread, and written in another one.
- pyserial drops the socket of a peer that closed first without closing it: it is closed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import termios
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol
from weakref import WeakSet

import serial
import serial_asyncio
from serial.tools import list_ports

from adapters.serial.port.blocking_io import run_in_thread, start_thread
from adapters.serial.port.byte_pump import (
    READ_POLL_SECONDS,
    BytePump,
    NonBlockingFile,
    OnData,
    OnFailure,
    PySerialPort,
    ThreadedPump,
)
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.open_errors import STUCK, UNPLUGGED, describe_loss, in_use, lost, not_open
from adapters.serial.port.selection import ListedPort, is_plain_tcp, is_telnet, url_scheme
from adapters.serial.port.telnet import TelnetOptions, sent_by_telnet
from gateway.adapter import BusUnavailable, Cause, DeviceUnreachable, holder_of, loop_time, seconds_text

OPEN_SECONDS = 10.0
"""Time limit for opening a port; pyserial allows a device server 5 s for the connection and 3 s for the settings."""

CLOSE_SECONDS = 2.0
"""Time limit for waiting until a port is closed; closing then continues in its thread."""

WRITE_SECONDS = 2.0
"""Time that a write may take beyond the duration of its characters: a converter's own buffer has to drain first."""

MAX_FIRST_BYTES = 1024
"""Number of the first bytes of a connection that are kept: a greeting is shorter."""

_FAILURES = (serial.SerialException, OSError, ValueError, TypeError, NotImplementedError, termios.error)
"""Errors of pyserial when it cannot open or configure a port; a TypeError when the port was closed meanwhile."""

EARLY_SECONDS = 10.0
"""A device server that closes a connection so soon, and has sent nothing, does not serve it; later, it was idle."""

_ports: Final[WeakSet[Port]] = WeakSet()
"""All ports of this process, to count the connections to a device server."""

_SIGNAL_FAILURES = (serial.SerialException, OSError)


class Listener(Protocol):
    """Receives the data of a port."""

    def data_received(self, data: bytes) -> None:
        """Process received bytes, in arbitrary pieces."""

    def port_lost(self, why: str) -> None:
        """Process the loss of the port: no more data comes."""


class Port:
    """A local port by its path, a device by `tcp://host:port`, or a device server by `socket://host:port`, `rfc2217://host:port`.

    Data that is received while no listener is attached is lost.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        _ports.add(self)
        self.line: LineSettings | None = None
        """The line settings that were applied last."""
        self.loss_reason: str | None = None
        """Why the open port is unusable; `None` while it works."""
        self._listener: Listener | None = None
        self._pump: BytePump | None = None
        self._opened_at = 0.0
        self._lost = asyncio.Event()
        self._first_bytes = bytearray()
        self._keeps_first_bytes = self._is_unused = False
        """The first bytes of a new connection are kept: a device may greet before anybody listens, or after it was asked."""
        self._collected = asyncio.Event()
        self._telnet: TelnetOptions | None = None
        """The options of a connection by Telnet; `None` for any other."""
        self.may_end = False
        """The end of a connection is no loss: a new one is opened for the next request, by `renew`."""

    @property
    def first_bytes(self) -> bytes:
        """The first bytes received on a new connection, a greeting among them; empty for a local port."""
        return bytes(self._first_bytes)

    @property
    def is_unused(self) -> bool:
        """Whether this is a new connection, on which nothing was written yet; false for a local port."""
        return self._is_unused

    @property
    def is_open(self) -> bool:
        """Whether it was opened and is neither closed nor lost."""
        return self._pump is not None and self.loss_reason is None

    @property
    def _others_open(self) -> int:
        """How many other connections to this device server are open."""
        return sum(one.is_open for one in _ports if one is not self and one.address == self.address)

    @property
    def is_configurable(self) -> bool:
        """Whether speed and parity can be set from here: a device by TCP has none, and a `socket://` has its device server's."""
        return not is_plain_tcp(self.address)

    def attach(self, listener: Listener | None) -> None:
        """Deliver data to this listener only from now on; `None` for no listener."""
        self._listener = listener
        if listener is not None and self.loss_reason is not None:
            listener.port_lost(self.loss_reason)

    async def open(self, line: LineSettings) -> None:
        """Open the port with these settings.

        Raises:
            BusUnavailable: it cannot be opened; the message says how to fix it, and nothing stays open.
        """
        await self.close()
        self.loss_reason, self._lost = None, asyncio.Event()
        await self._connect(line)

    async def renew(self) -> None:
        """Open a new connection in the place of the present one, or of one that has ended.

        Raises:
            BusUnavailable: no new connection can be opened, or the port was not open before.
        """
        if self.line is None or self.loss_reason is not None:
            raise lost(self.loss_reason or f"{self.address}: it is not open")
        await self.close()
        try:
            await self._connect(self.line)
        except BusUnavailable as error:
            self._note_loss(str(error))
            raise

    async def _connect(self, line: LineSettings) -> None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                serial_port = await run_in_thread(partial(_open_pyserial, self.address, line), undo=_close_pyserial)
        except TimeoutError as error:
            text = f"{self.address}: it did not open within {seconds_text(OPEN_SECONDS)}"
            is_remote = url_scheme(self.address) is not None
            raise BusUnavailable(text, cause=Cause.HOST_UNREACHABLE if is_remote else Cause.UNKNOWN) from error
        except _FAILURES as error:
            raise await run_in_thread(partial(not_open, self.address, error, self._others_open)) from error
        kind = ThreadedPump if url_scheme(self.address) == "rfc2217" else _TransportPump
        self._first_bytes.clear()
        self._keeps_first_bytes = self._is_unused = url_scheme(self.address) is not None
        self._opened_at = loop_time()
        self._telnet = TelnetOptions() if is_telnet(self.address) else None
        self._pump, self.line = kind(serial_port, self._on_data, self._on_failure), line

    async def close(self) -> None:
        """Close the port and discard unsent data. Never raises, never waits for a device; does nothing if it is not open."""
        pump, self._pump = self._pump, None
        if pump is None:
            return
        pump.stop()
        if _disconnect(pump.serial_port):
            start_thread(partial(_close_pyserial, pump.serial_port))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await run_in_thread(partial(_close_pyserial, pump.serial_port))

    async def set_line(self, line: LineSettings) -> None:
        """Apply line settings to the open port, and discard data received before.

        Raises:
            BusUnavailable: it rejects these settings, or is lost.
        """
        pump = self._require_pump()
        if self.is_configurable:
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    await run_in_thread(partial(_apply_settings, pump.serial_port, line))
            except (TimeoutError, *_FAILURES) as error:
                raise not_open(self.address, error) from error
        self.line = line

    async def write(self, data: bytes) -> None:
        """Write the data; return when the port has accepted all of it.

        Raises:
            DeviceUnreachable: the port accepts no more data, for example due to flow control; unsent data is discarded.
            BusUnavailable: it is not open, or lost; or its device server accepts no more data.
        """
        pump = self._require_pump()
        self._is_unused = False
        character = self.line.character_seconds if self.line is not None and self.is_configurable else 0.0
        try:
            async with asyncio.timeout(WRITE_SECONDS + 1.5 * character * len(data)):
                await pump.write(data if self._telnet is None else sent_by_telnet(data))
        except TimeoutError as error:
            if url_scheme(self.address) is not None:
                self._on_failure(OSError(STUCK))
                raise lost(self.loss_reason) from error
            pump.discard_output()
            raise DeviceUnreachable(f"{self.address}: {STUCK}", cause=Cause.NO_ANSWER) from error
        except _FAILURES as error:
            self._on_failure(error)
        self._require_pump()

    async def wait_for_first_bytes(self, is_complete: Callable[[bytes], bool], seconds: float) -> None:
        """Wait until the bytes of a new connection are complete, at most for this time; not at all on a local port.

        Raises:
            BusUnavailable: it is not open, or lost.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._keeps_first_bytes and not is_complete(self.first_bytes):
                    self._require_pump()
                    self._collected.clear()
                    await self._collected.wait()
        self._require_pump()

    async def wait_until_lost(self) -> str:
        """Wait until the open port is lost, and return why."""
        await self._lost.wait()
        return self.loss_reason or UNPLUGGED

    def _require_pump(self) -> BytePump:
        if self._pump is None or self.loss_reason is not None:
            ended = "the device closed the connection" if self.may_end else "it is not open"
            raise lost(self.loss_reason or f"{self.address}: {ended}")
        return self._pump

    def _on_data(self, data: bytes) -> None:
        if self._telnet is not None:
            data, answer = self._telnet.received(data)
            if answer and self._pump is not None:
                self._pump.send(answer)
            if not data:
                return
        if self._keeps_first_bytes and len(self._first_bytes) < MAX_FIRST_BYTES:
            self._first_bytes += data[: MAX_FIRST_BYTES - len(self._first_bytes)]
            self._collected.set()
        if self._listener is not None:
            self._listener.data_received(data)

    def _on_failure(self, error: BaseException) -> None:
        if self._pump is None or self.loss_reason is not None:
            return
        self._pump.stop()
        if self.may_end:
            ended, self._pump = self._pump, None
            start_thread(partial(_close_pyserial, ended.serial_port))
            self._collected.set()
            return
        is_early = loop_time() - self._opened_at < EARLY_SECONDS and is_plain_tcp(self.address)
        was_served = bool(self._first_bytes) or not is_early
        self._note_loss(describe_loss(self.address, error, was_served=was_served, ours=self._others_open))

    def _note_loss(self, why: str) -> None:
        self.loss_reason = why
        self._lost.set()
        self._collected.set()
        if self._listener is not None:
            self._listener.port_lost(self.loss_reason)


def listed_ports() -> list[ListedPort]:
    """Return the ports that the operating system lists: neither pseudo-terminals nor links.

    Raises:
        OSError: the ports change while they are listed.
    """
    for _ in range(3):
        with contextlib.suppress(TypeError, ValueError):  # one was unplugged while its properties were read
            return [_listed_port(info) for info in list_ports.comports()]
    raise OSError("the serial ports change while they are listed")


def _listed_port(info: Any) -> ListedPort:  # noqa: ANN401 - pyserial's own
    return ListedPort(
        path=info.device,
        vid=info.vid,
        pid=info.pid,
        serial_number=info.serial_number,
        location=info.location,
        manufacturer=info.manufacturer,
        product=info.product,
    )


def _open_pyserial(address: str, line: LineSettings) -> PySerialPort:
    """Open a port and return it. May block."""
    kind = url_scheme(address)
    if kind is None and (holder := holder_of(address)) is not None:
        raise in_use(address, str(holder))
    ways: Mapping[str | None, Mapping[str, Any]] = {
        None: {"exclusive": True, "timeout": 0, "write_timeout": 0},
        "tcp": {"timeout": 0, "write_timeout": 0},
        "socket": {"timeout": 0, "write_timeout": 0},
        "rfc2217": {"timeout": READ_POLL_SECONDS},  # pyserial refuses a write timeout here
    }
    if kind not in ways:
        raise ValueError(f"{kind}:// is not supported: write tcp://, socket:// or rfc2217://")
    serial_port = serial.serial_for_url(_pyserial_url(address), do_not_open=True, **_settings(line), **ways[kind])
    serial_port.dtr, serial_port.rts = line.dtr, line.rts
    if is_plain_tcp(address):  # pyserial discards what came while it was opened, which may be the greeting of a device
        serial_port.reset_input_buffer = _keep_input
    serial_port.open()
    if (connection := _socket_of(serial_port)) is not None:
        _keep_alive(connection)
    return serial_port


def _pyserial_url(address: str) -> str:
    """Return the address as pyserial knows it: plain TCP is `socket://` there, whoever answers."""
    return f"socket://{address.partition('://')[2]}" if is_plain_tcp(address) else address


def _keep_input() -> None:
    """Stand in for a function that discards received bytes."""


def _settings(line: LineSettings) -> dict[str, Any]:
    return {
        "baudrate": line.baudrate,
        "bytesize": line.bytesize,
        "parity": line.parity,
        "stopbits": line.stopbits,
        "xonxoff": line.flow_control == "xonxoff",
        "rtscts": line.flow_control == "rtscts",
    }


def _apply_settings(serial_port: PySerialPort, line: LineSettings) -> None:
    """Apply line settings to an open port. May block."""
    serial_port.apply_settings(_settings(line))
    for wire, level in (("dtr", line.dtr), ("rts", line.rts)):
        if getattr(serial_port, wire) != level:
            with contextlib.suppress(*_SIGNAL_FAILURES):  # a pseudo-terminal has no such signals
                setattr(serial_port, wire, level)
    serial_port.reset_input_buffer()


def _socket_of(serial_port: PySerialPort) -> socket.socket | None:
    connection = getattr(serial_port, "_socket", None)
    return connection if isinstance(connection, socket.socket) else None


def _keep_alive(connection: socket.socket) -> None:
    """Detect a device server that disappeared without closing the connection, after about two minutes."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _disconnect(serial_port: PySerialPort) -> bool:
    """Close the connection to a device server at once; return whether there was one."""
    connection = _socket_of(serial_port)
    if connection is None:
        return False
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    return True


def _close_pyserial(serial_port: PySerialPort) -> None:
    """Close a port and discard unsent data. May block."""
    _disconnect(serial_port)
    with contextlib.suppress(*_FAILURES):
        if hasattr(serial_port, "fd"):
            serial_port.reset_output_buffer()  # closing waits for unsent data
    with contextlib.suppress(*_FAILURES):
        serial_port.close()


class _TransportPump(BytePump, asyncio.Protocol):
    """Reads and writes a local port or plain TCP with pyserial-asyncio."""

    def __init__(self, serial_port: PySerialPort, on_data: OnData, on_failure: OnFailure) -> None:
        super().__init__(serial_port)
        self.data_received = on_data  # type: ignore[method-assign,assignment]  # saves a call per received chunk
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._transport = serial_asyncio.SerialTransport(
            asyncio.get_running_loop(), self, NonBlockingFile(serial_port.fileno(), on_failure)
        )
        self._transport.set_write_buffer_limits(high=0)

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    async def write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._may_write.wait()

    def discard_output(self) -> None:
        self._transport.flush()
        start_thread(partial(_discard_output, self.serial_port))

    def stop(self) -> None:
        if not self._transport.is_closing():
            self._transport.abort()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()


def _discard_output(serial_port: PySerialPort) -> None:
    with contextlib.suppress(*_FAILURES):
        serial_port.reset_output_buffer()
