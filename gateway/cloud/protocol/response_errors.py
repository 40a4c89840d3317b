"""Turn the status and error text of a response into the error tree, with no key in any text. Pure.

The statuses are those of the device API reference, section 14.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.cloud.protocol.response_parser import NOT_JSON, UnexpectedResponse
from gateway.errors import HubBusy, HubError, HubRejected, HubUnauthorised, HubUnreachable

T = TypeVar("T")

JSON = "application/json"

MAX_ERROR_TEXT = 500
"""The most characters of a hub's error text that are passed on."""

MAX_DIGITS = 4000
"""A longer integer stays a text."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call of the device API, ready to be sent."""

    name: str
    """The name in the reference: `Register Child Device`."""
    method: str
    url: str
    """Percent-encoded already: sent unchanged."""
    key: SecretStr | None = None
    """Sent as the whole `Authorization` header (section 1)."""
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    secrets: tuple[SecretStr, ...] = ()
    """Every key in this call, also in the body: masked in every text."""
    has_entries: bool = False
    """A call for many devices: a 422 may contain their results (section 5.3)."""

    @property
    def server(self) -> str:
        """The server for people: host, and port where it is not the default one."""
        return urlsplit(self.url).netloc

    def sentence(self, what: str) -> str:
        """Return a sentence about this call without any key: `Get Command: us-1.endpoints.xyte.io answered 502`."""
        return mask_keys(f"{self.name}: {self.server} {what}", self.secrets)


