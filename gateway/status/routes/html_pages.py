"""The pages over HTTP: what a person reads, presses, and has kept live."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import RIGHTS, Guard
from gateway.status.auth.sign_in import elsewhere, inside
from gateway.status.doctor_cache import Checkup
from gateway.status.live_updates import Latest, Live, TooManyWatchers, Watcher
from gateway.status.render.pages import Pages, Topic
from gateway.status.render.templates import Documents
from gateway.status.routes.api import Actions

HEARTBEAT_SECONDS: Final = 15.0
WRITE_SECONDS: Final = 10.0
"""Who does not take an event within this time is dropped."""


class Site:
    """Answers browsers."""

    def __init__(
        self,
        latest: Latest,
        live: Live,
        pages: Pages,
        checkup: Checkup,
        documents: Documents,
        guard: Guard,
        actions: Actions,
    ) -> None:
        self._latest = latest
        self._live = live
        self._pages = pages
        self._checkup = checkup
        self._documents = documents
        self._guard = guard
        self._actions = actions

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each page and each button."""
        return [
            web.get("/", self.page),
            web.get("/waiting", self.page),
            web.get("/doctor", self.page),
            web.get("/{kind:buses|children}/{id}", self.page),
            web.post("/waiting/{id}/{action:admit|ignore}", self.act),
            web.post("/{kind:waiting|children}/{id}/name", self.name),
            web.post("/buses/{id}/{action:rescan}", self.act),
            web.get("/events", self.events),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Answer with a page."""
        topic = Topic.at(request.path_qs)
        if topic is None:
            raise web.HTTPNotFound
        snapshot = await self._latest.snapshot()
        is_doctor = topic.kind == "doctor"
        page = self._pages.doctor(await self._checkup.findings()) if is_doctor else self._pages.page(topic, snapshot)
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
        form = await read_form(request)
        why_not = await self._actions.carry_out(action, word)
        return self._told(why_not, back=_back(form, otherwise="/waiting" if kind == "waiting" else f"/buses/{word}"))

    async def name(self, request: web.Request) -> web.Response:
        """Give a device the name that was typed, or its own back where nothing was, and go back to where it stands."""
        kind, word = request.match_info["kind"], request.match_info["id"]
        form = await read_form(request)
        if "name" not in form:
            raise web.HTTPBadRequest
        why_not = await self._actions.rename(word, form["name"].strip() or None)
        return self._told(why_not, back=_back(form, otherwise="/waiting" if kind == "waiting" else f"/children/{word}"))

    def _told(self, why_not: str | None, *, back: str) -> web.Response:
        if why_not is None:
            return elsewhere(back)
        html = self._documents.message("Not done", why_not, links={"Back": back})
        return web.Response(status=409, text=html, content_type="text/html")

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


def _back(form: Mapping[str, str], *, otherwise: str) -> str:
    """Return where a button was pressed: the same page of the same list, where the form says it."""
    return inside(form.get("then", ""), otherwise=otherwise)


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
