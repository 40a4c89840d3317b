"""Send request PDUs through pymodbus and return the response PDUs. `pymodbus_pdus.py` and `frame_descriptions.py` import it, too.

pymodbus adds and removes framing. It is kept from doing more:

- Its own time-out would close a TCP connection after a few unanswered requests, as a scan has many. `Link` ends the wait first.
- It raises inside the event loop when it cannot decode an answer, and the loop then closes the connection. `ResponseDecoder`
  returns such an answer like any other.
- Of the bytes that arrived on RTU it takes the first frame and drops the rest, whether that frame was a late answer or not, and a
  stray byte before it costs all of them. On TCP it drops late answers, and waits for ever for those with a wrong length. The link
  searches what arrived itself (`rtu_search.py`, `tcp_receiver.py`).
- On ASCII a character that is no digit raises in the event loop, and a frame that was cut short spoils the next one. The link
  finds the frames itself (`ascii_frames.py`).
- It writes its last 20 frames into the log at each error.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import termios
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from adapters.modbus.client import ascii_frames
from adapters.modbus.client.buses import Bus, SerialLine, TcpHost
from adapters.modbus.client.keepalive import detect_dead_peer
from adapters.modbus.client.open_errors import CONNECT_SECONDS, not_open, refused
from adapters.modbus.client.pdu import Request
from adapters.modbus.client.pymodbus_pdus import ResponseDecoder, request_pdu, response_pdu
from adapters.modbus.client.responses import ResponsePDU
from adapters.modbus.client.tls import FETCH_SECONDS, HANDSHAKE_SECONDS, open_tls, speaks_tls
from adapters.modbus.client.tls_errors import WANTS_TLS
from adapters.modbus.client.udp import Doubts, open_datagrams
from gateway.adapter import BusUnavailable, Cause

NEVER_SECONDS = 86_400.0
"""pymodbus's own time-out: it must never be the first to expire."""

LONGEST_CHUNK_BYTES = 65_536
"""pymodbus drops everything that arrived when it is more than this; the search leaves less than a frame of it."""

MOST_FIRST_TRANSACTION = 60_000
"""Over UDP transactions are numbered from any number up to this: the late answer to a former gateway has another one."""

_FRAMERS: Mapping[str, FramerType] = {"tcp": FramerType.SOCKET, "rtu": FramerType.RTU, "ascii": FramerType.ASCII}

_Client: TypeAlias = AsyncModbusTcpClient | AsyncModbusSerialClient

Decoded: TypeAlias = tuple[int, int, int, bytes]
"""pymodbus's decoding result: bytes used, unit, transaction, and the frame from its function code on, if any."""

Dial: TypeAlias = Callable[[Callable[[], Any]], Coroutine[Any, Any, tuple[asyncio.Transport, Any]]]
"""Opens a transport as `loop.create_connection` does, for a bus that is not a real port or host."""


_connections: Final[WeakSet[Connection]] = WeakSet()
"""All connections of this process, to count those that a host serves."""


class ConnectionLost(Exception):
    """The connection was closed before an answer arrived."""


class InvalidResponse(Exception):
    """pymodbus rejected the answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that the connection calls for everything on the bus."""

    on_sent: Callable[[bytes], None]
    """A packet is sent."""
    on_received: Callable[[bytes], None]
    """A packet arrived; on RTU and ASCII everything that arrived since the last frame."""
    find_answer: Callable[[bytes], Decoded]
    """Return the answer to the current request among all bytes that arrived."""
    on_dropped: Callable[[bytes], None]
    """The next request is sent, so these bytes, the beginning of an RTU or ASCII frame, do not become one any more."""
    without_echo: Callable[[bytes, bytes], bytes]
    """Return data from a serial port without an echo; the second argument is the echo that is still expected."""
    doubts: Doubts
    """An answer over UDP may be that to an earlier request."""


