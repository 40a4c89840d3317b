"""A real HTTP server on loopback that notes exactly what arrives and answers what the test says, and a client of two of them."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.hub import Credentials


@dataclass(frozen=True)
class Arrived:
    """One request as it stood on the wire."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def line(self):
        return f"{self.method} {self.raw_path}"


@dataclass
class ScriptedServer:
    """Answers each request with the next thing it was told, the last one for ever, and keeps what arrived."""

    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    _script: list[Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=list)

    def answers(self, body=None, *, status=200, text=None, content_type="application/json", headers=None):
        raw = (text if text is not None else json.dumps(body)).encode()

        async def answer(_request):
            return web.Response(status=status, body=raw, headers={"Content-Type": content_type, **(headers or {})})

        self.does(answer)

    def does(self, handler):
        self._script.append(handler)

    async def handle(self, request):
        body = await request.read()
        self.arrived.append(Arrived(request.method, request.raw_path, dict(request.headers), body))
        handler = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return await handler(request)

    @property
    def only(self):
        (one,) = self.arrived
        return one


@asynccontextmanager
async def served(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{anything:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
def serve():
    """Start a further server: `async with serve(tls) as server`."""
    return served


@pytest.fixture
async def entry() -> AsyncIterator[ScriptedServer]:
    async with served() as server:
        yield server


@pytest.fixture
async def hub_server() -> AsyncIterator[ScriptedServer]:
    async with served() as server:
        yield server


@pytest.fixture
def access(entry) -> CloudAccess:
    return CloudAccess(entry_url=entry.url, allow_plain_http=True, timeout_seconds=5)


@pytest.fixture
async def hub(access) -> AsyncIterator[HttpHub]:
    async with HttpHub(access) as client:
        yield client


@pytest.fixture
def parent(hub_server) -> Credentials:
    return Credentials(
        device_id="5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701",
        access_key=SecretStr("9f2c4e6a8b0d1f3355779911bbddff02"),
        hub_url=hub_server.url,
        hub_url_static_cert=None,
        mqtt_hub_url=None,
    )


@pytest.fixture
def child(parent) -> Credentials:
    return replace(
        parent,
        device_id="a1f0c3d2-6a55-4b1e-8a3e-2f7788990011",
        access_key=SecretStr("13579bdf02468ace13579bdf02468ace"),
    )


@pytest.fixture
async def deaf() -> AsyncIterator[str]:
    """The `host:port` of a server that takes a connection and then neither reads nor says anything."""
    hold = asyncio.Event()

    async def hear_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_server(hear_nothing, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    hold.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
def closed_port() -> Iterator[str]:
    """The `host:port` of a port on which nobody listens, kept so while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"
