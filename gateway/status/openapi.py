"""Put the operations of the JSON API together, and build the OpenAPI document from them and their bodies. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.status.operations import (
    children,
    claim,
    commands,
    configuration,
    events,
    frames,
    gateway,
    history,
    life,
    logs,
    looks,
    maintenance,
    notifications,
    restore,
    retry,
    several,
    several_forms,
    topology,
    waiting,
)
from gateway.status.operations.operation import ApiOperation, ErrorResponse, QueryParameter
from gateway.status.rights import Rights

OPERATIONS: Final[Sequence[ApiOperation]] = (
    *gateway.OPERATIONS,
    *events.OPERATIONS,
    *children.OPERATIONS,
    *history.OPERATIONS,
    *commands.OPERATIONS,
    *looks.OPERATIONS,
    *frames.OPERATIONS,
    *life.OPERATIONS,
    *several.OPERATIONS,
    *several_forms.OPERATIONS,
    *waiting.OPERATIONS,
    *retry.OPERATIONS,
    *logs.OPERATIONS,
    *maintenance.OPERATIONS,
    *restore.OPERATIONS,
    *notifications.OPERATIONS,
    *claim.OPERATIONS,
    *topology.OPERATIONS,
    *configuration.OPERATIONS,
)
"""All operations: one line for each part."""

_WHO_MAY: Final = {
    Rights.LOOK: "Any token will do; on the gateway's own machine, none is needed unless the page is bound wider.",
    Rights.OPERATE: "Needs a token that may operate or administer.",
    Rights.ADMINISTER: "Needs a token that may administer.",
}


def openapi(operations: Sequence[ApiOperation] = OPERATIONS) -> Mapping[str, Any]:
    """Return the OpenAPI document of these operations."""
    responses: Iterable[type[BaseModel]] = dict.fromkeys(
        [
            *(operation.response for operation in operations if operation.response is not None),
            *(model for one in operations for _, model in one.errors.values()),
            ErrorResponse,
        ]
    )
    bodies: Iterable[type[BaseModel]] = dict.fromkeys(one.body for one in operations if one.body is not None)
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in responses]
    models += [(model, "validation") for model in bodies]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
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
    in_query = [_query_parameter(name, parameter) for name, parameter in operation.query.items()]
    errors = {
        "400": "a parameter is missing, unknown or wrong",
        "401": "the token is missing or wrong",
        "429": "too many wrong tokens",
    }
    if operation.method != "GET":
        errors |= {"403": "the token may not do this, or the request comes from another site"}
        errors["409"] = "the action failed"
    elif operation.needs > Rights.LOOK:
        errors["403"] = "the token may not do this"
    if operation.body is not None:
        errors["400"] = "a parameter is unknown, or the body is not valid"
    if names:
        errors["404"] = "not found"
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": _WHO_MAY[operation.needs],
        "parameters": in_path + in_query,
        **_request_body(operation),
        "responses": {"200": _success_object(operation)}
        | {status: _response_object(why, ErrorResponse) for status, why in sorted(errors.items())}
        | {status: _response_object(why, model) for status, (why, model) in operation.errors.items()},
    }


def _request_body(operation: ApiOperation) -> Mapping[str, Any]:
    if operation.body is None:
        return {}
    return {"requestBody": {"required": True, "content": _content(operation.body, operation.body_type)}}


def _query_parameter(name: str, parameter: QueryParameter) -> Mapping[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.pattern:
        schema["pattern"] = f"^({parameter.pattern})$"
    if parameter.format:
        schema["format"] = parameter.format
    if parameter.is_required:
        schema["minLength"] = 1
    return {
        "name": name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.is_required,
        "schema": schema,
    }


def _success_object(operation: ApiOperation) -> Mapping[str, Any]:
    if operation.response is not None:
        return _response_object(operation.summary, operation.response)
    is_text = operation.content_type.startswith("text/")
    content = {} if is_text else {"contentMediaType": operation.content_type}
    return {"description": operation.summary, "content": {operation.content_type: {"schema": {"type": "string"} | content}}}


def _response_object(description: str, model: type[BaseModel]) -> Mapping[str, Any]:
    return {"description": description, "content": _content(model)}


def _content(model: type[BaseModel], content_type: str = "application/json") -> Mapping[str, Any]:
    return {content_type: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
