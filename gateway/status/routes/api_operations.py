"""Join the operations of the API to their handlers, and build the responses and errors that all handlers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.status.auth.forms import read_large_body
from gateway.status.declared_routes import DeclaredRoute, Handler
from gateway.status.model import decode_id, replace_unprintable
from gateway.status.operations.body_problems import body_problems
from gateway.status.operations.operation import MULTIPART, ActionDone, ApiOperation, ErrorResponse, QueryParameter
from gateway.status.routes.actions import NOT_FOUND
from gateway.status.routes.json_responses import json_response

SHOWN_LENGTH: Final = 60
"""Characters of what a caller sent that an error repeats."""

Body = TypeVar("Body", bound=BaseModel)


class InvalidBody(Exception):
    """The body of a request is not the one that its operation describes; the text says what is wrong, for the caller."""


def operation_routes(operations: Iterable[ApiOperation], handlers: object) -> list[DeclaredRoute]:
    """Return a route for each operation: its handler is the method of `handlers` that has its name."""
    return [
        DeclaredRoute(
            one.method,
            one.path,
            _checked(one, getattr(handlers, one.name)),
            one.needs,
            reads_its_body=one.most_body_bytes is not None or one.body_type == MULTIPART,
        )
        for one in operations
    ]


def query_problem(query: Mapping[str, str], parameters: Mapping[str, QueryParameter]) -> str | None:
    """Return what is wrong with the query of a request, for the caller; `None` when nothing is."""
    known = f"there is {', '.join(parameters)}" if parameters else "there is none"
    for name, parameter in parameters.items():
        values = [value for given, value in query.items() if given == name]
        if len(values) > 1:
            return f'the parameter "{name}" is there {len(values)} times'
        if parameter.is_required and not any(values):
            return f'the parameter "{name}" is missing: {parameter.description}'
        if values and (problem := parameter.problem_with(values[0])) is not None:
            return f'the parameter "{name}" {problem}: {_shortened(values[0])}'
    unknown = next((name for name in query if name not in parameters), None)
    return None if unknown is None else f"no parameter is called {_shortened(unknown)}; {known}"


def _checked(operation: ApiOperation, handler: Handler) -> Handler:
    """Return a handler that answers a request whose query or body is not as the operation describes it with what is wrong."""

    async def handle(request: web.Request) -> web.StreamResponse:
        problem = query_problem(request.query, operation.query)
        if problem is not None:
            return invalid_request(problem)
        try:
            return await handler(request)
        except InvalidBody as error:
            return invalid_request(str(error))

    return handle


def _shortened(text: str) -> str:
    """Return a text of the caller in quotation marks, made printable, and not longer than a line."""
    shown = replace_unprintable(text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…")
    return f'"{shown}"'


def model_of(model: type[Body], source: object) -> Body:
    """Return a model of the API with the attributes of an object that have the names of its fields, tables within it likewise.

    Raises:
        ValidationError: the object lacks one of them; that is a bug.
    """
    return model.model_validate(source, from_attributes=True)


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
        InvalidBody: it is not one of this model; the handler of an operation lets it pass.
    """
    return _of_model(await request.read(), model)


async def read_large_json(request: web.Request, model: type[Body], *, most_bytes: int) -> Body:
    """Return the body of a request of an operation that may have a large one.

    Raises:
        InvalidBody: as for `read_body`.
        HTTPRequestEntityTooLarge: it has more bytes.
        HTTPRequestTimeout: it did not arrive in time.
    """
    return _of_model(await read_large_body(request, most_bytes=most_bytes), model)


def _of_model(content: bytes, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise InvalidBody(body_problems(error, model)) from None


def child_key(request: web.Request) -> str:
    """Return the key of the child in the address; an empty one, which no child has, if there is none."""
    return next(iter(decode_id(request.match_info["id"])), "")
