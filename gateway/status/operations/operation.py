"""Define what describes one operation of the JSON API, and the bodies that several share. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel

from gateway.status.model import StatusModel
from gateway.status.rights import Rights

BASE: Final = "/api/v1"
MULTIPART: Final = "multipart/form-data"
"""A body that may be large: only the handler reads it, with bounds of its own."""


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A query parameter of an operation, which every request is checked against."""

    description: str
    choices: Sequence[str] = ()
    """All its values; empty when it may have any."""
    pattern: str = ""
    """What the whole value must match; empty when it may be any."""
    expected: str = ""
    """The same in words, for the caller: `a number from 1`."""
    format: str = ""
    """What a value of this pattern also has to be, as a format of OpenAPI; empty when the pattern says all."""
    is_required: bool = False
    """It is there, and not empty."""

    def problem_with(self, value: str) -> str | None:
        """Return why it cannot have this value, for the caller; `None` when it can."""
        if self.choices and value not in self.choices:
            return f"is none of {', '.join(self.choices)}"
        if self.pattern and re.fullmatch(self.pattern, value) is None:
            return f"is not {self.expected}"
        return None


PAGED: Final = {
    "search": QueryParameter("words that must all occur in name, key, address, bus, maker or model"),
    "page": QueryParameter(
        "page number, from 1; a page has at most 100 rows", pattern="[1-9][0-9]{0,5}", expected="a page number from 1 to 999999"
    ),
}
"""The query parameters of a list that comes in pages."""


class ActionDone(StatusModel):
    """The action succeeded."""

    done: Literal[True] = True


class ErrorResponse(StatusModel):
    """Why a request failed."""

    error: str


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One operation of the API. Its handler is the method of this name in the route class of its part."""

    name: str
    method: Literal["GET", "POST", "PUT"]
    path: str
    summary: str
    response: type[BaseModel] | None
    """The model of the response; `None` for a text that is not JSON."""
    needs: Rights = field(kw_only=True)
    """The right that a request needs."""
    query: Mapping[str, QueryParameter] = field(default_factory=dict)
    """Its query parameters, by name."""
    body: type[BaseModel] | None = None
    """The model of its request body."""
    body_type: Literal["application/json", "multipart/form-data"] = field(default="application/json", kw_only=True)
    errors: Mapping[str, tuple[str, type[BaseModel]]] = field(default_factory=dict)
    """Its own errors: the status -> a description, and the model of the response."""
    content_type: str = field(default="application/json", kw_only=True)
    """Of the response."""
    most_body_bytes: int | None = field(default=None, kw_only=True)
    """How large its body may be, where the handler reads that itself; `None` where it is small."""
