"""Decide what a request may do: bearer token, sign-in cookie, failed attempts, same origin.

The sign-in cookie is an expiry time and its HMAC. itsdangerous would do the same in more bytes: it saves four lines here and
is one more dependency to lock and watch, in the part where an attack would begin.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time
from typing import Final
from urllib.parse import urlsplit

from gateway.status.auth.token_file import digest_of
from gateway.status.hosts import is_loopback, without_port
from gateway.status.rights import Rights
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

SIGNED_IN_SECONDS: Final = 30 * 24 * 3600
FREE_ATTEMPTS: Final = 5
"""Number of wrong tokens in a row that one client may send before it has to wait."""
WAIT_SECONDS: Final = 60.0
"""Wait between further wrong tokens of such a client."""
MAX_CLIENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """The parts of an HTTP request that decide what it may do."""

    host: str
    """The `Host` header."""
    bearer: str | None = None
    """The token of the `Authorization` header."""
    cookie: str | None = None
    """The sign-in cookie."""
    is_from_here: bool = False
    """It comes from the address that it goes to: from this machine, or from inside this container."""
    is_forwarded: bool = False
    """A proxy passed it on, so the address of its sender says nothing."""


class TokenAuth:
    """Decides what a request may do.

    When the page is bound to loopback, anybody who uses this machine's own name may look; everything else takes the token. The
    `Host` header is checked because a web page elsewhere can have its own name resolved to 127.0.0.1, and forwarded requests
    are not local, because a proxy on this machine would make every visitor look local.

    When the page is bound wider, requests from this machine may still ask whether the gateway is ready, so that a container's
    health check needs no token. They get that one bit only: a proxy that adds no header, or a published port that a process
    hands on, makes a remote visitor look local, too.
    """

    def __init__(self, digest: Callable[[], str], *, host: str, now: Callable[[], float] = time) -> None:
        """Protect a page that is bound to `host` by the token that has this hash at the time."""
        self._digest = digest
        self._is_local = is_loopback(host)
        self._now = now
        self._cookie_key = secrets.token_bytes(32)  # new at each start: a restart signs everybody out
        self.attempts = AttemptLimiter()

    def is_token(self, token: str) -> bool:
        """Whether this is the token; takes the same time for every wrong one."""
        return hmac.compare_digest(digest_of(token), self._digest())

    def rights_of(self, request: AccessRequest) -> Rights:
        """Return what this request may do."""
        if request.bearer is not None:
            return Rights.ADMINISTER if self.is_token(request.bearer) else Rights.NONE
        if request.cookie is not None and self._is_valid_cookie(request.cookie):
            return Rights.ADMINISTER
        if request.is_forwarded:
            return Rights.NONE
        if self._is_local and is_loopback(without_port(request.host)):
            return Rights.LOOK
        return Rights.PROBE if request.is_from_here else Rights.NONE

    def new_cookie(self) -> str:
        """Return the cookie for a browser that has sent the token. It does not contain the token."""
        expires_at = str(int(self._now()) + SIGNED_IN_SECONDS)
        return f"{expires_at}.{self._signature_of(expires_at)}"

    def _is_valid_cookie(self, cookie: str) -> bool:
        expires_at, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature_of(expires_at).encode()):
            return False
        return self._now() < int(expires_at)

    def _signature_of(self, expires_at: str) -> str:
        signed = f"{self._digest()}.{expires_at}"  # a new token signs everybody out
        return hmac.new(self._cookie_key, signed.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class AttemptLimiter:
    """Counts wrong tokens by the client that sent them, and makes a client wait that sends too many.

    The right token is never refused: it is too long to be guessed, and a stranger who shares the address of an operator must not
    be able to lock them out.
    """

    def __init__(self, now: Callable[[], float] = loop_time) -> None:
        self._now = now
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._last_logged = float("-inf")

    def seconds_to_wait(self, client: str) -> float:
        """Return how long this client has to wait before its next wrong token is told as one; 0 when it need not wait."""
        count, last = self._failures.get(client, (0, 0.0))
        return max(0.0, last + WAIT_SECONDS - self._now()) if count >= FREE_ATTEMPTS else 0.0

    def record_failure(self, client: str) -> None:
        """Count a wrong token; the clients with the oldest failures are forgotten."""
        count, last = self._failures.pop(client, (0, 0.0))
        count = count + 1 if self._now() - last < WAIT_SECONDS * FREE_ATTEMPTS else 1
        self._failures[client] = (count, self._now())
        while len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)
        if count == FREE_ATTEMPTS and self._now() - self._last_logged >= WAIT_SECONDS:  # many clients may do this at once
            self._last_logged = self._now()
            log.warning("the status page: %s has sent %d wrong tokens and has to wait between further ones", client, count)

    def record_success(self, client: str) -> None:
        """Forget the failures of a client that then sent the right token."""
        self._failures.pop(client, None)


def is_same_origin(headers: Mapping[str, str], *, carries_token: bool) -> bool:
    """Whether one of our own pages sent this, and not a page elsewhere that makes a signed-in browser send it.

    Browsers report where a request comes from, and no page can change that; programs report nothing and must send the token.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("Origin")
    if origin is not None:
        return origin != "null" and _host_of(origin) == headers.get("Host", "").lower()
    return carries_token


def _host_of(origin: str) -> str | None:
    """Return host and port of an origin; `None` if it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
