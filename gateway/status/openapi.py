"""Define the operations of the JSON API and their bodies, and build the OpenAPI document from both. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, Field
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.models import NAME_LENGTH
from gateway.status.cloud_activity import CloudActivity
from gateway.status.doctor_cache import DoctorReport
from gateway.status.model import StatusModel
from gateway.status.snapshot import (
    BusSummary,
    ChildReport,
    ChildStatus,
    ChildSummary,
    GatewaySummary,
    MetricHistory,
    OutboxSummary,
    WaitingDevice,
)

BASE: Final = "/api/v1"


class Overview(StatusModel):
    """The state of the gateway at a glance."""

    at: AwareDatetime
    headline: str
    gateway: GatewaySummary
    outbox: OutboxSummary
    standings: dict[ChildStatus, int] = Field(description="number of children by status")
    waiting: int = Field(description="number of found devices that are neither children nor ignored")


class BusList(StatusModel):
    """Every bus."""

    buses: tuple[BusSummary, ...]


class ChildList(StatusModel):
    """One page of the children: those that most need a person first, then by name."""

    total: int
    page: int
    pages: int
    children: tuple[ChildSummary, ...]


class WaitingList(StatusModel):
    """One page of the found devices that are not children."""

    total: int
    page: int
    pages: int
    devices: tuple[WaitingDevice, ...]


class RenameRequest(StatusModel):
    """The new name of a device."""

    name: str | None = Field(description=f"1 to {NAME_LENGTH} readable characters; null for the name that it was found under")


class ActionDone(StatusModel):
    """The action succeeded."""

    done: Literal[True] = True


class ErrorResponse(StatusModel):
    """Why a request failed."""

    error: str


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One operation of the API."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    summary: str
    response: type[BaseModel]
    query: Mapping[str, str] = field(default_factory=dict)
    """Its query parameters, each with a description."""
    body: type[BaseModel] | None = None
    """The model of its request body."""


_PAGED: Final = {
    "search": "words that must all occur in name, key, address, bus, maker or model",
    "page": "page number, from 1; a page has at most 100 rows",
}

OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation("overview", "GET", f"{BASE}/status", "The state of the gateway at a glance", Overview),
    ApiOperation("buses", "GET", f"{BASE}/buses", "Every bus, with its planned and its measured load", BusList),
    ApiOperation("cloud", "GET", f"{BASE}/cloud", "The latest commands, open incidents, licences and files", CloudActivity),
    ApiOperation(
        *("children", "GET", f"{BASE}/children", "The children, in pages", ChildList),
        query=_PAGED | {"show": f"`trouble` for those that are not fine, or one of {', '.join(ChildStatus)}"},
    ),
    ApiOperation(
        "child", "GET", f"{BASE}/children/{{id}}", "One child with its last values, errors and availability", ChildReport
    ),
    ApiOperation(
        *("history", "GET", f"{BASE}/children/{{id}}/history", "The last hour of one metric", MetricHistory),
        query={"metric": "name of the metric"},
    ),
    ApiOperation(
        *("waiting", "GET", f"{BASE}/waiting", "Found devices that are not children, in pages", WaitingList),
        query=_PAGED | {"show": "`ignored` for those that a person has chosen to ignore"},
    ),
    ApiOperation(
        "doctor", "GET", f"{BASE}/doctor", "What can keep the gateway from working here, and how to fix it", DoctorReport
    ),
    ApiOperation("admit", "POST", f"{BASE}/waiting/{{id}}/admit", "Admit a found device as a child", ActionDone),
    ApiOperation("ignore", "POST", f"{BASE}/waiting/{{id}}/ignore", "Ignore a found device from now on", ActionDone),
    ApiOperation("name_waiting", "POST", f"{BASE}/waiting/{{id}}/name", "Rename a found device", ActionDone, body=RenameRequest),
    ApiOperation(
        *("name_child", "POST", f"{BASE}/children/{{id}}/name", "Rename a child, in the cloud too", ActionDone),
        body=RenameRequest,
    ),
    ApiOperation(
        *(
            "keep_identity",
            "POST",
            f"{BASE}/identity/keep",
            "Let this machine replace the one of the store",
            ActionDone,
        )
    ),
    ApiOperation(
        *("new_identity", "POST", f"{BASE}/identity/new", "Register this machine as another gateway than that one", ActionDone)
    ),
    ApiOperation("rescan", "POST", f"{BASE}/buses/{{id}}/rescan", "Search a bus for new devices now", ActionDone),
)


def openapi() -> Mapping[str, Any]:
    """Return the OpenAPI document of all operations."""
    responses: Iterable[type[BaseModel]] = dict.fromkeys([*(operation.response for operation in OPERATIONS), ErrorResponse])
    bodies: Iterable[type[BaseModel]] = dict.fromkeys(one.body for one in OPERATIONS if one.body is not None)
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in responses]
    models += [(model, "validation") for model in bodies]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation_object(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Xyte gateway",
            "version": __version__,
            "description": "The state of the gateway, its buses and its children.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation_object(operation: ApiOperation) -> Mapping[str, Any]:
    names = re.findall(r"{(\w+)}", operation.path)
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    in_query = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}} for name, text in operation.query.items()
    ]
    errors = {"401": "the token is missing or wrong", "429": "too many wrong tokens"}
    if operation.method == "POST":
        errors |= {"403": "the token is missing, or the request comes from another site", "409": "the action failed"}
    if operation.body is not None:
        errors["400"] = "the body is not valid"
    if names:
        errors["404"] = "not found"
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": in_path + in_query,
        **({} if operation.body is None else {"requestBody": {"required": True, "content": _json_content(operation.body)}}),
        "responses": {"200": _response_object(operation.summary, operation.response)}
        | {status: _response_object(why, ErrorResponse) for status, why in sorted(errors.items())},
    }


def _response_object(description: str, model: type[BaseModel]) -> Mapping[str, Any]:
    return {"description": description, "content": _json_content(model)}


def _json_content(model: type[BaseModel]) -> Mapping[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
