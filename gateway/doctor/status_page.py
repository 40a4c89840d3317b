"""Whether the status page can be served where the config wants it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from gateway.doctor.http_responses import Answer
from gateway.doctor.known_config import Intake
from gateway.models import Finding
from gateway.status.hosts import local_host_for

ANSWER_SECONDS = 2.0
ANSWER_BYTES = 4096


async def page_findings(intake: Intake) -> AsyncIterator[Finding]:
    """Yield whether the port of the status page is free, or ours already."""
    if intake.settings is None or not intake.knows("status.host") or not intake.knows("status.port"):
        return
    section = intake.settings.status
    if not section.enabled or section.port == 0:
        return
    place = f"{section.host} port {section.port}"
    if not _is_of_this_machine(section.host):
        meaning = f"{section.host} is no address of this machine, so the page cannot be served there"
        yield Finding.fault("status page", meaning, 'in [status]: host = "127.0.0.1"')
        return
    heard = await _heard(local_host_for(section.host), section.port)
    if heard is None:
        yield Finding.fine("status page", f"{place} is free")
    elif b'"is_alive"' in heard:
        yield Finding.fine("status page", f"a gateway that runs serves its page at {place} already")
    else:
        meaning = f"another program listens at {place}, so the page cannot be served there"
        port = _free_port(section.host, section.port)
        fix = f"in [status]: port = {port}; or end that program: sudo ss -ltnp 'sport = :{section.port}'"
        yield Finding.warning("status page", meaning, fix)


def _is_of_this_machine(host: str) -> bool:
    """Whether something can be bound to this host; any port will do."""
    with contextlib.suppress(OSError, UnicodeError):  # the second one: a host that cannot be any, as "a..b"
        for family, kind, protocol, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as tried:
                tried.bind(address)
                return True
    return False


def _free_port(host: str, taken: int) -> int:
    """Return a port near this one that nobody has; the next one, if all are taken."""
    for port in range(taken + 1, min(taken + 100, 65_535)):
        with contextlib.suppress(OSError), socket.create_server((host, port)):
            return port
    return taken + 1


async def _heard(host: str, port: int) -> bytes | None:
    """Return what is answered to the question for health there; `None` when nobody listens."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return None
    raw = b""
    try:
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while len(raw) < ANSWER_BYTES and (more := await reader.read(ANSWER_BYTES)):
                    raw += more
    finally:
        writer.transport.abort()
    answer = Answer.of(raw)
    return b"" if answer is None else answer.body
