"""Check whether the status page can be served at its configured address."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.doctor.known_config import KnownConfig
from gateway.doctor.page_certificate import certificate_findings
from gateway.errors import StoreError
from gateway.models import Finding
from gateway.status.auth.token_file import read_tokens, token_file
from gateway.status.auth.tokens import Role
from gateway.status.hosts import local_host_for
from gateway.status.who_answers import LOOPBACK, Answer, Answerer, who_answers


async def status_page_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield whether the port of the status page is free, or used by a gateway already."""
    if known.settings is None or not known.knows("status.host") or not known.knows("status.port"):
        return
    section = known.settings.status
    if not section.enabled or section.port == 0:
        return
    if not _is_own_address(section.host):
        meaning = f"{section.host} is not an address of this machine, so the page cannot be served there"
        yield Finding.fault("status page", meaning, 'in [status]: host = "127.0.0.1"')
        return
    yield _token_finding(token_file(known.settings.store.path))
    for finding in certificate_findings(section, known.settings.store.path):
        yield finding
    store = known.settings.store.path
    answer = await who_answers(local_host_for(section.host), section.port, store, is_tls=section.certificate is not None)
    yield _finding_about(answer, section.host, section.port, store)


def _finding_about(answer: Answer, host: str, port: int, store: Path) -> Finding:
    """Tell whether the page can be served, by who answers at its address."""
    place = f"{host} port {port}"
    match answer.who:
        case Answerer.NOBODY:
            return Finding.fine("status page", f"{place} is free")
        case Answerer.OWN if answer.is_without_tls:
            meaning = f"the gateway of {store} serves its page to this machine alone, at http://{LOOPBACK}:{port}, without TLS"
            return Finding.warning("status page", meaning, "mend its certificate: the page goes over to TLS within half a minute")
        case Answerer.OWN:
            return Finding.fine("status page", f"a running gateway already serves its page at {place}: the one of {store}")
        case Answerer.SOME_GATEWAY:
            return Finding.fine("status page", f"a running gateway already serves its page at {place}; it does not say which")
        case Answerer.OTHER_GATEWAY:
            fix = f"in [status]: port = {_free_port(host, port)}; or stop that gateway; or name its store in [store] path"
            meaning = f"{answer}, works with another store than {store} and has {place}, so the page cannot be served there"
            return Finding.warning("status page", meaning, fix)
    meaning = f"another program listens at {place}, so the page cannot be served there"
    fix = f"in [status]: port = {_free_port(host, port)}; or stop that program: sudo ss -ltnp 'sport = :{port}'"
    return Finding.warning("status page", meaning, fix)


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
