"""One server of the cloud, step by step: its name, the connection, its certificate, its answer. Nothing secret is sent."""

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
from time import monotonic
from urllib.parse import urlsplit

from gateway import __version__
from gateway.cloud.protocol.trusted_urls import PUBLIC_DOMAIN
from gateway.doctor.certificates import Certificate, blind_context, context_for, knows_no_authority, why_not_trusted
from gateway.doctor.clock import Told
from gateway.doctor.http_responses import Answer, judged
from gateway.doctor.name_servers import Addresses, NotResolved, addresses_of
from gateway.models import Finding

VISIT_SECONDS = 7.0
CONNECT_SECONDS = 3.0
HANDSHAKE_SECONDS = 3.0
ANSWER_SECONDS = 3.0
ANSWER_BYTES = 16 * 1024
USUAL_PORT: Mapping[str, int] = {"https": 443, "http": 80}

_NO_WAY = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of the cloud."""

    what: str
    """`entry` or `hub`."""
    url: str
    key: str | None
    """The line of the config that its address stands in; `None` where nobody can have misspelt it."""
    tls: ssl.SSLContext
    """Whom to trust."""

    @property
    def host(self) -> str:
        """Its name, or its IP address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or USUAL_PORT[parts.scheme]

    @property
    def is_encrypted(self) -> bool:
        """It is spoken to in TLS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def is_public(self) -> bool:
        """It is one of Xyte's own service."""
        return self.host == PUBLIC_DOMAIN or self.host.endswith(f".{PUBLIC_DOMAIN}")


@dataclass(slots=True)
class Visit:
    """What came of going to a server."""

    findings: list[Finding] = field(default_factory=list)
    time: Told | None = None
    """What time it is there, if it said so."""
    is_proven: bool = True
    """It has proven who it is, as far as that was asked for."""


class _Ended(Exception):
    """It goes no further; the last finding says why."""


async def visit(server: Server) -> Visit:
    """Go to a server, as far as one gets, and return what was found on the way."""
    made = Visit()
    try:
        async with asyncio.timeout(VISIT_SECONDS):
            addresses = await _addresses(server, made)
            way = await _way(server, addresses, made)
            await _answer(server, way, made)
    except TimeoutError:
        meaning = f"all that {server.host} does takes its time: after {VISIT_SECONDS:g} s it has not answered"
        made.findings.append(
            Finding.fault(server.what, meaning, "look again; if it stays, mend the line of this machine to the internet")
        )
    except _Ended:
        pass
    return made


async def _addresses(server: Server, made: Visit) -> Addresses:
    try:
        addresses = await addresses_of(server.host, server.key)
    except NotResolved as error:
        made.findings.append(Finding.fault(f"{server.what} name", error.meaning, error.fix))
        raise _Ended from error
    told = [address for _, address in addresses]
    if told != [server.host]:
        more = f" and {len(told) - 2} more" if len(told) > 2 else ""
        made.findings.append(Finding.fine(f"{server.what} name", f"{server.host} is {', '.join(told[:2])}{more}"))
    return addresses


async def _way(server: Server, addresses: Addresses, made: Visit) -> tuple[socket.AddressFamily, str]:
    """Return the first address that takes a connection."""
    tries = [asyncio.create_task(_why_no_connection(family, address, server.port)) for family, address in addresses[:6]]
    try:
        failures = [await one for one in tries]
    finally:
        for one in tries:
            one.cancel()
    for found, failure in zip(addresses, failures, strict=False):
        if failure is None:
            return found
    made.findings.append(
        Finding.fault(server.what, *_why_no_way(server, addresses, [one for one in failures if one is not None]))
    )
    raise _Ended


async def _why_no_connection(family: socket.AddressFamily, address: str, port: int) -> OSError | TimeoutError | None:
    """Return why this address takes no connection; `None` when it takes one."""
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


def _why_no_way(server: Server, addresses: Addresses, failures: list[OSError | TimeoutError]) -> tuple[str, str]:
    place = f"{server.host} port {server.port}"
    proxy = next((name for name in ("HTTPS_PROXY", "https_proxy") if os.environ.get(name)), None)
    hint = f" ({proxy} is set here, but the gateway uses no proxy)" if proxy else ""
    numbers = {error.errno for error in failures}
    allow = f"allow outgoing TCP to {place} in the firewall"
    if errno.ECONNREFUSED in numbers:
        fix = f"{allow}{_or_mend(server, 'the port')}"
        if addresses[0][1].startswith("127."):
            fix = f"start what is to listen there: xyte-gateway emulator?{_or_mend(server, 'the port')}"
        return f"{place} refuses the connection{hint}", fix
    if numbers <= _NO_WAY:
        if all(family == socket.AF_INET6 for family, _ in addresses):
            meaning = f"{server.host} has IPv6 addresses only, and this machine has no way into IPv6"
            return meaning, f"give this machine IPv6, or a name server that knows an IPv4 address of {server.host}"
        return (
            f"this machine has no way to {place}: no network, or no default route",
            "connect it: `ip route` has to show a line `default via ...`",
        )
    if errno.EHOSTUNREACH in numbers:
        return f"{place} cannot be reached: a router on the way says so{hint}", allow
    return f"{place} does not take a connection within {CONNECT_SECONDS:g} s{hint}", allow


