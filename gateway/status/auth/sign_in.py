"""The way in over HTTP: the form that asks for the token, signing in and out, and the files that everybody may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import COOKIE, Guard
from gateway.status.auth.tokens import SIGNED_IN_SECONDS, Doors
from gateway.status.render.assets import Asset
from gateway.status.render.templates import Documents

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""What stands at an address made of its content does not change."""


class Entrance:
    """Lets browsers in and out."""

    def __init__(self, documents: Documents, guard: Guard, doors: Doors, assets: Mapping[str, Asset]) -> None:
        self._documents = documents
        self._guard = guard
        self._doors = doors
        self._assets = {asset.address: asset for asset in assets.values()}

    def routes(self) -> list[web.RouteDef]:
        """Return their routes."""
        return [
            web.get("/login", self.ask_token),
            web.post("/login", self.sign_in),
            web.post("/logout", self.sign_out),
            web.get("/static/{version}/{name}", self.asset),
        ]

    async def ask_token(self, request: web.Request) -> web.Response:
        """Answer with the form that asks for the token."""
        html = self._documents.login(then=inside(request.query.get("then", "/")))
        return web.Response(text=html, content_type="text/html")

    async def sign_in(self, request: web.Request) -> web.Response:
        """Let a browser in that shows the token."""
        address = request.remote or ""
        if (wait := self._doors.tries.seconds_left(address)) > 0:
            return self._guard.too_many_tries(request, wait)
        form = await read_form(request)
        then = inside(form.get("then", "/"))
        if not self._doors.knows(form.get("token", "").strip()):
            self._doors.tries.was_wrong(address)
            html = self._documents.login(then=then, problem="That is not the token.")
            return web.Response(status=403, text=html, content_type="text/html")
        self._doors.tries.was_right(address)
        response = elsewhere(then)
        response.set_cookie(
            *(COOKIE, self._doors.sign_in()),
            max_age=SIGNED_IN_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """Take back what the browser was given."""
        response = elsewhere("/")
        response.del_cookie(COOKIE, httponly=True, samesite="Strict", secure=request.secure)
        return response

    async def asset(self, request: web.Request) -> web.Response:
        """Answer with a style, a script or a picture."""
        asset = self._assets.get(request.path)
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Content-Type": asset.content_type, "Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=asset.plain, headers=headers)
        return web.Response(body=asset.packed, headers=headers | {"Content-Encoding": "gzip"})


def elsewhere(address: str) -> web.Response:
    """Send a browser to another address of ours."""
    return web.Response(status=303, headers={"Location": address})


def inside(address: str, *, otherwise: str = "/") -> str:
    """Return an address of ours as it is, and the overview's, or the one that is named, instead of any other."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_ours else otherwise
