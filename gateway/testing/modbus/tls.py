"""Serve TLS to one client as devices do: whatever is wrong, the client is told by an alert before the connection is closed.

asyncio's own server closes without the alert, so that a client could not tell why.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

_CHUNK_BYTES = 16_384


class TlsStream:
    """The server side of TLS on a connection.

    Args:
        context: the certificate of the server, and which certificates of clients it accepts.
        reader: what the client sends.
        writer: goes to the client.
    """

    def __init__(self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = asyncio.StreamReader()
        """What the client sends inside TLS."""
        self._raw, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def decrypt(self) -> None:
        """Do the handshake, and hand over what the client sends, until it disconnects or something is wrong."""
        has_begun = False
        try:
            while chunk := await self._raw.read(_CHUNK_BYTES):
                self._incoming.write(chunk)
                with suppress(ssl.SSLWantReadError):
                    if not has_begun:
                        self._tls.do_handshake()
                        has_begun = True
                    while plain := self._tls.read(_CHUNK_BYTES):
                        self.reader.feed_data(plain)
                await self._flush()
        except (ssl.SSLError, ConnectionError):
            with suppress(ConnectionError):
                await self._flush()  # the alert
        finally:
            self.reader.feed_eof()

    async def send(self, plain: bytes) -> None:
        """Encrypt and send."""
        self._tls.write(plain)
        await self._flush()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            self._writer.write(data)
            await self._writer.drain()
