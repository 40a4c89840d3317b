"""Make the faults of the cloud happen: a real client, real sockets and certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme
from fault_cells import NOTHING_TOLD, Cell, in_real_time
from pydantic import SecretStr

from gateway.adapter import Cause
from gateway.causes import Reason
from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.hub_reasons import reason_of
from gateway.errors import HubError
from gateway.hub import Credentials

CLOUD = "cloud"


async def asked(url: str, ca_file: Path | None = None) -> Reason:
    """Return what is told of a call to the hub at this address."""
    me = Credentials(
        device_id="5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701",
        access_key=SecretStr("9f2c4e6a8b0d1f3355779911bbddff02"),
        hub_url=url,
        hub_url_static_cert=None,
        mqtt_hub_url=None,
    )
    access = CloudAccess(entry_url=url, allow_plain_http=True, timeout_seconds=1, ca_file=ca_file)
    async with HttpHub(access) as hub:
        try:
            await hub.get_command(me)
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
            reason = await asked(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
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
    Cell("wants fewer calls", CLOUD, (Cause.HUB_BUSY,), answering("429 Too Many Requests")),
    Cell("a page of the network answers", CLOUD, (Cause.PROXY,), answering("200 OK", PAGE, "text/html"), "proxy"),
    Cell("in trouble (503)", CLOUD, (Cause.HUB_UNREACHABLE,), answering("503 Service Unavailable")),
]
