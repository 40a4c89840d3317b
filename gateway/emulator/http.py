"""HTTP itself, the same for Xyte's calls and for the control surface: a request in, JSON out, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.emulator.api_types import Answer, Refused, Request


async def read_request(request: web.Request, hub_url: str = "") -> Request:
    """Return what was asked, read to its end.

    Raises:
        Refused: 400 or 413, the body is broken or too large.
    """
    try:
        body = await request.read()
    except web.RequestPayloadError as error:
        raise Refused(400, "Body is broken") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise Refused(413, "Body is too large") from error
    return Request(
        params=dict(request.match_info),
        query=dict(request.query),
        authorization=request.headers.get("Authorization"),
        content_type=request.headers.get("Content-Type", ""),
        body=body,
        hub_url=hub_url,
    )


def respond(answer: Answer) -> web.Response:
    """Return an answer as HTTP."""
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    return web.Response(status=answer.status, text=text, content_type=answer.content_type, headers=answer.headers)


def drop(request: web.Request) -> web.Response:
    """Cut the connection. Nobody hears the response that this returns."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def json_errors(record: Callable[[web.Request, Answer], None]) -> Middleware:
    """Return a middleware that turns aiohttp's own error pages, for unknown paths and methods, into JSON and records them."""

    @web.middleware
    async def answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            answer = Answer(error.status, {"error": error.reason.capitalize()}, headers=headers)
            record(request, answer)
            return respond(answer)

    return answer_in_json