def _or_mend(server: Server, what: str) -> str:
    return "" if server.key is None else f"; or mend {what}: {server.key}"


async def _answer(server: Server, way: tuple[socket.AddressFamily, str], made: Visit) -> None:
    started = monotonic()
    try:
        async with _connected(server, way, server.tls if server.is_encrypted else None) as (reader, writer):
            if server.is_encrypted:
                made.findings.append(_certified(server, writer))
            started = monotonic()
            answer = await _asked(server, reader, writer)
    except ssl.SSLCertVerificationError as error:
        made.findings.append(await _not_trusted(server, way, error, made))
        raise _Ended from error
    except ssl.SSLError as error:
        fix = f"have {server.host} reached without a proxy{_or_mend(server, 'the address')}"
        meaning = f"{server.host} port {server.port} does not speak TLS, or no version that this machine allows"
        made.findings.append(Finding.fault(f"{server.what} TLS", meaning, fix))
        raise _Ended from error
    except TimeoutError as error:
        fix = f"look again; if it stays, allow {server.host} in the firewall or proxy, which holds its traffic back"
        made.findings.append(Finding.fault(server.what, f"{server.host} takes the connection, but says nothing", fix))
        raise _Ended from error
    except (OSError, EOFError) as error:
        fix = f"allow {server.host} in the firewall or proxy, which breaks the connection off"
        made.findings.append(Finding.fault(server.what, f"{server.host} closed the connection instead of answering", fix))
        raise _Ended from error
    made.findings.append(judged(server.what, server.url, answer, 1000 * (monotonic() - started)))
    _note_time(server, answer, made)


async def _not_trusted(
    server: Server, way: tuple[socket.AddressFamily, str], error: ssl.SSLCertVerificationError, made: Visit
) -> Finding:
    """Return what is wrong with the certificate, after a closer look at it; what time the server has is noted by the way."""
    made.is_proven = False
    shown: Certificate | None = None
    if knows_no_authority(server.tls):
        fix = "install the authorities of the system: sudo apt-get install ca-certificates"
        return Finding.fault(f"{server.what} TLS", "this machine knows no authority at all, so it trusts nobody", fix)
    with contextlib.suppress(OSError, EOFError, TimeoutError, KeyError, ValueError):
        async with _connected(server, way, blind_context()) as (_, writer):
            raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        async with _connected(server, way, context_for(raw)) as (reader, writer):
            shown = Certificate.of(writer.get_extra_info("ssl_object").getpeercert())
            _note_time(server, await _asked(server, reader, writer), made)
    now = datetime.now(UTC)
    meaning, fix = why_not_trusted(server.host, error.verify_code, error.verify_message, shown, now, is_public=server.is_public)
    return Finding.fault(f"{server.what} TLS", meaning, fix)


@asynccontextmanager
async def _connected(
    server: Server, way: tuple[socket.AddressFamily, str], tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        reader, writer = await asyncio.open_connection(
            way[1], server.port, ssl=tls, server_hostname=None if tls is None else server.host, limit=ANSWER_BYTES
        )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _asked(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer | None:
    """Ask for nothing in particular, without a key, and return how it is answered."""
    question = (
        f"GET / HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nUser-Agent: xyte-gateway/{__version__} (doctor)\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    writer.write(question.encode("ascii", "replace"))
    raw = b""
    async with asyncio.timeout(ANSWER_SECONDS):
        while len(raw) < ANSWER_BYTES and (more := await reader.read(ANSWER_BYTES)):
            raw += more
            if not raw.startswith(b"HTTP/"[: len(raw)]) or (b"\r\n\r\n" in raw and not raw.endswith(b"\r\n\r\n")):
                break
    if not raw:
        raise EOFError
    return Answer.of(raw)


def _note_time(server: Server, answer: Answer | None, made: Visit) -> None:
    theirs = None if answer is None else answer.date
    if theirs is not None:
        made.time = Told(server.host, theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC), datetime.now(UTC))


def _certified(server: Server, writer: asyncio.StreamWriter) -> Finding:
    secured = writer.get_extra_info("ssl_object")
    shown = Certificate.of(secured.getpeercert())
    meaning = f'the certificate of {server.host} is signed by "{shown.issuer}" and valid until {shown.not_after:%Y-%m-%d}'
    return Finding.fine(f"{server.what} TLS", f"{meaning}; {secured.version()}")
