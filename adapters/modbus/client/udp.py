"""Exchange datagrams with a UDP host, as an asyncio transport that carries packets like a connection.

UDP has no connection. "Open" means that the name of the host is known and this machine has a port; whether the host is there, the
first answer tells. What differs from a connection:

- A host on which nothing listens refuses each datagram with an ICMP message. This ends the transport with the error.
- Requests and answers get lost, which the time-out and the retries handle; late answers are known by their transaction id.
- An answer may come from another port of the host than the one that was asked: some send from a port of their own. It is taken,
  and said once. Answers from other addresses are not taken; they may explain a silence.
- A datagram is complete: bytes of a former one are never a part of it, where frames have transaction ids. RTU and ASCII frames
  may be spread over several, as a device server receives them.
- The network may deliver an answer twice. Without a transaction id the second one would be taken for the answer to a later
  request. So a datagram that equals the answer to another request a moment ago is not taken. If nothing else arrives, a read is
  sent again once no copy can arrive any more: where values are equal, its answer is.

Two sockets share the local port: one is connected to the host and receives the ICMP messages, the other receives what comes from
elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.modbus.client.buses import TcpHost
from gateway.adapter import loop_time

log = logging.getLogger("adapters.modbus")

COPY_SECONDS = 0.25
"""How much later than a datagram its copy arrives at most."""

RECENT_DATAGRAMS = 64

READ_FUNCTIONS = frozenset({1, 2, 3, 4, 17, 43})
"""The functions that may be sent twice: a write could be executed twice."""

_Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
"""What `getaddrinfo` returns for each address."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Functions that are called when an answer may be that to an earlier request."""

    on_doubt: Callable[[float], None]
    """The read is sent again at this time, unless something else arrives: it takes longer."""
    is_awaited: Callable[[], bool]
    """Whether somebody waits for an answer: what arrives otherwise may be a late answer, and is no copy of one."""
    may_ask_again: Callable[[], bool]
    """It is sent again now, so that two answers may arrive, if this returns that somebody still waits for one."""
    on_confirmed: Callable[[], None]
    """The answer to both is the same."""


async def open_datagrams(make_protocol: Callable[[], Any], host: TcpHost, doubts: Doubts) -> tuple[asyncio.Transport, Any]:
    """Open a transport to a UDP host, as `loop.create_connection` does for a TCP host; `doubts` as in `DatagramTransport`.

    Raises:
        OSError: the name is not known, the local port is taken, or there is no way to the host.
    """
    loop, protocol = asyncio.get_running_loop(), make_protocol()
    found = await loop.getaddrinfo(host.host, host.port, type=socket.SOCK_DGRAM)
    connected, other = _first_sockets(found, host.local_port or 0)
    transport = DatagramTransport(host, protocol, connected.getpeername(), doubts)
    transport.connected, _ = await loop.create_datagram_endpoint(
        lambda: _Socket(transport.receive, transport.fail), sock=connected
    )
    if other is not None:
        transport.other, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(transport.receive_from_elsewhere, lambda _: None), sock=other
        )
    protocol.connection_made(transport)
    return transport, protocol


def _first_sockets(found: Iterable[_Address], local_port: int) -> tuple[socket.socket, socket.socket | None]:
    """Return the two sockets for the first of these addresses to which this machine has a way."""
    failure: OSError = OSError("the name has no address")
    for family, _, _, _, address in found:
        connected = _unbound(family)
        try:
            connected.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", local_port))  # noqa: S104 - answers come to any address
            connected.connect(address)
        except OSError as error:
            connected.close()
            failure = error
            continue
        other = _unbound(family)
        try:
            other.bind(connected.getsockname())
        except OSError:  # then answers from other ports are not heard
            other.close()
            return connected, None
        return connected, other
    raise failure


