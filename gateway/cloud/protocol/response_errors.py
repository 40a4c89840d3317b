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

from gateway import strict_json
from gateway.causes import Cause
from gateway.cloud.protocol.response_parser import NOT_JSON, UnexpectedResponse
from gateway.errors import HubBusy, HubError, HubRejected, HubUnauthorised, HubUnreachable
from gateway.plain_numbers import seconds_text

T = TypeVar("T")

JSON = "application/json"

MAX_ERROR_TEXT = 500
"""The most characters of a hub's error text that are passed on."""

MAX_READ_ERROR = 10_000
"""The most characters of an error text that are looked at, after its keys were masked."""

MAX_DEPTH = 64
"""A body that is nested deeper is none: what walks through it would end in a `RecursionError` somewhere."""

MAX_VALUES = 500_000
"""A body with more values is none: 8 MB of empty lists would take 150 MB. Ten thousand children make 120,000."""

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""A longer wait is cut to this, so that no arithmetic with it can fail. Callers wait less than this."""

YEARS = range(2020, 2200)
"""A date outside of these years is a mistake of the server, and no arithmetic is done with it."""

MAX_HOST = 255
"""The most characters of a host name (RFC 1035, section 2.3.4)."""

MAX_DATE = 100
"""A longer text is no HTTP date."""

INTEGERS = range(-(2**63), 2**63)
"""The integers that a store takes; a larger one stays a text."""

MAX_INTEGER_DIGITS = 20
"""No integer with more digits and sign is among those."""

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
            return _json_value(self.raw)
        except (ValueError, RecursionError):
            return NOT_JSON

    @property
    def is_html(self) -> bool:
        """True for an HTML page instead of JSON: a proxy or a load balancer answered (section 14)."""
        return self.raw.lstrip()[:1] == b"<"


def parse_response(call: ApiCall, response: HubResponse, parse: Callable[[object], T]) -> T:
    """Return the parsed body, or raise the error that the response stands for.

    Whatever reading it raises, a response that cannot be read is none: it may not end its caller.

    Raises:
        HubError: for the status, for a 2xx with `error` in it, or for a body that cannot be parsed.
    """
    try:
        problem = error_for(call, response)
        if problem is None:
            return parse(response.body)
    except UnexpectedResponse as error:
        problem = _unreadable(call, response, f"but {error}")
    except Exception as error:  # noqa: BLE001 - see the docstring; its text may quote the response, its kind does not
        problem = _unreadable(call, response, f"and its response cannot be read ({type(error).__name__})")
    raise problem


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
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS) if math.isfinite(seconds) else None


def error_text(error: object, secrets: Iterable[SecretStr]) -> str:
    """Return the hub's error as one printable line of bounded length, with the keys of the call masked."""
    text = mask_keys(error if isinstance(error, str) else strict_json.dumps(error), secrets)
    return printable_words(text[:MAX_READ_ERROR])[:MAX_ERROR_TEXT]


def printable_words(text: str) -> str:
    """Return the text in one line, without control characters, lone surrogates and double spaces."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def mask_keys(text: str, secrets: Iterable[SecretStr]) -> str:
    """Return the text with every key replaced by `***`."""
    keys = {secret.get_secret_value() for secret in secrets} - {""}
    for key in sorted(keys, key=len, reverse=True):  # a key may start with another one
        text = text.replace(key, "***")
    return text


def _json_value(raw: bytes) -> object:
    """Return the JSON value in a body. What no store and no log can take makes its own field invalid, and not the response.

    Raises:
        ValueError: it is no JSON, or too deep or too large to be worked with.
    """
    if sum(raw.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise ValueError("too many values")
    text = raw.decode("utf-8-sig")
    body = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=str)
    if _depth(body) > MAX_DEPTH:
        raise ValueError("nested too deep")
    return _without_surrogates(body) if _SURROGATE.search(text) else body


def _depth(body: object) -> int:
    """Return how deep a value is nested, without recursion."""
    depth, level = 0, [body]
    while level := [entry for entry in level if isinstance(entry, dict | list)]:
        depth += 1
        level = [inner for entry in level for inner in (entry.values() if isinstance(entry, dict) else entry)]
    return depth


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of a surrogate; two of them make one character (RFC 8259, section 7)."""


def _integer(digits: str) -> int | str:
    return number if len(digits) <= MAX_INTEGER_DIGITS and (number := int(digits)) in INTEGERS else digits


def _float(digits: str) -> float | str:
    return number if math.isfinite(number := float(digits)) else digits


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
    wait = "" if seconds is None else f", the next one in {seconds_text(seconds)}"
    return HubBusy(call.sentence(f"wants fewer calls (429){wait}"), retry_after_seconds=seconds)


def _redirect(call: ApiCall, response: HubResponse) -> HubError:
    target = _host_of_link(response.headers.get("Location", "")) or "another page"
    what = f"answered {response.status} and points to {target}, which is not followed, since the key would be sent there"
    return HubUnreachable(call.sentence(what), maybe_done=True, status=response.status, cause=Cause.PROXY)


def _host_of_link(link: str) -> str:
    """Return the host in a link for people; empty where there is none."""
    try:
        return printable_words(urlsplit(link[:MAX_READ_ERROR]).netloc.rpartition("@")[2])[:MAX_HOST]
    except ValueError:
        return ""


def _unreadable(call: ApiCall, response: HubResponse, what: str) -> HubUnreachable:
    return HubUnreachable(call.sentence(f"answered {response.status}, {what}"), maybe_done=True, status=response.status)


def _unusable(call: ApiCall, response: HubResponse) -> HubError:
    what = "with a web page" if response.is_html else f"({_error_text_of(call, response)})"
    is_of_another = response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or (response.is_html and response.status < 500)
    cause = Cause.PROXY if is_of_another else Cause.HUB_UNREACHABLE  # a load balancer of the hub sends web pages for a 5xx
    sentence = call.sentence(f"answered {response.status} {what}")
    return HubUnreachable(sentence, maybe_done=True, status=response.status, cause=cause)


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
    """Return the moment in an HTTP date, aware and in UTC; `None` when it is none, or in a year that no server is run in."""
    try:
        moment = parsedate_to_datetime(text[:MAX_DATE])
        if moment.year not in YEARS:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError, IndexError):  # a zone or a year of many digits, or of none
        return None
