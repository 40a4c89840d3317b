"""Ask who serves a page at an address: the gateway of a certain store, another one, or another program.

`/healthz` says the id of the gateway's store to everybody. It tells two stores on one machine apart, and says nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import ssl
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from gateway.plain_text import replace_unprintable
from gateway.state.database.single_instance import lock_file

RESPONSE_SECONDS: Final = 3.0
MAX_RESPONSE_BYTES: Final = 16 * 1024
"""Another program may listen there and send anything."""
LONGEST_NAME: Final = 80
LOOPBACK: Final = "127.0.0.1"
"""Where the page is served without TLS while its certificate cannot be used."""

RUN_ID: Final = secrets.token_hex(8)
"""Another one in each run of the program, so that a page can tell when the gateway has restarted."""


class Answerer(Enum):
    """Who answers at an address."""

    NOBODY = "nobody"
    OWN = "the gateway of this store"
    OTHER_GATEWAY = "another gateway"
    SOME_GATEWAY = "a gateway that does not say which"
    OTHER_PROGRAM = "another program"


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answers at an address, and what is known of them."""

    who: Answerer
    name: str | None = None
    """The name of a gateway."""
    is_without_tls: bool = False
    """It is the gateway of this store, which cannot use its certificate and serves its page to this machine alone meanwhile."""

    def __str__(self) -> str:
        return self.who.value if self.name is None else f"{self.who.value}, “{self.name}”"


def store_id(store: Path | None) -> str | None:
    """Return what tells this store from others on this machine; `None` while no gateway has used it, or it cannot be seen.

    It is the same under another path, in a container, and after a restore. May block for a moment.
    """
    if store is None:
        return None
    try:
        found = lock_file(store).stat()
    except OSError:
        return None
    return hashlib.blake2s(f"{found.st_dev}:{found.st_ino}".encode(), digest_size=8).hexdigest()


async def who_answers(host: str, port: int, store: Path | None, *, is_tls: bool) -> Answer:
    """Ask who answers at an address of this machine.

    Args:
        host: the name or address to ask.
        port: the port.
        store: the store whose gateway is expected.
        is_tls: ask by https. The certificate is not checked: nothing secret is sent. Where no gateway answers, loopback is asked
            without TLS, too: the page is there while its certificate cannot be used.
    """
    answer = await _answer_at(host, port, store, is_tls=is_tls)
    if is_tls and answer.who in (Answerer.NOBODY, Answerer.OTHER_PROGRAM):
        meanwhile = await _answer_at(LOOPBACK, port, store, is_tls=False)
        if meanwhile.who is Answerer.OWN:
            return replace(meanwhile, is_without_tls=True)
    return answer


async def _answer_at(host: str, port: int, store: Path | None, *, is_tls: bool) -> Answer:
    try:
        async with asyncio.timeout(RESPONSE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=_any_certificate() if is_tls else None)
    except ConnectionRefusedError:
        return Answer(Answerer.NOBODY)
    except (OSError, TimeoutError, ValueError):  # no TLS, for example
        return Answer(Answerer.OTHER_PROGRAM if is_tls else Answerer.NOBODY)
    raw = b""
    try:
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {_in_url(host)}:{port}\r\nConnection: close\r\n\r\n".encode())
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(RESPONSE_SECONDS):
                while len(raw) < MAX_RESPONSE_BYTES and (more := await reader.read(MAX_RESPONSE_BYTES)):
                    raw += more
    finally:
        writer.transport.abort()
    return _answer_of(raw.partition(b"\r\n\r\n")[2], store)


def _answer_of(body: bytes, store: Path | None) -> Answer:
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return Answer(Answerer.OTHER_PROGRAM)
    if not isinstance(facts, dict) or facts.get("is_alive") is not True:
        return Answer(Answerer.OTHER_PROGRAM)
    named = facts.get("gateway")
    name = replace_unprintable(named)[:LONGEST_NAME] if isinstance(named, str) else None
    theirs = facts.get("store_id")
    if not isinstance(theirs, str):  # of an earlier version, or without a store yet
        return Answer(Answerer.SOME_GATEWAY, name)
    return Answer(Answerer.OWN if theirs == store_id(store) else Answerer.OTHER_GATEWAY, name)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
