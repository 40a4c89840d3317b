"""Define requests, responses, errors and endpoints of the emulated API, free of HTTP machinery. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Form: TypeAlias = Mapping[str, object]
StateT = TypeVar("StateT")

NESTING = 100
"""JSON that is nested more deeply than this is refused."""


class ApiError(Exception):
    """A call was understood and not carried out. `error` goes into the body of the response (section 14)."""

    def __init__(
        self, status: int, error: str, *, content_type: str = "application/json", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.content_type = content_type
        """The content type of the response; its body is JSON all the same (section 4.1)."""
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseUrls:
    """The URLs under which one client reaches the other servers, without a trailing slash."""

    hub: str = ""
    static_hub: str = ""
    """The hub with the static certificate."""
    files: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a client, read to its end."""

    params: Mapping[str, str] = field(default_factory=dict)
    """The named parts of the path, percent-decoded."""
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    base_urls: BaseUrls = field(default_factory=BaseUrls)

    @property
    def device_id(self) -> str:
        """The device that the path names."""
        return self.params["device_id"]

    def json(self) -> object:
        """Return the parsed body, whatever its content type says.

        Raises:
            ApiError: 400, the body is not JSON.
        """
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise ApiError(400, "Invalid JSON") from error

    def form(self) -> Form:
        """Return the body's JSON object.

        Raises:
            ApiError: 400, the body is something else.
        """
        parsed = self.json()
        if not isinstance(parsed, dict):
            raise ApiError(400, "Body must be a JSON object")
        return parsed


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a client. A body is sent as JSON, but a `str` as it is, and `None` sends no body."""

    status: int
    body: object = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str | None:
        """The text of `{"error": ...}`, when that is the body."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error if isinstance(error, str) else None


def run_endpoint(handle: Callable[[StateT, Request], Response], state: StateT, request: Request) -> Response:
    """Return the response of an endpoint, or the one for the error that it raised."""
    try:
        return handle(state, request)
    except ApiError as error:
        return error_response(error)


def error_response(error: ApiError) -> Response:
    """Return the response for an error."""
    wait = error.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
    return Response(error.status, {"error": error.error}, error.content_type, headers)


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[StateT]):
    """One row of a server's table: the name of a call, its method and path, and the function that handles it."""

    name: str
    method: Method
    path: str
    """With `{device_id}` and other named parts."""
    handle: Callable[[StateT, Request], Response]
    changes_little: bool = False
    """A crash may lose its effect, as with telemetry and reads: it is saved periodically and not at once."""


def parse_json(body: bytes) -> object:
    """Parse strict UTF-8 JSON: no NaN, no number beyond a double, no lone surrogates, at most `NESTING` levels.

    Raises:
        ValueError: it is not such JSON.
    """
    text = body.decode()
    try:
        parsed: object = json.loads(text, parse_constant=_not_json, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\u" in text:
        json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode()
    if _is_deeper(parsed, NESTING):
        raise ValueError("nested too deeply")
    return parsed


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _not_json(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError("number beyond a double")
    return number