@dataclass(frozen=True)
class HubResponse:
    """One response, complete and of bounded length."""

    status: int
    headers: Mapping[str, str]
    """With their usual spelling: `Retry-After`."""
    raw: bytes = field(repr=False)

    @cached_property
    def body(self) -> object:
        """The JSON value in the body, or `NOT_JSON`; 204 counts as null. The content type is ignored (section 4.1)."""
        if self.status == HTTPStatus.NO_CONTENT:
            return None
        try:
            return _json_value(self.raw.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return NOT_JSON

    @property
    def is_html(self) -> bool:
        """True for an HTML page instead of JSON: a proxy or a load balancer answered (section 14)."""
        return self.raw.lstrip()[:1] == b"<"


def parse_response(call: ApiCall, response: HubResponse, parse: Callable[[object], T]) -> T:
    """Return the parsed body, or raise the error that the response stands for.

    Raises:
        HubError: for the status, for a 2xx with `error` in it, or for a body that cannot be parsed.
    """
    problem = error_for(call, response)
    if problem is not None:
        raise problem
    try:
        return parse(response.body)
    except UnexpectedResponse as error:
        unusable = HubUnreachable(
            call.sentence(f"answered {response.status}, but {error}"), maybe_done=True, status=response.status
        )
    raise unusable


def error_for(call: ApiCall, response: HubResponse) -> HubError | None:
    """Return the error that a response stands for; `None` when the call was carried out."""
    make_error = _BY_STATUS.get(response.status) or _BY_CLASS.get(response.status // 100, _unusable)
    return make_error(call, response)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the wait that the server asks for, in seconds or as an HTTP date (RFC 9110, section 10.2.3).

    A date is compared with the server's own `Date` header if there is one, otherwise with `now` (aware).
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        until, since = http_date(text), http_date(headers.get("Date", "")) or now
        seconds = math.nan if until is None else (until - since).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def error_text(error: object, secrets: Iterable[SecretStr]) -> str:
    """Return the hub's error as one printable line of bounded length, with the keys of the call masked."""
    text = mask_keys(error if isinstance(error, str) else json.dumps(error), secrets)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:MAX_ERROR_TEXT]


def mask_keys(text: str, secrets: Iterable[SecretStr]) -> str:
    """Return the text with every key replaced by `***`."""
    keys = {secret.get_secret_value() for secret in secrets} - {""}
    for key in sorted(keys, key=len, reverse=True):  # a key may start with another one
        text = text.replace(key, "***")
    return text


def _json_value(text: str) -> object:
    """Return the JSON value in a text. What no store and no log can take makes its own field invalid, and not the response."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of thousands of digits, which Python does not convert
        body = json.loads(text, parse_int=_integer)
    return _without_surrogates(body) if _SURROGATE.search(text) else body


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of a surrogate; two of them make one character (RFC 8259, section 7)."""


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _without_surrogates(value: object) -> object:
    """Return the value with each surrogate that has no partner replaced: it cannot be encoded."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(entry) for name, entry in value.items()}
    return [_without_surrogates(entry) for entry in value] if isinstance(value, list) else value


def _carried_out(call: ApiCall, response: HubResponse) -> HubError | None:
    if response.is_html:
        return _unusable(call, response)
    body = response.body
    if not isinstance(body, dict) or not (body.get("error") or body.get("success") is False):
        return None
    words = error_text(body.get("error") or "success: false", call.secrets)
    return HubRejected(
        call.sentence(f"answered {response.status}, but with an error: {words}"), status=response.status, error=words
    )


def _rejected(call: ApiCall, response: HubResponse) -> HubError:
    words = _error_text_of(call, response)
    return HubRejected(call.sentence(f"refused it with {response.status}: {words}"), status=response.status, error=words)


def _unprocessable(call: ApiCall, response: HubResponse) -> HubError | None:
    return None if call.has_entries and _has_entries(response.body) else _rejected(call, response)


def _unauthorised(call: ApiCall, response: HubResponse) -> HubError:
    words = _error_text_of(call, response)
    text = call.sentence(f"does not accept this id with this key ({response.status}): {words}")
    return HubUnauthorised(text, status=response.status, error=words)


def _busy(call: ApiCall, response: HubResponse) -> HubError:
    seconds = retry_after_seconds(response.headers, now=datetime.now(UTC))
    wait = "" if seconds is None else f", the next one in {seconds:g} s"
    return HubBusy(call.sentence(f"wants fewer calls (429){wait}"), retry_after_seconds=seconds)


def _redirect(call: ApiCall, response: HubResponse) -> HubError:
    target = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2] or "another page"
    what = f"answered {response.status} and points to {target}, which is not followed, since the key would be sent there"
    return HubUnreachable(call.sentence(what), maybe_done=True, status=response.status)


def _unusable(call: ApiCall, response: HubResponse) -> HubError:
    what = "with a web page" if response.is_html else f"({_error_text_of(call, response)})"
    return HubUnreachable(call.sentence(f"answered {response.status} {what}"), maybe_done=True, status=response.status)


_BY_STATUS: Mapping[int, Callable[[ApiCall, HubResponse], HubError | None]] = {
    HTTPStatus.UNAUTHORIZED: _unauthorised,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: _unusable,
    HTTPStatus.REQUEST_TIMEOUT: _unusable,
    HTTPStatus.UNPROCESSABLE_ENTITY: _unprocessable,
    HTTPStatus.TOO_EARLY: _unusable,
    HTTPStatus.TOO_MANY_REQUESTS: _busy,
}
_BY_CLASS: Mapping[int, Callable[[ApiCall, HubResponse], HubError | None]] = {2: _carried_out, 3: _redirect, 4: _rejected}


def _error_text_of(call: ApiCall, response: HubResponse) -> str:
    """Return the hub's error text: `error` in an object, a bare text, or else the phrase of the status."""
    body = response.body
    reason = body.get("error") if isinstance(body, dict) else body
    if body is NOT_JSON:
        reason = "" if response.is_html else response.raw.decode("utf-8", "replace")
    return error_text(reason or "", call.secrets) or _PHRASES.get(response.status, "no reason given")


def _has_entries(body: object) -> bool:
    if isinstance(body, dict) and body.get("error"):
        return False
    entries = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return any(isinstance(entry, dict) for entry in entries)


def http_date(text: str) -> datetime | None:
    """Return the moment in an HTTP date, aware; `None` when it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
