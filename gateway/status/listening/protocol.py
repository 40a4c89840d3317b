"""Watch the bytes of one connection on their way to aiohttp and back, which has no time-out for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.status.listening.connections import Connection, Phase


class WatchedProtocol(asyncio.Protocol):
    """Passes everything on to the protocol of aiohttp, and notes in which phase the connection is."""

    def __init__(self, inner: asyncio.Protocol, connection: Connection, release: Callable[[Connection], None]) -> None:
        self._inner = inner
        self.connection = connection
        self._release = release

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; over TLS, after the handshake."""
        if isinstance(transport, asyncio.WriteTransport):
            self.connection.close = transport.abort
            self.connection.unsent_bytes = transport.get_write_buffer_size
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass data on; with the first bytes after a rest, a request is arriving."""
        if self.connection.phase is Phase.RESTING:
            self.connection.enter(Phase.ARRIVING)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that the client has sent everything."""
        return self._inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._release(self.connection)
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        """Pass on that the client takes too little."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client has caught up."""
        self._inner.resume_writing()


def connection_of(transport: asyncio.BaseTransport | None) -> Connection:
    """Return the connection of a request by its transport; one that counts for nothing, where the client has gone."""
    protocol = transport.get_protocol() if isinstance(transport, asyncio.BaseTransport) else None
    return protocol.connection if isinstance(protocol, WatchedProtocol) else Connection("", 0.0)
