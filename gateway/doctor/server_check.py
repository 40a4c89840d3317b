"""Check one server of the cloud step by step: name, connection, certificate, response. Sends no secret."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from gateway import __version__
from gateway.cloud.protocol.trusted_urls import PUBLIC_DOMAIN
from gateway.doctor.certificates import (
    Certificate,
    context_trusting,
    has_no_authorities,
    unverified_context,
    why_not_trusted,
)
from gateway.doctor.clock import ServerTime
from gateway.doctor.http_responses import HttpResponse, response_finding
from gateway.doctor.name_servers import Addresses, NotResolved, resolve
from gateway.models import Finding
from gateway.plain_numbers import seconds_text
from gateway.tasks import loop_time

CHECK_SECONDS = 7.0
CONNECT_SECONDS = 3.0
HANDSHAKE_SECONDS = 3.0
RESPONSE_SECONDS = 3.0
MAX_RESPONSE_BYTES = 16 * 1024
DEFAULT_PORTS: Mapping[str, int] = {"https": 443, "http": 80}

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of the cloud."""

    what: str
    """`entry` or `hub`."""
    url: str
    config_line: str | None
    """The line of the config with its address, which may be wrong; `None` if it is in none."""
    tls: ssl.SSLContext
    """The authorities to trust."""

    @property
    def host(self) -> str:
        """Its name, or its IP address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or DEFAULT_PORTS[parts.scheme]

    @property
    def uses_tls(self) -> bool:
        """Whether it is reached over TLS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def is_public(self) -> bool:
        """Whether it belongs to Xyte's own service."""
        return self.host == PUBLIC_DOMAIN or self.host.endswith(f".{PUBLIC_DOMAIN}")


@dataclass(slots=True)
class ServerReport:
    """The findings on one server."""

    findings: list[Finding] = field(default_factory=list)
    time: ServerTime | None = None
    """Its time, if it sent one."""
    is_trusted: bool = True
    """Whether its certificate is trusted, if it needs one."""


class _CheckEnded(Exception):
    """The next step is not possible; the last finding says why."""


async def check_server(server: Server) -> ServerReport:
    """Check a server as far as possible, and return the findings."""
    report = ServerReport()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            addresses = await _resolve(server, report)
            address = await _connectable_address(server, addresses, report)
            await _check_response(server, address, report)
    except TimeoutError:
        meaning = f"{server.host} is slow in every step: after {seconds_text(CHECK_SECONDS)} it has not answered"
        fix = "try again; if it stays, fix the internet connection of this machine"
        report.findings.append(Finding.fault(server.what, meaning, fix))
    except _CheckEnded:
        pass
    return report


async def _resolve(server: Server, report: ServerReport) -> Addresses:
    try:
        addresses = await resolve(server.host, server.config_line)
    except NotResolved as error:
        report.findings.append(Finding.fault(f"{server.what} name", error.meaning, error.fix))
        raise _CheckEnded from error
    texts = [address for _, address in addresses]
    if texts != [server.host]:
        more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
        report.findings.append(Finding.fine(f"{server.what} name", f"{server.host} is {', '.join(texts[:2])}{more}"))
    return addresses


async def _connectable_address(server: Server, addresses: Addresses, report: ServerReport) -> tuple[socket.AddressFamily, str]:
    """Return the first address that accepts a connection."""
    attempts = [asyncio.create_task(_connection_error(family, address, server.port)) for family, address in addresses[:6]]
    try:
        errors = [await one for one in attempts]
    finally:
        for one in attempts:
            one.cancel()
    for address, error in zip(addresses, errors, strict=False):
        if error is None:
            return address
    report.findings.append(
        Finding.fault(server.what, *_why_not_connected(server, addresses, [one for one in errors if one is not None]))
    )
    raise _CheckEnded


async def _connection_error(family: socket.AddressFamily, address: str, port: int) -> OSError | TimeoutError | None:
    """Return why this address accepts no connection; `None` when it does."""
    connection: socket.socket | None = None
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)  # noqa: FBT003 - socket's own
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except (OSError, TimeoutError) as error:
        return error
    finally:
        if connection is not None:
            connection.close()
    return None


def _why_not_connected(server: Server, addresses: Addresses, errors: list[OSError | TimeoutError]) -> tuple[str, str]:
    place = f"{server.host} port {server.port}"
    proxy = next((name for name in ("HTTPS_PROXY", "https_proxy") if os.environ.get(name)), None)
    hint = f" ({proxy} is set here, but the gateway does not use a proxy)" if proxy else ""
    numbers = {error.errno for error in errors}
    allow = f"allow outgoing TCP to {place} in the firewall"
    if errno.ECONNREFUSED in numbers:
        fix = f"{allow}{_or_correct(server, 'the port')}"
        if addresses[0][1].startswith("127."):
            fix = f"start the server that should listen there (xyte-gateway emulator){_or_correct(server, 'the port')}"
        return f"{place} refuses the connection{hint}", fix
    if numbers <= _NO_ROUTE:
        if all(family == socket.AF_INET6 for family, _ in addresses):
            meaning = f"{server.host} has IPv6 addresses only, and this machine has no IPv6 route"
            return meaning, f"give this machine IPv6, or a name server that returns an IPv4 address of {server.host}"
        return (
            f"this machine has no route to {place}: no network, or no default route",
            "connect it: `ip route` must show a line `default via ...`",
        )
    if errno.EHOSTUNREACH in numbers:
        return f"{place} cannot be reached, as a router on the way reports{hint}", allow
    return f"{place} does not accept a connection within {seconds_text(CONNECT_SECONDS)}{hint}", allow


