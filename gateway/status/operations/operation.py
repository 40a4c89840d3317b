"""Define what describes one operation of the JSON API, and the bodies that several share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel

from gateway.status.model import StatusModel
from gateway.status.rights import Rights

BASE: Final = "/api/v1"

PAGED: Final = {
    "search": "words that must all occur in name, key, address, bus, maker or model",
    "page": "page number, from 1; a page has at most 100 rows",
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
    method: Literal["GET", "POST"]
    path: str
    summary: str
    response: type[BaseModel]
    needs: Rights = field(kw_only=True)
    """The right that a request needs."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Its query parameters, each with a description."""
    body: type[BaseModel] | None = None
    """The model of its request body."""
