"""Check whether the status page can be served at its configured address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.doctor.certificates import unverified_context
from gateway.doctor.http_responses import HttpResponse
from gateway.doctor.known_config import KnownConfig
from gateway.doctor.page_certificate import certificate_findings
from gateway.errors import StoreError
from gateway.models import Finding
from gateway.status.auth.token_file import read_tokens, token_file
from gateway.status.auth.tokens import Role
from gateway.status.hosts import local_host_for

RESPONSE_SECONDS = 2.0
MAX_RESPONSE_BYTES = 4096


async def status_page_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield whether the port of the status page is free, or used by a gateway already."""
    if known.settings is None or not known.knows("status.host") or not known.knows("status.port"):
        return
    section = known.settings.status
    if not section.enabled or section.port == 0:
        return
    place = f"{section.host} port {section.port}"
    if not _is_own_address(section.host):
        meaning = f"{section.host} is not an address of this machine, so the page cannot be served there"
        yield Finding.fault("status page", meaning, 'in [status]: host = "127.0.0.1"')
        return
    yield _token_finding(token_file(known.settings.store.path))
    for finding in certificate_findings(section, known.settings.store.path):
        yield finding
    tls = None if section.certificate is None else unverified_context()
    body = await _healthz_body(local_host_for(section.host), section.port, tls)
    if body is None:
        yield Finding.fine("status page", f"{place} is free")
    elif b'"is_alive"' in body:
        yield Finding.fine("status page", f"a running gateway already serves its page at {place}")
    else:
        meaning = f"another program listens at {place}, so the page cannot be served there"
        port = _free_port(section.host, section.port)
        fix = f"in [status]: port = {port}; or stop that program: sudo ss -ltnp 'sport = :{section.port}'"
        yield Finding.warning("status page", meaning, fix)


def _token_finding(file: Path) -> Finding:
    """Tell whether the page has a token, and how to get a new one."""
    new = "`xyte-gateway token` makes and shows a new one"
    try:
        tokens = read_tokens(file)
    except StoreError as error:
        return Finding.warning("page token", str(error), f"let the user of the gateway read {file}")
    if tokens is not None and not any(one.role is Role.ADMINISTER for one in tokens):
        return Finding.warning("page token", "no token of the page may administer", "make one: xyte-gateway token")
    if tokens is not None:
        number = "a token, which was" if len(tokens) == 1 else f"{len(tokens)} tokens, each of which was"
        return Finding.fine("page token", f"the page has {number} shown once; {new}")
    if not file.exists():
        return Finding.fine("page token", "the gateway makes one at its first start, and logs it once")
    return Finding.warning("page token", f"{file} is damaged: the next start makes a new token, and logs it", f"{new}, too")


def _is_own_address(host: str) -> bool:
    """Whether a socket can be bound to this host, at any port."""
    with contextlib.suppress(OSError, UnicodeError):  # UnicodeError: a host name that cannot exist, such as "a..b"
        for family, kind, protocol, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as trial:
                trial.bind(address)
                return True
    return False


def _free_port(host: str, taken: int) -> int:
    """Return a free port near this one; the next one if all are taken."""
    for port in range(taken + 1, min(taken + 100, 65_535)):
        with contextlib.suppress(OSError), socket.create_server((host, port)):
            return port
    return taken + 1


async def _healthz_body(host: str, port: int, tls: ssl.SSLContext | None) -> bytes | None:
    """Return the body of the response to `/healthz` there; `None` when nothing listens."""
    try:
        async with asyncio.timeout(RESPONSE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    except ConnectionRefusedError:
        return None
    except (OSError, TimeoutError):  # no TLS, for example
        return None if tls is None else b""
    raw = b""
    try:
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(RESPONSE_SECONDS):
                while len(raw) < MAX_RESPONSE_BYTES and (more := await reader.read(MAX_RESPONSE_BYTES)):
                    raw += more
    finally:
        writer.transport.abort()
    response = HttpResponse.parse(raw)
    return b"" if response is None else response.body
