"""What an answer means: its status and its words turned into the error tree, with no key in any text. Nothing here waits.

The statuses are those of the device API reference, section 14.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.cloud.protocol.response_parser import NOT_JSON, NotUnderstood
from gateway.errors import HubBusy, HubError, HubRejected, HubUnauthorised, HubUnreachable

T = TypeVar("T")

JSON = "application/json"

WORDS_KEPT = 500
"""At most so many characters of what a hub says went wrong are passed on."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the device API, ready to be sent."""

    name: str
    """As the reference calls it: `Register Child Device`."""
    method: str
    url: str
    """Percent-encoded already: sent as it stands."""
    key: SecretStr | None = None
    """Goes out as the bare `Authorization` (section 1)."""
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    secrets: tuple[SecretStr, ...] = ()
    """Every key in this call, wherever it stands: none of them comes back in a text."""
    has_entries: bool = False
    """Many devices in one call: a 422 may carry their answers as well (section 5.3)."""

    @property
    def server(self) -> str:
        """The server as a person reads it: host, and port where it is not the usual one."""
        return urlsplit(self.url).netloc

    def sentence(self, what: str) -> str:
        """Return a sentence on how this call went: `Get Command: us-1.endpoints.xyte.io answered 502`, without any key."""
        return masked(f"{self.name}: {self.server} {what}", self.secrets)


@dataclass(frozen=True)
class Answer:
    """What came back, whole and within bounds."""

    status: int
    headers: Mapping[str, str]
    """By their usual spelling: `Retry-After`."""
    raw: bytes = field(repr=False)

    @cached_property
    def body(self) -> object:
        """The JSON value in the body, or `NOT_JSON`; 204 counts as null. The content type is not asked (section 4.1)."""
        if self.status == HTTPStatus.NO_CONTENT:
            return None
        try:
            return json.loads(self.raw.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return NOT_JSON

    @property
    def is_page(self) -> bool:
        """Whether a web page came where JSON was meant: a proxy or a load balancer spoke (section 14)."""
        return self.raw.lstrip()[:1] == b"<"


def understood(call: Call, answer: Answer, read: Callable[[object], T]) -> T:
    """Return what the answer says, or raise what it means.

    Raises:
        HubError: the one that the status stands for, or a 2xx with `error` in it, or one that is not the hub's language.
    """
    problem = verdict(call, answer)
    if problem is not None:
        raise problem
    try:
        return read(answer.body)
    except NotUnderstood as error:
        nonsense = HubUnreachable(call.sentence(f"answered {answer.status}, but {error}"), maybe_done=True, status=answer.status)
    raise nonsense


def verdict(call: Call, answer: Answer) -> HubError | None:
    """Return the error that this answer stands for; `None` when the call was carried out."""
    meaning = _BY_STATUS.get(answer.status) or _BY_CLASS.get(answer.status // 100, _unusable)
    return meaning(call, answer)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return how long the server wants to be left alone, by seconds or by an HTTP date (RFC 9110, section 10.2.3).

    A date is measured by the server's own clock where its answer tells that, and else by `now` (aware).
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        until, since = _http_date(text), _http_date(headers.get("Date", "")) or now
        seconds = math.nan if until is None else (until - since).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def hub_words(error: object, secrets: Iterable[SecretStr]) -> str:
    """Return what the hub says went wrong as one printable line of bounded length, with the keys of the call masked."""
    text = masked(error if isinstance(error, str) else json.dumps(error), secrets)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:WORDS_KEPT]


def masked(text: str, secrets: Iterable[SecretStr]) -> str:
    """Return the text without the keys in it."""
    keys = {secret.get_secret_value() for secret in secrets} - {""}
    for key in sorted(keys, key=len, reverse=True):  # a key may begin with another one
        text = text.replace(key, "***")
    return text


def _carried_out(call: Call, answer: Answer) -> HubError | None:
    if answer.is_page:
        return _unusable(call, answer)
    body = answer.body
    if not isinstance(body, dict) or not (body.get("error") or body.get("success") is False):
        return None
    words = hub_words(body.get("error") or "success: false", call.secrets)
    return HubRejected(call.sentence(f"answered {answer.status}, but with an error: {words}"), status=answer.status, error=words)


def _rejected(call: Call, answer: Answer) -> HubError:
    words = _words_of(call, answer)
    return HubRejected(call.sentence(f"refused it with {answer.status}: {words}"), status=answer.status, error=words)


def _unprocessable(call: Call, answer: Answer) -> HubError | None:
    return None if call.has_entries and _has_entries(answer.body) else _rejected(call, answer)


def _unauthorised(call: Call, answer: Answer) -> HubError:
    words = _words_of(call, answer)
    text = call.sentence(f"does not accept this id with this key ({answer.status}): {words}")
    return HubUnauthorised(text, status=answer.status, error=words)


def _busy(call: Call, answer: Answer) -> HubError:
    seconds = retry_after_seconds(answer.headers, now=datetime.now(UTC))
    wish = "" if seconds is None else f", the next one in {seconds:g} s"
    return HubBusy(call.sentence(f"wants fewer calls (429){wish}"), retry_after_seconds=seconds)


def _redirect(call: Call, answer: Answer) -> HubError:
    target = urlsplit(answer.headers.get("Location", "")).netloc.rpartition("@")[2] or "another page"
    what = f"answered {answer.status} and points to {target}, which is not followed: the key would travel with it"
    return HubUnreachable(call.sentence(what), maybe_done=True, status=answer.status)


def _unusable(call: Call, answer: Answer) -> HubError:
    what = "with a web page" if answer.is_page else f"({_words_of(call, answer)})"
    return HubUnreachable(call.sentence(f"answered {answer.status} {what}"), maybe_done=True, status=answer.status)


_BY_STATUS: Mapping[int, Callable[[Call, Answer], HubError | None]] = {
    HTTPStatus.UNAUTHORIZED: _unauthorised,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: _unusable,
    HTTPStatus.REQUEST_TIMEOUT: _unusable,
    HTTPStatus.UNPROCESSABLE_ENTITY: _unprocessable,
    HTTPStatus.TOO_EARLY: _unusable,
    HTTPStatus.TOO_MANY_REQUESTS: _busy,
}
_BY_CLASS: Mapping[int, Callable[[Call, Answer], HubError | None]] = {2: _carried_out, 3: _redirect, 4: _rejected}


def _words_of(call: Call, answer: Answer) -> str:
    """Return the hub's own words: `error` in an object, a bare text, or else what the status is called."""
    body = answer.body
    said = body.get("error") if isinstance(body, dict) else body
    if body is NOT_JSON:
        said = "" if answer.is_page else answer.raw.decode("utf-8", "replace")
    return hub_words(said or "", call.secrets) or _PHRASES.get(answer.status, "no reason given")


def _has_entries(body: object) -> bool:
    if isinstance(body, dict) and body.get("error"):
        return False
    entries = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return any(isinstance(entry, dict) for entry in entries)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
