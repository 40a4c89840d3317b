"""What a call is before and after it was HTTP: a request, an answer, a refusal, and the row of a table that joins them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Form: TypeAlias = Mapping[str, object]
WorldT = TypeVar("WorldT")

NESTING = 100
"""Objects and arrays within each other beyond this many levels are no JSON to us."""


class Refused(Exception):
    """A call was understood and not done. `error` goes into the answer's body (section 14)."""

    def __init__(
        self, status: int, error: str, *, content_type: str = "application/json", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.content_type = content_type
        """What the answer calls itself; its body is JSON whatever that says (section 4.1)."""
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked, free of HTTP machinery."""

    params: Mapping[str, str] = field(default_factory=dict)
    """The named parts of the path, percent-decoded."""
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    hub_url: str = ""
    """Where this client reaches the hub; without a trailing slash."""

    @property
    def device_id(self) -> str:
        """The device that the path names."""
        return self.params["device_id"]

    def json(self) -> object:
        """Return the parsed body, whatever its content type says.

        Raises:
            Refused: 400, the body is not JSON.
        """
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise Refused(400, "Invalid JSON") from error

    def form(self) -> Form:
        """Return the body's JSON object.

        Raises:
            Refused: 400, the body is something else.
        """
        parsed = self.json()
        if not isinstance(parsed, dict):
            raise Refused(400, "Body must be a JSON object")
        return parsed


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client hears. A body is sent as JSON, but a `str` as it is, and `None` is no body at all."""

    status: int
    body: object = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str | None:
        """The text of `{"error": ...}`, when that is what the answer is."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error if isinstance(error, str) else None


def carry_out(answer: Callable[[WorldT, Request], Answer], world: WorldT, asked: Request) -> Answer:
    """Return the answer, or the refusal as one."""
    try:
        return answer(world, asked)
    except Refused as refusal:
        return as_answer(refusal)


def as_answer(refusal: Refused) -> Answer:
    """Return a refusal as the client hears it."""
    wait = refusal.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
    return Answer(refusal.status, {"error": refusal.error}, refusal.content_type, headers)


@dataclass(frozen=True, slots=True)
class Call(Generic[WorldT]):
    """One row of a server's table: what the call is named, where it lives, and who answers it."""

    name: str
    method: Method
    path: str
    """With `{device_id}` and other named parts."""
    answer: Callable[[WorldT, Request], Answer]
    changes_little: bool = False
    """Nothing is lost for good when a crash loses its effect: telemetry, reading. Persisted now and then, not at once."""


def parse_json(body: bytes) -> object:
    """Return what UTF-8 JSON says if it is strict: no NaN, nothing beyond a double, no lone surrogates, at most `NESTING` levels.

    Raises:
        ValueError: it is not JSON in that sense.
    """
    text = body.decode()
    try:
        parsed: object = json.loads(text, parse_constant=_not_json, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\u" in text:
        json.dumps(parsed, ensure_ascii=False).encode()
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
