"""The JSON API: its calls, their answers, and the OpenAPI document made of both. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, Field
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.models import NAME_LENGTH
from gateway.status.doctor_cache import Findings
from gateway.status.snapshot import (
    BusShown,
    ChildLine,
    ChildReport,
    GatewayShown,
    OutboxShown,
    Series,
    Shown,
    Standing,
    WaitingDevice,
)

BASE: Final = "/api/v1"


class Overview(Shown):
    """Everything at a glance."""

    at: AwareDatetime
    headline: str
    gateway: GatewayShown
    outbox: OutboxShown
    standings: dict[Standing, int] = Field(description="how many children stand how")
    waiting: int = Field(description="how many found devices are no children and not ignored")


class Buses(Shown):
    """Every bus."""

    buses: tuple[BusShown, ...]


class Children(Shown):
    """One page of the children: those first that most need a person, then by name."""

    total: int
    page: int
    pages: int
    children: tuple[ChildLine, ...]


class Waiting(Shown):
    """One page of the found devices that are no children."""

    total: int
    page: int
    pages: int
    devices: tuple[WaitingDevice, ...]


class NewName(Shown):
    """What a device is to be called."""

    name: str | None = Field(description=f"1 to {NAME_LENGTH} readable characters; null for the name that it was found under")


class Done(Shown):
    """It is done."""

    done: Literal[True] = True


class Problem(Shown):
    """Why it is not done."""

    error: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    summary: str
    answer: type[BaseModel]
    query: Mapping[str, str] = field(default_factory=dict)
    """What its address may say after the `?`, and what for."""
    body: type[BaseModel] | None = None
    """What is sent with it."""


_PAGED: Final = {
    "search": "words that all have to occur in name, key, address, bus, maker or model",
    "page": "which page, from 1; a page has at most 100",
}

CALLS: Final[Sequence[Call]] = (
    Call("overview", "GET", f"{BASE}/status", "How everything stands, at a glance", Overview),
    Call("buses", "GET", f"{BASE}/buses", "Every bus, its plan beside its life", Buses),
    Call(
        *("children", "GET", f"{BASE}/children", "The children, in pages", Children),
        query=_PAGED | {"show": f"`trouble` for those that are not fine, or one of {', '.join(Standing)}"},
    ),
    Call("child", "GET", f"{BASE}/children/{{id}}", "One child with its last values and what became of it", ChildReport),
    Call(
        *("history", "GET", f"{BASE}/children/{{id}}/history", "The last hour of one metric", Series),
        query={"metric": "its name"},
    ),
    Call(
        *("waiting", "GET", f"{BASE}/waiting", "Found devices that are no children, in pages", Waiting),
        query=_PAGED | {"show": "`ignored` for those that are to be left alone"},
    ),
    Call("doctor", "GET", f"{BASE}/doctor", "What can keep the gateway from working here, and what mends it", Findings),
    Call("admit", "POST", f"{BASE}/waiting/{{id}}/admit", "Take a found device on as a child", Done),
    Call("ignore", "POST", f"{BASE}/waiting/{{id}}/ignore", "Leave a found device alone from now on", Done),
    Call("name_waiting", "POST", f"{BASE}/waiting/{{id}}/name", "Give a found device a name", Done, body=NewName),
    Call("name_child", "POST", f"{BASE}/children/{{id}}/name", "Give a child a name, in the cloud too", Done, body=NewName),
    Call("rescan", "POST", f"{BASE}/buses/{{id}}/rescan", "Look for new devices on a bus now", Done),
)


def openapi() -> Mapping[str, Any]:
    """Return the OpenAPI document of all calls."""
    answers: Iterable[type[BaseModel]] = dict.fromkeys([*(call.answer for call in CALLS), Problem])
    bodies: Iterable[type[BaseModel]] = dict.fromkeys(call.body for call in CALLS if call.body is not None)
    said: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in answers]
    said += [(model, "validation") for model in bodies]
    _, schemas = models_json_schema(said, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Xyte gateway",
            "version": __version__,
            "description": "What the gateway knows of itself, its buses and its children.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: Call) -> Mapping[str, Any]:
    names = re.findall(r"{(\w+)}", call.path)
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    in_query = [
        {"name": name, "in": "query", "description": what, "schema": {"type": "string"}} for name, what in call.query.items()
    ]
    refusals = {"401": "the token is missing or wrong", "429": "too many wrong tokens"}
    if call.method == "POST":
        refusals |= {"403": "it needs the token, and may not come from another site", "409": "it is not done"}
    if call.body is not None:
        refusals["400"] = "what was sent makes no sense"
    if names:
        refusals["404"] = "there is no such thing"
    return {
        "operationId": call.name,
        "summary": call.summary,
        "parameters": in_path + in_query,
        **({} if call.body is None else {"requestBody": {"required": True, "content": _json_of(call.body)}}),
        "responses": {"200": _response(call.summary, call.answer)}
        | {status: _response(why, Problem) for status, why in sorted(refusals.items())},
    }


def _response(what: str, model: type[BaseModel]) -> Mapping[str, Any]:
    return {"description": what, "content": _json_of(model)}


def _json_of(model: type[BaseModel]) -> Mapping[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
