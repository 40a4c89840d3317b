"""Join the operations of the API to their handlers, and build the responses and errors that all handlers share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.status.declared_routes import DeclaredRoute
from gateway.status.model import decode_id
from gateway.status.operations.operation import ActionDone, ApiOperation, ErrorResponse
from gateway.status.routes.actions import NOT_FOUND
from gateway.status.routes.json_responses import json_response

Body = TypeVar("Body", bound=BaseModel)


class InvalidBody(Exception):
    """The body of a request is not the one that its operation describes; the text says what is wrong, for the caller."""


def operation_routes(operations: Iterable[ApiOperation], handlers: object) -> list[DeclaredRoute]:
    """Return a route for each operation: its handler is the method of `handlers` that has its name."""
    return [DeclaredRoute(one.method, one.path, getattr(handlers, one.name), one.needs) for one in operations]


def api_response(model: BaseModel | None, *, status: int = 200) -> web.Response:
    """Return a response; `None` means that there is no such thing."""
    if model is None:
        model, status = ErrorResponse(error=NOT_FOUND), 404
    return json_response(model, status=status)


def action_response(why_not: str | None) -> web.Response:
    """Return the response to an action: why it failed, `None` when it succeeded."""
    return api_response(ActionDone()) if why_not is None else api_response(ErrorResponse(error=why_not), status=409)


def invalid_request(why: str) -> web.Response:
    """Return the response to a request that makes no sense, which says what is wrong with it."""
    return api_response(ErrorResponse(error=f"invalid request: {why}"), status=400)


async def read_body(request: web.Request, model: type[Body]) -> Body:
    """Return the body of a request.

    Raises:
        InvalidBody: it is not one of this model.
    """
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"]) or "the body"
        raise InvalidBody(f"{where}: {wrong['msg']}") from error


def child_key(request: web.Request) -> str:
    """Return the key of the child in the address; an empty one, which no child has, if there is none."""
    return next(iter(decode_id(request.match_info["id"])), "")
