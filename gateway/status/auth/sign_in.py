"""Serve the sign-in form, sign browsers in and out, and serve the static files, which need no token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.access_control import SIGNED_IN_SECONDS, TokenAuth
from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import COOKIE, AuthMiddleware
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.languages.texts import gettext as _
from gateway.status.render.assets import Asset
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights

CACHE_FOREVER: Final = "public, max-age=31536000, immutable"
"""The address of a static file contains the hash of its content, so the content at an address never changes."""


class SignIn:
    """Routes that need no token: signing in, signing out and static files."""

    def __init__(
        self,
        templates: Templates,
        middleware: AuthMiddleware,
        auth: TokenAuth,
        assets: Mapping[str, Asset],
        sign_in_help: SignInHelp,
    ) -> None:
        self._templates = templates
        self._sign_in_help = sign_in_help
        self._middleware = middleware
        self._auth = auth
        self._assets = {asset.address: asset for asset in assets.values()}

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            get("/login", self.show_form, needs=Rights.NONE),
            post("/login", self.sign_in, needs=Rights.NONE),
            post("/logout", self.sign_out, needs=Rights.NONE),
            get("/static/{version}/{name}", self.asset, needs=Rights.NONE),
        ]

    async def show_form(self, request: web.Request) -> web.Response:
        """Respond with the form for the token."""
        html = self._templates.login(self._sign_in_help, then=own_path(request.query.get("then", "/")))
        return web.Response(text=html, content_type="text/html")

    async def sign_in(self, request: web.Request) -> web.Response:
        """Give a browser that sends the token its cookie."""
        form = await read_form(request)
        then = own_path(form.get("then", "/"))
        token = self._auth.find_token(form.get("token", "").strip())
        if token is None:
            refusal = await self._middleware.wrong_token(request)
            if refusal is not None:
                return refusal
            html = self._templates.login(self._sign_in_help, then=then, problem=_("The token is wrong, or it was withdrawn."))
            return web.Response(status=403, text=html, content_type="text/html")
        self._auth.note_sign_in(token, self._middleware.client_of(request))
        response = redirect(then)
        response.set_cookie(
            *(COOKIE, self._auth.new_cookie(token)),
            max_age=SIGNED_IN_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=self._middleware.is_secure(request),
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """Delete the cookie of a browser."""
        response = redirect("/")
        response.del_cookie(COOKIE, httponly=True, samesite="Strict", secure=self._middleware.is_secure(request))
        return response

    async def asset(self, request: web.Request) -> web.Response:
        """Respond with a style sheet, a script or a picture."""
        asset = self._assets.get(request.path)
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Content-Type": asset.content_type, "Cache-Control": CACHE_FOREVER, "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=asset.content, headers=headers)
        return web.Response(body=asset.gzipped, headers=headers | {"Content-Encoding": "gzip"})


def redirect(path: str) -> web.Response:
    """Return the redirect of a browser to another page of ours."""
    return web.Response(status=303, headers={"Location": path})


def own_path(address: str, *, default: str = "/") -> str:
    """Return a path of this page unchanged, and the default instead of an address that leads elsewhere."""
    is_own = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_own else default
