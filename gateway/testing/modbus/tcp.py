"""Simulate units behind one TCP port, as behind a Modbus gateway: Modbus TCP, or RTU or ASCII frames over TCP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Literal, Self, TypeAlias

from gateway.testing.modbus.ascii import serial_framing
from gateway.testing.modbus.connections import HEALTHY_CONNECTIONS, MemoryConnection, ServedConnection
from gateway.testing.modbus.conversation import Send, SimulatedBus, end
from gateway.testing.modbus.exception_codes import ExceptionCode
from gateway.testing.modbus.mbap_faults import FaultyMbap, MbapFaults
from gateway.testing.modbus.tls import TlsStream
from gateway.testing.modbus.unit import SimulatedUnit
from gateway.testing.tcp_reset import reset_when_closed

TcpFraming: TypeAlias = Literal["tcp", "rtu", "ascii"]
Close: TypeAlias = Callable[[], Awaitable[None]]

_RTU_OVER_TCP_SILENCE_SECONDS = 0.1
"""TCP has no pauses: a gateway waits this long for the rest of a frame before it drops it."""


class ModbusTcpHost(SimulatedBus):
    """A host with Modbus units, open while entered; any number of clients at once, unless `connection_faults` says otherwise.

    Without being entered it can be dialled in memory, also in simulated time: `Link(TcpHost(host="virtual"), dial=host.dial)`.

    Args:
        units: the units behind it.
        host: the address to listen on.
        port: 0 takes a free one.
        framing: `tcp` for Modbus TCP, `rtu` or `ascii` for frames with checksums (and broadcasts) over TCP.
        unknown_unit: the exception for a unit that is not there, 0A or 0B; `None` is no answer.
        tls: the TLS context of the server, which may require certificates of clients; `None` is plain TCP.

    Raises:
        ValueError: two units have the same id.
        OSError: on entering, when the port is taken.
    """

    def __init__(
        self,
        units: Iterable[SimulatedUnit],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        framing: TcpFraming = "tcp",
        unknown_unit: ExceptionCode | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._mbap = FaultyMbap()
        super().__init__(
            units,
            self._mbap if framing == "tcp" else serial_framing(framing),
            silence_seconds=_RTU_OVER_TCP_SILENCE_SECONDS if framing == "rtu" else None,
            unknown_unit=unknown_unit,
            has_broadcast=framing != "tcp",
        )
        self.host = host
        self.framing = framing
        self.port = port
        """The port to connect to; known once entered."""
        self.connection_faults = HEALTHY_CONNECTIONS
        self.connections = 0
        """How many connections were accepted so far, those that were closed at once included."""
        self.tls = tls
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    @property
    def mbap_faults(self) -> MbapFaults:
        """The mistakes in the headers of its answers; without effect on RTU frames."""
        return self._mbap.faults

    @mbap_faults.setter
    def mbap_faults(self, faults: MbapFaults) -> None:
        self._mbap.faults = faults

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening and close the connection of every client."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection of every client, and go on listening: a host that restarts."""
        await end(self._conversations)

    async def dial(self, protocol_factory: Callable[[], Any]) -> tuple[asyncio.Transport, Any]:
        """Connect in memory, as `loop.create_connection` connects through a socket."""
        protocol = protocol_factory()
        connection = MemoryConnection(protocol)
        protocol.connection_made(connection)

        async def close() -> None:
            connection.close()

        self._start(connection.reader, connection.deliver, close)
        return connection, protocol

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(frame: bytes) -> None:
            if writer.is_closing():
                return
            writer.write(frame)
            with suppress(ConnectionError):
                await writer.drain()

        async def close() -> None:
            if self.connection_faults.resets:
                reset_when_closed(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        if self.tls is None:
            self._start(reader, send, close)
            return
        stream = TlsStream(self.tls, reader, writer)
        decrypting = asyncio.create_task(stream.decrypt(), name=f"TLS client of port {self.port}")

        async def close_tls() -> None:
            decrypting.cancel()
            await close()

        self._start(stream.reader, stream.send, close_tls)

    def _start(self, reader: asyncio.StreamReader, send: Send, close: Close) -> None:
        conversation = asyncio.create_task(self._serve(reader, send, close), name=f"modbus client of port {self.port}")
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _serve(self, reader: asyncio.StreamReader, send: Send, close: Close) -> None:
        self.connections += 1
        faults, connection = self.connection_faults, ServedConnection(lambda: self.connection_faults)
        idle: asyncio.Task[None] | None = None
        try:
            if faults.max_clients is not None and len(self._conversations) > faults.max_clients:
                return
            if faults.idle_limit_seconds is not None:
                idle = asyncio.create_task(connection.close_when_idle(faults.idle_limit_seconds, close))
            await self.converse(reader, send, connection.serves_request)
        finally:
            if idle is not None:
                idle.cancel()
            await close()
