"""What a form that was sent says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

MOST_FIELDS: Final = 20


async def read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form as our own pages send it, and no file.

    Raises:
        HTTPUnsupportedMediaType: it is no such form.
        HTTPBadRequest: it has far too many fields.
    """
    if not request.can_read_body:
        return {}
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    said = (await request.read()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(said, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise web.HTTPBadRequest from error
