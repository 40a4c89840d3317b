"""Who may come in: the token, what a signed-in browser carries, wrong tries, same origin. Nothing here waits for a network.

The token is 256 random bits, so a plain hash of it tells nobody anything; only that hash is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path
from time import monotonic, time
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import StoreError

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # also where [log] wants errors alone: the token is shown once, and not to log it would lose it

SIGNED_IN_SECONDS: Final = 30 * 24 * 3600
TRIES: Final = 5
"""So many wrong tokens in a row from one address are answered at once."""
WAIT_SECONDS: Final = 60.0
"""And each further one only after so long."""
ADDRESSES_KEPT: Final = 1000


class Rights(IntEnum):
    """What a visitor may do."""

    NONE = 0
    PROBE = 1
    """Hear whether the gateway is ready, and not why it is not."""
    LOOK = 2
    ACT = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of who asks."""

    host: str
    """The host that the request was meant for, as its `Host` header says."""
    bearer: str | None = None
    """The token in its `Authorization` header."""
    cookie: str | None = None
    """What a browser was given when it signed in."""
    is_from_here: bool = False
    """It comes from the address that it goes to: from this machine, or this container."""
    is_forwarded: bool = False
    """It came through another server, from who knows where."""


def new_token() -> str:
    """Return a new token: 256 random bits in letters that survive an address, a shell and a form."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token_file(store: Path) -> Path:
    """Return where the hash of the token is kept: beside the store."""
    return store.with_name("status-token")


def tell_token(token: str, file: Path | None) -> None:
    """Show a token that was just made, which happens this one time; without a file, it holds for this run alone."""
    if file is None:
        log.warning("the token of the status page, until the gateway ends: %s", token)
        return
    log.warning("the token of the status page, shown this once: %s (for another, remove %s and start again)", token, file)


def keep_token(file: Path) -> tuple[str, str | None]:
    """Return the hash of the token that this file holds, and the token itself if it had to be made: the one time to show it.

    To get another one, remove the file and start again.

    Raises:
        StoreError: the file can be neither read nor written.
    """
    try:
        return file.read_text(encoding="ascii").strip(), None
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from error
    token = new_token()
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(digest_of(token) + "\n")
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error}") from error
    return digest_of(token), token


def is_loopback(host: str) -> bool:
    """Whether what listens on this host hears this machine alone."""
    name = host.strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def nearest(host: str) -> str:
    """Return where this machine itself reaches what listens on this host: `127.0.0.1` for `0.0.0.0`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else host


class Doors:
    """Decides what a visitor may do.

    Looking is free for whoever asks this machine under its own name, when the page is bound to loopback; everything else takes
    the token. The `Host` header is looked at since a web page elsewhere can have its own name resolved to 127.0.0.1, and a
    server in front, which would make the whole world local, says that it forwards.

    Bound wider, whoever asks from this machine still hears whether the gateway is ready, so that a container's own health check
    needs no token: that one bit and nothing else, since a server in front that does not say so, or a published port that some
    process hands on, makes a stranger look as if he asked from here.
    """

    def __init__(self, digest: str, *, host: str, now: Callable[[], float] = time) -> None:
        """Guard a page bound to `host` by the token with this hash."""
        self._digest = digest
        self._is_local = is_loopback(host)
        self._now = now
        self._seal = secrets.token_bytes(32)  # made anew at each start: a restart signs everybody out
        self.tries = Tries()

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes the same time for every wrong one."""
        return hmac.compare_digest(digest_of(token), self._digest)

    def rights_of(self, visit: Visit) -> Rights:
        """Return what this visitor may do."""
        if visit.bearer is not None:
            return Rights.ACT if self.knows(visit.bearer) else Rights.NONE
        if visit.cookie is not None and self._is_signed_in(visit.cookie):
            return Rights.ACT
        if visit.is_forwarded:
            return Rights.NONE
        if self._is_local and is_loopback(_name_in(visit.host)):
            return Rights.LOOK
        return Rights.PROBE if visit.is_from_here else Rights.NONE

    def sign_in(self) -> str:
        """Return what a browser is to carry that has shown the token. It does not hold the token."""
        until = str(int(self._now()) + SIGNED_IN_SECONDS)
        return f"{until}.{self._sealed(until)}"

    def _is_signed_in(self, cookie: str) -> bool:
        until, _, seal = cookie.partition(".")
        if not hmac.compare_digest(seal.encode("utf-8", "replace"), self._sealed(until).encode()):
            return False
        return self._now() < int(until)

    def _sealed(self, until: str) -> str:
        return hmac.new(self._seal, until.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class Tries:
    """Wrong tokens, by the address that they came from."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def seconds_left(self, address: str) -> float:
        """Return how long this address has to wait before another token of it is looked at; 0 when it need not."""
        count, last = self._wrong.get(address, (0, 0.0))
        return max(0.0, last + WAIT_SECONDS - self._now()) if count >= TRIES else 0.0

    def was_wrong(self, address: str) -> None:
        """Note a wrong token; the addresses that were quiet for longest are forgotten."""
        count, last = self._wrong.pop(address, (0, 0.0))
        self._wrong[address] = (count + 1 if self._now() - last < WAIT_SECONDS * TRIES else 1, self._now())
        while len(self._wrong) > ADDRESSES_KEPT:
            self._wrong.popitem(last=False)

    def was_right(self, address: str) -> None:
        """Forget the wrong ones of an address that then knew better."""
        self._wrong.pop(address, None)


def is_same_origin(headers: Mapping[str, str], *, carries_token: bool) -> bool:
    """Whether a page of ours asks, and not one elsewhere that makes a signed-in browser ask.

    Browsers say where a request comes from and let no page lie about it; programs say nothing, and have to carry the token.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("Origin")
    if origin is not None:
        return origin != "null" and urlsplit(origin).netloc.lower() == headers.get("Host", "").lower()
    return carries_token


def _name_in(host: str) -> str:
    """Return the name in a `Host` header, without the port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
