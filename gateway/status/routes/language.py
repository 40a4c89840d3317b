"""Remember the language that a reader chooses for the page."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import LANGUAGE_COOKIE, AuthMiddleware
from gateway.status.auth.sign_in import own_path, redirect
from gateway.status.declared_routes import DeclaredRoute, post
from gateway.status.languages.language import NAMES
from gateway.status.rights import Rights

REMEMBERED_SECONDS: Final = 365 * 24 * 3600


class LanguageRoutes:
    """The choice of a language, which everybody has who sees a page of ours."""

    def __init__(self, middleware: AuthMiddleware) -> None:
        self._middleware = middleware

    def routes(self) -> list[DeclaredRoute]:
        """Return the route."""
        return [post("/language", self.choose, needs=Rights.NONE)]

    async def choose(self, request: web.Request) -> web.Response:
        """Give the browser a cookie with its language, and return to the page."""
        form = await read_form(request)
        code = form.get("language", "")
        if code not in NAMES:
            raise web.HTTPBadRequest
        response = redirect(own_path(form.get("then", "/")))
        response.set_cookie(
            *(LANGUAGE_COOKIE, code),
            max_age=REMEMBERED_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=self._middleware.is_secure(request),
        )
        return response
