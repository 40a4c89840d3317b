"""Decide what a request may do: bearer token, sign-in cookie, same origin.

The sign-in cookie names a token by the beginning of its hash, and has an expiry time and an HMAC of both. itsdangerous would do
the same in more bytes: it saves four lines here and is one more dependency to lock and watch, where an attack would begin.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Final
from urllib.parse import urlsplit

from gateway.state.history.timeline import EventKind
from gateway.status.auth.tokens import Token, find_token
from gateway.status.auth.wrong_tokens import WrongTokens
from gateway.status.hosts import is_loopback, without_port
from gateway.status.rights import Rights, Visitor

log = logging.getLogger(__name__)

SIGNED_IN_SECONDS: Final = 30 * 24 * 3600
_ID_LENGTH: Final = 16
"""So many digits of its hash tell a token from the others in a cookie."""

_COOKIE_KEY: Final = secrets.token_bytes(32)
"""New at each start: a restart signs everybody out. One for the process: who has set the gateway up stays signed in."""


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

    When the page is bound to loopback, anybody who uses this machine's own name may look; everything else takes a token. The
    `Host` header is checked because a web page elsewhere can have its own name resolved to 127.0.0.1, and forwarded requests
    are not local, because a proxy on this machine would make every visitor look local.

    When the page is bound wider, requests from this machine may still ask whether the gateway is ready, so that a container's
    health check needs no token. They get that one bit only: a proxy that adds no header, or a published port that a process
    hands on, makes a remote visitor look local, too.
    """

    def __init__(
        self,
        tokens: Callable[[], Sequence[Token]],
        *,
        host: str,
        now: Callable[[], float] = time,
        on_use: Callable[[Token], None] = lambda token: None,
    ) -> None:
        """Protect a page.

        Args:
            tokens: returns the tokens that are valid at the time.
            host: the address that the page is bound to.
            now: returns the time in seconds since 1970.
            on_use: told of each valid token that comes, itself or as the cookie of who signed in with it.
        """
        self._tokens = tokens
        self._is_local = is_loopback(host)
        self._now = now
        self._on_use = on_use
        self._cookie_key = _COOKIE_KEY
        self.wrong_tokens = WrongTokens(lambda text: self.on_event(EventKind.WRONG_TOKEN, text))
        self.on_event: Callable[[EventKind, str], None] = lambda kind, text: None
        """Told in a sentence when somebody signs in, and when wrong tokens come."""

    def find_token(self, text: str) -> Token | None:
        """Return the valid token that this text is; takes the same time for every wrong one."""
        return find_token(self._tokens(), text)

    def visitor_of(self, request: AccessRequest) -> Visitor:
        """Return who sent this request, and what they may do."""
        if request.bearer is not None:
            return self._holder(self.find_token(request.bearer))
        if request.cookie is not None and (token := self._token_of_cookie(request.cookie)) is not None:
            return self._holder(token)
        if request.is_forwarded:
            return Visitor(Rights.NONE)
        if self._is_local and is_loopback(without_port(request.host)):
            return Visitor(Rights.LOOK)
        return Visitor(Rights.PROBE if request.is_from_here else Rights.NONE)

    def note_sign_in(self, token: Token, client: str) -> None:
        """Note that a browser has signed in with this token."""
        self._on_use(token)
        text = f"somebody at {client} has signed in to the status page with the token {token.name}, which may {token.role}"
        log.info("%s", text)
        self.on_event(EventKind.SIGNED_IN, text)

    def _holder(self, token: Token | None) -> Visitor:
        if token is None:
            return Visitor(Rights.NONE)
        self._on_use(token)
        return Visitor(token.rights, token.name)

    def new_cookie(self, token: Token) -> str:
        """Return the cookie for a browser that has sent this token. It does not contain the token."""
        expires_at = str(int(self._now()) + SIGNED_IN_SECONDS)
        return f"{token.digest[:_ID_LENGTH]}.{expires_at}.{self._signature_of(token, expires_at)}"

    def _token_of_cookie(self, cookie: str) -> Token | None:
        """Return the token that a browser has signed in with; `None` if it has not, or it is over, or the token is withdrawn."""
        token_id, _, rest = cookie.partition(".")
        expires_at, _, signature = rest.partition(".")
        token = next((one for one in self._tokens() if one.digest[:_ID_LENGTH] == token_id), None)
        if token is None:
            return None
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature_of(token, expires_at).encode()):
            return None
        return token if self._now() < int(expires_at) else None

    def _signature_of(self, token: Token, expires_at: str) -> str:
        signed = f"{token.digest}.{expires_at}"
        return hmac.new(self._cookie_key, signed.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


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
