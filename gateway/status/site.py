"""The pages over HTTP: what a person reads, signs in to, presses, and has kept live."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.api import Actions
from gateway.status.assets import Asset
from gateway.status.doors import SIGNED_IN_SECONDS, Doors
from gateway.status.guard import COOKIE, RIGHTS, Guard
from gateway.status.live import Latest, Live, TooManyWatchers, Watcher
from gateway.status.pages import Pages, Topic

HEARTBEAT_SECONDS: Final = 15.0
WRITE_SECONDS: Final = 10.0
"""Who does not take an event within this time is dropped."""
FOR_EVER: Final = "public, max-age=31536000, immutable"
"""What stands at an address made of its content does not change."""


class Site:
    """Answers browsers."""

    def __init__(
        self,
        latest: Latest,
        live: Live,
        pages: Pages,
        guard: Guard,
        doors: Doors,
        actions: Actions,
        assets: Mapping[str, Asset],
    ) -> None:
        self._latest = latest
        self._live = live
        self._pages = pages
        self._guard = guard
        self._doors = doors
        self._actions = actions
        self._assets = {asset.address: asset for asset in assets.values()}

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each page, form and file."""
        return [
            web.get("/", self.page),
            web.get("/waiting", self.page),
            web.get("/{kind:buses|children}/{id}", self.page),
            web.post("/waiting/{id}/{action:admit|ignore}", self.act),
            web.post("/buses/{id}/{action:rescan}", self.act),
            web.get("/events", self.events),
            web.get("/login", self.ask_token),
            web.post("/login", self.sign_in),
            web.post("/logout", self.sign_out),
            web.get("/static/{version}/{name}", self.asset),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Answer with a page."""
        topic = Topic.at(request.path_qs)
        if topic is None:
            raise web.HTTPNotFound
        snapshot = await self._latest.snapshot()
        page = self._pages.page(topic, snapshot)
        if page is None:
            raise web.HTTPNotFound
        address = request.path + topic.wanted.query().rstrip("?")
        html = self._pages.whole(topic, page, snapshot, rights=request[RIGHTS], address=address)
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    async def act(self, request: web.Request) -> web.Response:
        """Do what a button says, and go back to where it was."""
        kind, word, action = request.path.split("/")[1:]
        why_not = await self._actions.carry_out(action, word)
        back = "/waiting" if kind == "waiting" else f"/buses/{word}"
        if why_not is not None:
            return web.Response(
                status=409, text=self._pages.message("Not done", why_not, links={"Back": back}), content_type="text/html"
            )
        return _elsewhere(back)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell a page what changes on it, for as long as it is open."""
        topic = Topic.at(request.query.get("at", ""))
        if topic is None:
            raise web.HTTPNotFound
        seen = request.headers.get("Last-Event-ID", request.query.get("seen", ""))
        try:
            async with self._live.watch(topic, seen=seen) as watcher:
                return await _stream(request, watcher)
        except TooManyWatchers:
            text = "Too many pages are open; this one stands still."
            return self._guard.refusal(request, 503, "Too many", text, headers={"Retry-After": "30"})

    async def ask_token(self, request: web.Request) -> web.Response:
        """Answer with the form that asks for the token."""
        html = self._pages.login(then=_inside(request.query.get("then", "/")))
        return web.Response(text=html, content_type="text/html")

    async def sign_in(self, request: web.Request) -> web.Response:
        """Let a browser in that shows the token."""
        address = request.remote or ""
        if (wait := self._doors.tries.seconds_left(address)) > 0:
            return self._guard.too_many_tries(request, wait)
        form = await request.post()
        then = _inside(str(form.get("then", "/")))
        if not self._doors.knows(str(form.get("token", "")).strip()):
            self._doors.tries.was_wrong(address)
            html = self._pages.login(then=then, problem="That is not the token.")
            return web.Response(status=403, text=html, content_type="text/html")
        self._doors.tries.was_right(address)
        response = _elsewhere(then)
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
        response = _elsewhere("/")
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


async def _stream(request: web.Request, watcher: Watcher) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    wire: bytes | None = b"retry: 3000\n\n"
    try:
        while wire is not None:
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(wire)
            wire = await watcher.next(within_seconds=HEARTBEAT_SECONDS)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()  # what is still to be written is not taken
    return response


def _elsewhere(address: str) -> web.Response:
    return web.Response(status=303, headers={"Location": address})


def _inside(address: str) -> str:
    """Return an address of ours as it is, and the overview's instead of any other."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_ours else "/"