class Connection:
    """The pymodbus client of one host or line; can be opened again after it was lost."""

    def __init__(self, bus: Bus, hooks: Hooks, dial: Dial | None = None) -> None:
        self._bus = bus
        self._hooks = hooks
        self._dial = dial
        self._client: _Client | None = None
        self._is_exchanging = False
        self._loss: Exception | None = None
        """What ended the connection."""
        self._last_received = b""
        self._may_want_tls = isinstance(bus, TcpHost) and bus.transport == "tcp" and bus.tls is None
        """It has never answered, and was not asked yet whether it speaks TLS."""
        self._expects_echo = False
        _connections.add(self)
        _silence_pymodbus()

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        if self._client is None or not self._client.connected:
            return False
        return not self._client.ctx.transport.is_closing()  # pymodbus misses a close that comes while it connects

    @property
    def others_open(self) -> int:
        """The number of other connections that this process has open to the same host and port."""
        return sum(one.is_open and one._claim == self._claim for one in _connections if one is not self)  # noqa: SLF001 - of this class

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable` with what to check; on failure nothing stays open."""
        self.close()
        self._loss, self._last_received = None, b""
        failure: list[OSError] = []
        client = self._make_client()
        if (dial := self._dial or self._usual_dial()) is not None:
            client.ctx.call_create = partial(dial, lambda: client.ctx)
        client.ctx.call_create = _recording_errors(client.ctx.call_create, failure)
        try:
            async with asyncio.timeout(self._open_seconds()):
                is_open = await client.connect()
                await asyncio.sleep(0)  # a serial transport is set up by the loop's next two rounds
                await asyncio.sleep(0)
        except TimeoutError:
            is_open = False
        except BaseException:
            client.close()
            raise
        if not is_open:
            client.close()
            error = failure[0] if failure else None
            raise await asyncio.to_thread(not_open, self._bus, error) from error
        if client.ctx.transport is not None:  # else the host has closed it already, which the first request shows
            detect_dead_peer(client.ctx.transport)
        self._client = client

    def close(self) -> None:
        """Close at once. Harmless when nothing is open."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def exchange(self, unit: int, request: Request) -> ResponsePDU:
        """Send a request and return its response; waits forever, so the caller limits the time.

        Raises:
            ConnectionLost: the connection was closed meanwhile.
            BusUnavailable: it was ended by an error that a new connection would have as well.
            InvalidResponse: the answer cannot be used.
        """
        if self._client is None or not self.is_open:  # pymodbus would connect by itself, or write to what is closed
            self._check_refusal()
            raise ConnectionLost
        if not self._bus.has_transaction_ids and self._client.ctx.recv_buffer:
            self._hooks.on_dropped(self._client.ctx.recv_buffer)
        self._client.ctx.sent_buffer = b""  # a missing echo must not be awaited any longer: an answer would be taken for it
        self._is_exchanging, self._loss, self._last_received = True, None, b""
        try:
            response: ModbusPDU = await self._client.execute(no_response_expected=False, request=request_pdu(unit, request))
        except ConnectionException as error:
            self._check_refusal()
            raise ConnectionLost from error
        except ModbusException as error:
            raise InvalidResponse(error.string) from error
        finally:
            self._is_exchanging = False
        return response_pdu(response)

    def _check_refusal(self) -> None:
        """Raise `BusUnavailable` if the connection was ended by an error that a new one would have as well."""
        if (error := refused(self._bus, self._loss, self._last_received)) is not None:
            loss = self._loss
            self.close()
            raise error from loss

    async def check_for_tls(self) -> None:
        """Raise `BusUnavailable` if the host closes each connection because it speaks TLS; it is asked once."""
        if isinstance(self._bus, TcpHost) and self._may_want_tls and self._dial is None:
            self._may_want_tls = False
            if await speaks_tls(self._bus):
                self.close()
                self._may_want_tls = True  # the next one who opens this bus has to know it, too
                raise BusUnavailable(f"{self._bus.host}:{self._bus.port}: {WANTS_TLS}", cause=Cause.TLS)

    def expect_echo(self, *, expected: bool) -> None:
        """Let pymodbus skip the echo of each request from now on, or no longer."""
        self._expects_echo = expected
        if self._client is not None:
            self._client.ctx.comm_params.handle_local_echo = expected
            if expected:
                self._client.ctx.recv_buffer = b""

    def _make_client(self) -> _Client:
        match self._bus:
            case TcpHost(host=host, port=port, framing=framing):
                client: _Client = AsyncModbusTcpClient(
                    host,
                    port=port,
                    framer=_FRAMERS[framing],
                    timeout=NEVER_SECONDS,
                    retries=0,
                    reconnect_delay=0,
                    trace_packet=self._on_packet,
                    trace_connect=self._on_connection,
                )
            case SerialLine(port=path, framing=framing, baudrate=baudrate, parity=parity, stopbits=stopbits):
                client = AsyncModbusSerialClient(
                    path,
                    framer=_FRAMERS[framing],
                    baudrate=baudrate,
                    bytesize=self._bus.data_bits,
                    parity=parity,
                    stopbits=stopbits,
                    timeout=NEVER_SECONDS,
                    retries=0,
                    reconnect_delay=0,
                    trace_packet=self._on_packet,
                    trace_connect=self._on_connection,
                )
        client.ctx.framer.decoder = ResponseDecoder()
        context: Any = client.ctx
        context.connection_lost = self._recording_loss(context.connection_lost)
        client.ctx.comm_params.handle_local_echo = self._expects_echo
        framer: Any = client.ctx.framer
        framer.decode = self._hooks.find_answer
        client.ctx.max_buffer_size = LONGEST_CHUNK_BYTES
        if self._bus.framing == "ascii":
            framer.encode = lambda pdu, unit, _transaction: ascii_frames.frame_of(unit, pdu)
        if isinstance(self._bus, SerialLine):
            context.data_received = self._without_echo(context, context.data_received)
        return client

    @property
    def _claim(self) -> str | None:
        return self._bus.claim if isinstance(self._bus, TcpHost) else None

    def _open_seconds(self) -> float:
        has_tls = isinstance(self._bus, TcpHost) and self._bus.tls is not None
        return CONNECT_SECONDS + (HANDSHAKE_SECONDS + FETCH_SECONDS if has_tls else 0.0)

    def _usual_dial(self) -> Dial | None:
        """Return how the bus is reached, where pymodbus does not do it."""
        if isinstance(self._bus, TcpHost) and self._bus.transport == "udp":
            return partial(_datagrams, self._bus, self._hooks.doubts)
        if isinstance(self._bus, TcpHost) and self._bus.tls is not None:
            return partial(open_tls, host=self._bus, tls=self._bus.tls)
        return None

    def _recording_loss(self, lose: Callable[[Exception | None], None]) -> Callable[[Exception | None], None]:
        def lose_and_record(error: Exception | None) -> None:
            self._loss = error
            lose(error)

        return lose_and_record

    def _without_echo(self, context: Any, receive: Callable[[bytes], None]) -> Callable[[bytes], None]:  # noqa: ANN401 - pymodbus's
        def receive_without_echo(data: bytes) -> None:
            if rest := self._hooks.without_echo(data, context.sent_buffer):
                receive(rest)

        return receive_without_echo

    def _on_packet(self, sending: bool, packet: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        if not sending:
            self._last_received, self._may_want_tls = packet, False
        (self._hooks.on_sent if sending else self._hooks.on_received)(packet)
        return packet

    def _on_connection(self, is_open: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        """End the wait for an answer when the connection is lost: pymodbus would wait on."""
        if is_open or not self._is_exchanging or self._client is None:
            return
        waiting = self._client.ctx.response_future
        if not waiting.done():
            waiting.set_exception(ConnectionException("closed"))


_Create: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


def _recording_errors(create: _Create, failures: list[OSError]) -> _Create:
    """Return `create`, which also records why it failed: pymodbus only writes that into its log."""

    async def recording() -> Any:  # noqa: ANN401 - whatever pymodbus returns
        try:
            return await create()
        except OSError as error:
            failures.append(error)
            raise
        except termios.error as error:  # no OSError, although it is one: the port does not take these settings
            failures.append(OSError(*error.args))
        raise failures[-1]  # only here: chained to it, the error would hold on to the port, which pyserial left open

    return recording


async def _datagrams(host: TcpHost, doubts: Doubts, make_protocol: Callable[[], Any]) -> tuple[asyncio.Transport, Any]:
    transport, protocol = await open_datagrams(make_protocol, host, doubts)
    protocol.next_tid = secrets.randbelow(MOST_FIRST_TRANSACTION)
    return transport, protocol


def _silence_pymodbus() -> None:
    """Keep pymodbus's frame dumps out of the log, unless somebody set its level to see them."""
    theirs = logging.getLogger("pymodbus")
    if theirs.level == logging.NOTSET:
        theirs.setLevel(logging.CRITICAL)
