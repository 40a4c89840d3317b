"""Say in words who asks for an action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.middleware import RIGHTS, VISITOR
from gateway.status.rights import Rights

ROLES: Final[Mapping[Rights, str]] = {Rights.OPERATE: "operator", Rights.ADMINISTER: "administrator"}


def asked_by(request: web.Request, way: str) -> str:
    """Return who asks: `page, operator, token office`."""
    name = request[VISITOR].token_name
    role = f"{way}, {ROLES.get(request[RIGHTS], 'visitor')}"
    return role if name is None else f"{role}, token {name}"


def token_holder(request: web.Request, way: str) -> str:
    """Return who asks, by the name of their token: `office (page)`."""
    return f"{request[VISITOR].token_name or 'somebody'} ({way})"
