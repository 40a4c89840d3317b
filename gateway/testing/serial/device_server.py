"""Serve simulated serial devices over TCP, as a device server or a device with a network port does.

async with DeviceServer(Projector(password="secret")) as server:
...                     # connect to server.port: socket://127.0.0.1:40001
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from typing import Self

from gateway.testing.serial.device import SerialDevice
from gateway.testing.tcp_reset import reset_when_closed

_CHUNK_BYTES = 4096


class DeviceServer:
    """A TCP port with devices behind it, open within its `async with` block.

    Args:
        devices: the devices; each one receives everything that is sent, and greets a new connection if it does so.
        close_idle_seconds: time without a request after which it closes a connection; `None`: never.
        host: the address to listen on.
        port: 0 takes a free one.

    Raises:
        OSError: on entering, when the port is taken.
    """

    def __init__(
        self, *devices: SerialDevice, close_idle_seconds: float | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.devices = list(devices)
        self.max_clients: int | None = None
        """Further connections are accepted and closed at once; `None`: any number is served."""
        self.closes_after_answers: int | None = None
        """A connection is closed instead of the answer after so many requests; `None`: none is."""
        self.hangs_up = False
        """A connection is closed right behind an answer."""
        self.resets = False
        """The connections that it closes are reset."""
        self.greets_after_seconds = 0.0
        """Time after which the devices greet a new connection; they answer requests before."""
        self.before_greeting = b""
        """Bytes in front of the greeting: options of Telnet, or a greeting that was kept from an earlier connection."""
        self.connections = 0
        """How many connections were opened."""
        self.received = bytearray()
        """All bytes that were sent to the devices."""
        self._close_idle_seconds = close_idle_seconds
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._host, self._port = host, port

    @property
    def port(self) -> str:
        """The URL to open: `socket://127.0.0.1:40001`; the same after `close_connections`."""
        return f"socket://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin_conversation, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        self.close_connections()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def close_connections(self) -> None:
        """Close all connections, as after a restart of the device."""
        for writer in self._writers:
            writer.close()

    def _begin_conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        greeting = b"".join(device.connected() for device in self.devices)
        greets = asyncio.get_running_loop().call_later(self.greets_after_seconds, writer.write, self.before_greeting + greeting)
        try:
            if self.max_clients is not None and len(self._writers) > self.max_clients:
                return
            for answered in count():
                async with asyncio.timeout(self._close_idle_seconds):
                    data = await reader.read(_CHUNK_BYTES)
                if not data or answered == self.closes_after_answers:
                    return
                self.received += data
                await self._answer(data, writer)
                if self.hangs_up:
                    return
        except (TimeoutError, ConnectionError):
            return
        finally:
            greets.cancel()
            self._writers.discard(writer)
            if self.resets:
                reset_when_closed(writer)
            with suppress(ConnectionError):
                writer.close()

    def greet_again(self) -> None:
        """Send the greeting on the open connections, as a device does that restarts behind a device server."""
        for writer in self._writers:
            writer.write(b"".join(device.connected() for device in self.devices))

    async def _answer(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for device in self.devices:
            if device.faults.deaf:
                continue
            for answer in device.receive(data):
                await asyncio.sleep(device.faults.late_seconds)
                writer.write(device.faults.damage(answer))
                await writer.drain()
