"""Read the forms that our own pages send."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

MAX_FIELDS: Final = 20
BODY_SECONDS: Final = 60.0
"""A large body has to arrive within this time."""


async def read_form(request: web.Request, *, most_fields: int = MAX_FIELDS) -> Mapping[str, str]:
    """Return the fields of a URL-encoded form; files are not accepted.

    Raises:
        HTTPUnsupportedMediaType: the body is not URL-encoded.
        HTTPBadRequest: it has far too many fields.
    """
    return dict(await read_fields(request, most_fields=most_fields))


async def read_fields(request: web.Request, *, most_fields: int = MAX_FIELDS) -> Sequence[tuple[str, str]]:
    """Return the fields of a URL-encoded form in order, where a name may occur several times.

    Raises:
        HTTPUnsupportedMediaType: the body is not URL-encoded.
        HTTPBadRequest: it has far too many fields.
    """
    if not request.body_exists:
        return ()
    _refuse_other_types(request)
    return _fields_of(await request.read(), most_fields)


async def read_large_form(request: web.Request, *, most_bytes: int, most_fields: int = MAX_FIELDS) -> Sequence[tuple[str, str]]:
    """Return the fields of a form whose route says that its handler reads the body itself.

    Raises:
        HTTPUnsupportedMediaType: the body is not URL-encoded.
        HTTPBadRequest: it has far too many fields.
        HTTPRequestEntityTooLarge: it has more bytes.
        HTTPRequestTimeout: it did not arrive in time.
    """
    _refuse_other_types(request)
    return _fields_of(await read_large_body(request, most_bytes=most_bytes), most_fields)


async def read_large_body(request: web.Request, *, most_bytes: int) -> bytes:
    """Return the body of a request whose route says that its handler reads it itself.

    Raises:
        HTTPRequestEntityTooLarge: it has more bytes.
        HTTPRequestTimeout: it did not arrive in time.
    """
    if (request.content_length or 0) > most_bytes:
        raise web.HTTPRequestEntityTooLarge(most_bytes, request.content_length or 0)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > most_bytes:
                    raise web.HTTPRequestEntityTooLarge(most_bytes, len(body))
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    return bytes(body)


def _refuse_other_types(request: web.Request) -> None:
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType


def _fields_of(content: bytes, most_fields: int) -> Sequence[tuple[str, str]]:
    body = content.decode("utf-8", "replace")
    try:
        return parse_qsl(body, keep_blank_values=True, max_num_fields=most_fields)
    except ValueError as error:
        raise web.HTTPBadRequest from error