def _unbound(family: int) -> socket.socket:
    """Return a socket that may share its port with another one of this process."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return made


class DatagramTransport(asyncio.Transport):
    """The transport of one UDP host.

    Args:
        host: its settings.
        protocol: the asyncio protocol that receives what it sends.
        address: where it is.
        doubts: is told when a read is asked for again.
    """

    def __init__(
        self,
        host: TcpHost,
        protocol: Any,  # noqa: ANN401 - pymodbus's
        address: tuple[Any, ...],
        doubts: Doubts | None = None,
    ) -> None:
        super().__init__()
        self.connected: asyncio.DatagramTransport | None = None
        self.other: asyncio.DatagramTransport | None = None
        self._host = host
        self._protocol = protocol
        self._address = address
        self._doubts = doubts
        self._sent = b""
        self._recent: deque[tuple[float, bytes, bytes]] = deque(maxlen=RECENT_DATAGRAMS)
        """Until when a datagram that was handed over may come again, the request before it, and the datagram."""
        self._asking_again: asyncio.TimerHandle | None = None
        self._doubtful: bytes | None = None
        """What has arrived since the request and may be an earlier answer again."""
        self._told: object = None
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one datagram."""
        self._ask_no_more()
        self._sent = bytes(data)
        self._send_now()

    def receive(self, data: bytes, sender: tuple[Any, ...]) -> None:
        """Hand a datagram of the host over, unless it may be an earlier one again."""
        del sender
        if self._is_closing:
            return
        is_awaited = self._doubts is None or self._doubts.is_awaited()
        copies_until = self._copies_until(data, is_awaited=is_awaited)
        if copies_until <= loop_time():
            if data == self._doubtful and self._asking_again is None and self._doubts is not None:
                self._doubts.on_confirmed()
            self._ask_no_more()
            self._deliver(data)
        elif is_awaited and self._asking_again is None and _function_of(self._sent) in READ_FUNCTIONS:
            self._asking_again = asyncio.get_running_loop().call_at(copies_until, self._ask_again)
            self._doubtful = data
            if self._doubts is not None:
                self._doubts.on_doubt(copies_until)

    def receive_from_elsewhere(self, data: bytes, sender: tuple[Any, ...]) -> None:
        """Hand a datagram over that came from another port of the host, and say so; from another address only say so."""
        is_host = sender[0] == self._address[0]
        came_from, expected = (sender[1], self._address[1]) if is_host else (sender[0], self._address[0])
        if came_from != self._told:
            self._told = came_from
            what = "port" if is_host else "the address"
            advice = "; they are taken" if is_host else ", and are not taken: does the device have two addresses?"
            log.warning("%s: datagrams come from %s %s instead of %s%s", self._host.label, what, came_from, expected, advice)
        if is_host:
            self.receive(data, sender)

    def fail(self, error: Exception) -> None:
        """End the transport, because the host or this machine refuses to carry datagrams."""
        self._end(error)

    def close(self) -> None:
        """Close at once."""
        self._end(None)

    abort = close

    def is_closing(self) -> bool:
        """Return whether it was closed or has failed."""
        return self._is_closing

    def _send_now(self) -> None:
        if self.connected is not None and not self._is_closing:
            self.connected.sendto(self._sent)

    def _deliver(self, data: bytes) -> None:
        self._recent.append((loop_time() + COPY_SECONDS, self._sent, data))
        if self._host.has_transaction_ids:
            self._protocol.recv_buffer = b""
        self._protocol.data_received(data)

    def _copies_until(self, data: bytes, *, is_awaited: bool) -> float:
        """Return until when a datagram may be an answer again that was to another request or is done with; 0 if it cannot be."""
        if self._host.has_transaction_ids:
            return 0.0
        earlier = (one for one in self._recent if not is_awaited or one[1] != self._sent)
        same = (until for until, _, one in earlier if one == data)
        return max(same, default=0.0)

    def _ask_again(self) -> None:
        self._asking_again = None
        if self._doubts is None or self._doubts.may_ask_again():
            self._send_now()

    def _ask_no_more(self) -> None:
        if self._asking_again is not None:
            self._asking_again.cancel()
        self._asking_again = self._doubtful = None

    def _end(self, error: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._ask_no_more()
        for one in (self.connected, self.other):
            if one is not None:
                one.close()
        self._protocol.connection_lost(error)


def _function_of(frame: bytes) -> int:
    """Return the function of an RTU or ASCII request."""
    return int(frame[3:5], 16) if frame[:1] == b":" else frame[1]


class _Socket(asyncio.DatagramProtocol):
    """Hands over what one socket receives."""

    def __init__(self, on_datagram: Callable[[bytes, tuple[Any, ...]], None], on_error: Callable[[Exception], None]) -> None:
        self._on_datagram = on_datagram
        self._on_error = on_error

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._on_datagram(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._on_error(exc)
