"""Make the faults of the cloud happen: a real client, real sockets and certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import trustme
from fault_cells import NOTHING_TOLD, Cell, in_real_time
from pydantic import SecretStr

from gateway.adapter import Cause, Found, Identity, IdentityKind
from gateway.causes import Reason
from gateway.cloud import child_records
from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.hub_reasons import reason_of
from gateway.cloud.server_clock import RESPONSES
from gateway.errors import HubError
from gateway.field.children.availability import Availability
from gateway.hub import Credentials
from gateway.runtime.incidents.own_causes import clock_problem
from gateway.runtime.summaries.children import ChildSummaries
from gateway.state.child_states import ChildEvent
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.status.open_causes import OpenCause, child_cause, open_causes
from gateway.status.snapshot import GatewaySummary, HubContact, OutboxSummary, Snapshot

CLOUD = "cloud"


def credentials(url: str) -> Credentials:
    """Return what a gateway that is registered calls its hub with."""
    return Credentials(
        device_id="5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701",
        access_key=SecretStr("9f2c4e6a8b0d1f3355779911bbddff02"),
        hub_url=url,
        hub_url_static_cert=None,
        mqtt_hub_url=None,
    )


async def asked(url: str, ca_file: Path | None = None, *, timeout_seconds: float = 5) -> Reason:
    """Return what is told of a call to the hub at this address."""
    access = CloudAccess(entry_url=url, allow_plain_http=True, timeout_seconds=timeout_seconds, ca_file=ca_file)
    async with HttpHub(access) as hub:
        try:
            await hub.get_command(credentials(url))
        except HubError as error:
            return reason_of(error)
    return NOTHING_TOLD


def at(url: str) -> Callable[[], Reason]:
    """Return a function that calls a hub that is not there."""
    return in_real_time(lambda: asked(url))


def refused() -> Callable[[], Reason]:
    """Return a function that calls a port at which nothing listens."""

    async def main() -> Reason:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        return await asked(f"http://127.0.0.1:{port}")

    return in_real_time(main)


def answering(status: str, body: str = '{"error":"no"}', kind: str = "application/json") -> Callable[[], Reason]:
    """Return a function that calls a server which answers this; an empty status is no answer at all."""

    async def main() -> Reason:
        is_over = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if status:
                head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(f"{head}{body}".encode())
            else:
                await is_over.wait()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reason = await asked(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_seconds=5 if status else 0.5)
            is_over.set()
            await asyncio.sleep(0.05)  # the server closes its end
        return reason

    return in_real_time(main)


def tls(kind: str) -> Callable[[], Reason]:
    """Return a function that calls a server whose certificate is not as it should be."""
    now = datetime.now(UTC)
    dates = {
        "expired": {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=1)},
        "not yet valid": {"not_before": now + timedelta(days=1), "not_after": now + timedelta(days=9)},
    }

    async def main() -> Reason:
        authority, other = trustme.CA(), trustme.CA()
        certificate = authority.issue_cert("elsewhere.local" if kind == "name" else "localhost", **dates.get(kind, {}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "ca.pem"
            (other if kind == "unknown" else authority).cert_pem.write_to_path(file)
            server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
            async with server:
                return await asked(f"https://localhost:{server.sockets[0].getsockname()[1]}", file)

    return in_real_time(main)


def wrong_clock(years: int) -> Callable[[], Reason]:
    """Return a function that calls a hub whose `Date` header shows that the clock of this machine is years off, without TLS."""

    async def main() -> Reason:
        theirs = datetime.now(UTC) - timedelta(days=365 * years)
        date = format_datetime(theirs, usegmt=True)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"error":"no"}'
            head = f"HTTP/1.1 503 Busy\r\nDate: {date}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            access = CloudAccess(entry_url=url, allow_plain_http=True, timeout_seconds=5)
            async with HttpHub(access) as hub:
                for _ in range(RESPONSES):
                    with suppress(HubError):
                        await hub.get_command(credentials(url))
                now, clock = datetime.now(UTC), hub.clock
        problem = clock_problem(clock.ahead, now, clock.server)
        gateway = GatewaySummary(
            name="g", version="1", started_at=now, is_registered=True, hub=HubContact(is_reachable=True), clock_problem=problem
        )
        return shown_first(Snapshot(at=now, gateway=gateway, outbox=OutboxSummary(depth=0, capacity=1)))

    return in_real_time(main)


def deleted(*, comes_again: bool) -> Callable[[], Reason]:
    """Return a function that has a child deleted in the cloud, which is registered again by itself or not."""

    async def main() -> Reason:
        with TemporaryDirectory() as folder:
            return await in_store(Path(folder) / "gateway.sqlite3")

    async def in_store(path: Path) -> Reason:
        async with Store(path) as store:
            registry = Registry(store)
            await registry.load()
            child = Found(
                address="1", identity=Identity(IdentityKind.SERIAL_NUMBER, "x/1"), name="Meter 1", profile=None, family=None
            ).as_child(adapter="site", bus="site", model_id="m")
            parent = credentials("http://127.0.0.1")
            record = await registry.admit(child)
            record = await registry.save_child(child_records.registering(record, parent))
            record = await registry.save_child(child_records.registered(record, parent, parent, needs_update=False))
            event = ChildEvent.DELETED if comes_again else ChildEvent.LEFT_DELETED
            told = f"{child_records.DELETED}{'; it is registered again in 15 min' if comes_again else ''}"
            await registry.save_child(child_records.unregistered(record, event, problem=told))
            field = SimpleNamespace(
                availability=Availability(),
                intake=SimpleNamespace(alarms_of=lambda key: ()),
                fleet=SimpleNamespace(supervisors={}),
                monitor=SimpleNamespace(last_answer=lambda key: None, why_no_values=lambda key: None),
            )
            (line,) = ChildSummaries(registry, field).all(datetime.now(UTC))  # type: ignore[arg-type] # what it asks of the field
        cause = child_cause(line)
        return NOTHING_TOLD if cause is None else as_reason(cause)

    return in_real_time(main)


def shown_first(snapshot: Snapshot) -> Reason:
    """Return what the page shows on top."""
    return next(map(as_reason, open_causes(snapshot)), NOTHING_TOLD)


def as_reason(cause: OpenCause) -> Reason:
    """Return an open cause as a reason."""
    return Reason(cause.evidence or cause.phrase, cause.cause, cause.next_step)


PAGE = "<html><body>Please sign in to this network</body></html>"

CELLS = [
    Cell("host name unknown", CLOUD, (Cause.NAME_UNKNOWN,), at("http://nowhere.invalid"), "name servers"),
    Cell("host unreachable", CLOUD, (Cause.HUB_UNREACHABLE,), at("http://255.255.255.255"), "firewall"),
    Cell("host refuses", CLOUD, (Cause.HUB_UNREACHABLE,), refused(), "refused"),
    Cell("opens, but silence", CLOUD, (Cause.HUB_UNREACHABLE,), answering("")),
    Cell("unknown certificate", CLOUD, (Cause.TLS,), tls("unknown"), "ca_file"),
    Cell("certificate expired", CLOUD, (Cause.TLS,), tls("expired"), "has expired"),
    Cell("certificate not yet valid (clock wrong)", CLOUD, (Cause.CLOCK_WRONG,), tls("not yet valid"), "Set the clock"),
    Cell("certificate of another name", CLOUD, (Cause.TLS,), tls("name"), "another host name"),
    Cell("login refused", CLOUD, (Cause.KEY_REFUSED,), answering("401 Unauthorized"), "portal"),
    Cell("clock years ahead, without TLS", CLOUD, (Cause.CLOCK_WRONG,), wrong_clock(5), "timedatectl set-ntp true"),
    Cell("clock years behind, without TLS", CLOUD, (Cause.CLOCK_WRONG,), wrong_clock(-5), "timedatectl set-ntp true"),
    Cell("deleted in the cloud, comes again", CLOUD, (Cause.DELETED_IN_CLOUD,), deleted(comes_again=True), "by itself"),
    Cell("deleted in the cloud, stays away", CLOUD, (Cause.DELETED_IN_CLOUD,), deleted(comes_again=False), "register_again"),
    Cell("proxy wants a login", CLOUD, (Cause.PROXY,), answering("407 Proxy Authentication Required"), "proxy"),
    Cell("wants fewer calls", CLOUD, (Cause.HUB_BUSY,), answering("429 Too Many Requests")),
    Cell("a page of the network answers", CLOUD, (Cause.PROXY,), answering("200 OK", PAGE, "text/html"), "proxy"),
    Cell("in trouble (503)", CLOUD, (Cause.HUB_UNREACHABLE,), answering("503 Service Unavailable")),
]
