"""Read the forms that our own pages send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

MAX_FIELDS: Final = 20


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
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    body = (await request.read()).decode("utf-8", "replace")
    try:
        return parse_qsl(body, keep_blank_values=True, max_num_fields=most_fields)
    except ValueError as error:
        raise web.HTTPBadRequest from error
