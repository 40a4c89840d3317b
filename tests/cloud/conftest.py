"""Provide a scripted HTTP server on loopback with a client, and the parts of a session around a fake hub."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.cloud.child_registrar import SETTLE, ChildRegistrar, RegistrationPolicy
from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.configuration.target import Configuring
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.licences.device_changes import Licences
from gateway.cloud.rate_control import RateControl
from gateway.cloud.revocation import GatewayRevocation, KeyCheck, RevocationTiming
from gateway.cloud.session import CloudServices, Session
from gateway.cloud.telemetry_loop import OwnTelemetry
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings
from gateway.errors import CommandRejected
from gateway.hub import Credentials
from gateway.models import KnownCommand, Status
from gateway.state.outbox import Outbox
from gateway.state.parts import StateParts
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.configuration import FakeConfigurationTarget
from gateway.testing.hub import FakeHub


@dataclass(frozen=True)
class Arrived:
    """One request as it was received."""

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
    """Answers each request with the next scripted response, the last one repeatedly, and keeps the requests."""

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


class NoDevices:
    """A `CommandTarget` without devices."""

    def describe(self, child, name, parameters):
        return KnownCommand(None, parameters)

    async def execute(self, command, *, within, before_start, checkpoint):
        await before_start()
        raise CommandRejected("there are no devices here")

    async def finish_interrupted(self, command, *, within, checkpoint):
        return None


async def no_licence(child, licence):
    raise CommandRejected("it takes no licences")


@asynccontextmanager
async def session_parts(
    path: Path,
    *,
    every: timedelta = timedelta(seconds=30),
    settle: timedelta = SETTLE,
    deleted_children: str = "register_again",
    most_samples: int = 10_000,
    timing: RevocationTiming | None = None,
    apply_licence=no_licence,
) -> AsyncIterator[SimpleNamespace]:
    """A session and its parts between a real store and a fake hub, with the waits of a real gateway: for simulated time."""
    timing = timing if timing is not None else RevocationTiming()
    async with Store(path / "s.sqlite3") as store:
        hub, registry, outbox = FakeHub(), Registry(store), Outbox(store, most_samples=most_samples)
        await registry.load()
        sections = {"gateway": GatewaySection(mac="02:00:00:00:00:01"), "cloud": CloudSection(hardware_key=SecretStr("hk"))}

        async def network_is_back() -> bool:
            return True

        configuration = Configuration(None, Settings(**sections), ())
        enrolment = Enrolment(
            hub, registry, configuration, firmware_version="1.0.0", network_is_back=network_is_back
        )  # fmt: skip
        await enrolment.prepare()
        rate_control = RateControl(jitter=0)
        revocation = GatewayRevocation(hub, rate_control, registered_at=lambda: enrolment.registered_at, timing=timing)
        calls = GuardedCalls(rate_control, revocation)
        registrar = ChildRegistrar(
            hub,
            registry,
            outbox,
            KeyCheck(hub, timing),
            policy=RegistrationPolicy(deleted_children=deleted_children, settle=settle),
            status_of=lambda key: Status.ONLINE,
        )
        events: list[object] = []
        state = replace(StateParts.on(store, most_samples=1), registry=registry, outbox=outbox)
        services = CloudServices(
            commands=Commands(target=NoDevices(), policy=CommandPolicy()),
            licences=Licences(apply=apply_licence),
            configuring=Configuring(target=FakeConfigurationTarget()),
        )
        faulty: list[str] = []
        own_telemetry = OwnTelemetry(read=lambda: {"uptime_seconds": 1}, every=every, has_fault=lambda: bool(faulty))
        session = Session(
            hub, state, enrolment, registrar, calls=calls, services=services, own_telemetry=own_telemetry,
            on_event=events.append,
        )  # fmt: skip
        yield SimpleNamespace(
            state=state, hub=hub, registry=registry, outbox=outbox,
            enrolment=enrolment, registrar=registrar, rate_control=rate_control,
            revocation=revocation, calls=calls, own_telemetry=own_telemetry, session=session, events=events, faulty=faulty,
        )  # fmt: skip


@pytest.fixture
def parts(tmp_path):
    """Return what makes a session and its parts: `async with parts() as made`, within `simulated`."""
    return lambda **options: session_parts(tmp_path, **options)
