"""Read requests and send JSON responses over aiohttp, for Xyte's calls and for the control surface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.emulator.api_types import ApiError, BaseUrls, Request, Response
from gateway.emulator.raw_answers import RawAnswer

ENDLESS_PAUSE_SECONDS: Final = 0.01
"""The time between two parts of an answer that never ends."""


async def read_request(request: web.Request, base_urls: BaseUrls | None = None) -> Request:
    """Return the request, read to its end.

    Raises:
        ApiError: 400 or 413, the body is broken or too large.
    """
    try:
        body = await request.read()
    except web.RequestPayloadError as error:
        raise ApiError(400, "Body is broken") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiError(413, "Body is too large") from error
    return Request(
        params=dict(request.match_info),
        query=dict(request.query),
        authorization=request.headers.get("Authorization"),
        content_type=request.headers.get("Content-Type", ""),
        body=body,
        base_urls=base_urls if base_urls is not None else BaseUrls(),
    )


def http_response(response: Response) -> web.Response:
    """Return a response as aiohttp sends it."""
    if response.body is None:
        return web.Response(status=response.status, headers=response.headers)
    text = response.body if isinstance(response.body, str) else json.dumps(response.body, allow_nan=False)
    return web.Response(status=response.status, text=text, content_type=response.content_type, headers=response.headers)


def drop_connection(request: web.Request) -> web.Response:
    """Close the connection. The returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def send_raw(request: web.Request, answer: RawAnswer) -> web.Response:
    """Write an answer to the connection as it is, and close it. The returned response is never sent."""
    transport = request.transport
    parts = answer.make()
    for part in parts:
        if transport is not None and not transport.is_closing():
            transport.write(part)
            await asyncio.sleep(0)
    while answer.is_endless and transport is not None and not transport.is_closing():
        transport.write(parts[-1])
        await asyncio.sleep(ENDLESS_PAUSE_SECONDS)
    if transport is not None:
        transport.close()
    return web.Response()


def json_errors(record: Callable[[web.Request, Response], None]) -> Middleware:
    """Return a middleware that turns aiohttp's own error pages, for unknown paths and methods, into JSON and records them."""

    @web.middleware
    async def answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            response = Response(error.status, {"error": error.reason.capitalize()}, headers=headers)
            record(request, response)
            return http_response(response)

    return answer_in_json