def _or_correct(server: Server, what: str) -> str:
    return "" if server.config_line is None else f"; or correct {what}: {server.config_line}"


async def _check_response(server: Server, address: tuple[socket.AddressFamily, str], report: ServerReport) -> None:
    started_at = loop_time()
    try:
        async with _connected(server, address, server.tls if server.uses_tls else None) as (reader, writer):
            if server.uses_tls:
                report.findings.append(_certificate_finding(server, writer))
            started_at = loop_time()
            response = await _get(server, reader, writer)
    except ssl.SSLCertVerificationError as error:
        report.findings.append(await _untrusted_finding(server, address, error, report))
        raise _CheckEnded from error
    except ssl.SSLError as error:
        fix = f"make sure that {server.host} is reached without a proxy{_or_correct(server, 'the address')}"
        meaning = f"{server.host} port {server.port} does not use TLS, or no version that this machine allows"
        report.findings.append(Finding.fault(f"{server.what} TLS", meaning, fix))
        raise _CheckEnded from error
    except TimeoutError as error:
        fix = f"try again; if it stays, allow {server.host} in the firewall or proxy, which holds its traffic back"
        report.findings.append(Finding.fault(server.what, f"{server.host} accepts the connection, but sends nothing", fix))
        raise _CheckEnded from error
    except (OSError, EOFError) as error:
        fix = f"allow {server.host} in the firewall or proxy, which cuts the connection"
        report.findings.append(Finding.fault(server.what, f"{server.host} closed the connection without a response", fix))
        raise _CheckEnded from error
    report.findings.append(response_finding(server.what, server.url, response, 1000 * (loop_time() - started_at)))
    _note_time(server, response, report)


async def _untrusted_finding(
    server: Server, address: tuple[socket.AddressFamily, str], error: ssl.SSLCertVerificationError, report: ServerReport
) -> Finding:
    """Return what is wrong with the certificate, after fetching it; the server's time is noted at the same time."""
    report.is_trusted = False
    certificate: Certificate | None = None
    if has_no_authorities(server.tls):
        fix = "install the authorities of the system: sudo apt-get install ca-certificates"
        return Finding.fault(f"{server.what} TLS", "this machine knows no certificate authority, so it trusts no server", fix)
    with contextlib.suppress(OSError, EOFError, TimeoutError, KeyError, ValueError):
        async with _connected(server, address, unverified_context()) as (_, writer):
            raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        async with _connected(server, address, context_trusting(raw)) as (reader, writer):
            certificate = Certificate.parse(writer.get_extra_info("ssl_object").getpeercert())
            _note_time(server, await _get(server, reader, writer), report)
    now = datetime.now(UTC)
    meaning, fix = why_not_trusted(
        server.host, error.verify_code, error.verify_message, certificate, now, is_public=server.is_public
    )
    return Finding.fault(f"{server.what} TLS", meaning, fix)


@asynccontextmanager
async def _connected(
    server: Server, address: tuple[socket.AddressFamily, str], tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        reader, writer = await asyncio.open_connection(
            address[1], server.port, ssl=tls, server_hostname=None if tls is None else server.host, limit=MAX_RESPONSE_BYTES
        )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _get(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> HttpResponse | None:
    """Send a plain GET without a key, and return the response."""
    request = (
        f"GET / HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nUser-Agent: xyte-gateway/{__version__} (doctor)\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    writer.write(request.encode("ascii", "replace"))
    raw = b""
    async with asyncio.timeout(RESPONSE_SECONDS):
        while len(raw) < MAX_RESPONSE_BYTES and (more := await reader.read(MAX_RESPONSE_BYTES)):
            raw += more
            if not raw.startswith(b"HTTP/"[: len(raw)]) or (b"\r\n\r\n" in raw and not raw.endswith(b"\r\n\r\n")):
                break
    if not raw:
        raise EOFError
    return HttpResponse.parse(raw)


def _note_time(server: Server, response: HttpResponse | None, report: ServerReport) -> None:
    theirs = None if response is None else response.date
    if theirs is not None:
        report.time = ServerTime(server.host, theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC), datetime.now(UTC))


def _certificate_finding(server: Server, writer: asyncio.StreamWriter) -> Finding:
    tls = writer.get_extra_info("ssl_object")
    certificate = Certificate.parse(tls.getpeercert())
    meaning = (
        f'the certificate of {server.host} is signed by "{certificate.issuer}" and valid until {certificate.not_after:%Y-%m-%d}'
    )
    return Finding.fine(f"{server.what} TLS", f"{meaning}; {tls.version()}")
