"""Say in words who asks for an action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.middleware import RIGHTS
from gateway.status.rights import Rights

ROLES: Final[Mapping[Rights, str]] = {Rights.OPERATE: "operator", Rights.ADMINISTER: "administrator"}


def asked_by(request: web.Request, way: str) -> str:
    """Return who asks: `page, operator`."""
    return f"{way}, {ROLES.get(request[RIGHTS], 'visitor')}"
