"""Serve the HTML pages, their forms, and the event stream that keeps an open page live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import VISITOR, AuthMiddleware
from gateway.status.auth.sign_in import own_path, redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.doctor_cache import DoctorCache
from gateway.status.languages.texts import current_language, localized
from gateway.status.languages.texts import gettext as _
from gateway.status.live_updates import LiveUpdates, PageWatcher, TooManyWatchers
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.actions import Actions
from gateway.status.routes.page_events import events_of
from gateway.status.snapshot_cache import SnapshotCache
from gateway.status.timeline_view import TimelineView

HEARTBEAT_SECONDS: Final = 2.0
"""A page that hears nothing for longer asks whether the gateway still answers (`static/page.js`)."""
WRITE_SECONDS: Final = 10.0
"""A browser that does not accept an event within this time is disconnected."""


class HtmlRoutes:
    """Handlers for browsers."""

    def __init__(
        self,
        snapshots: SnapshotCache,
        live: LiveUpdates,
        renderer: PageRenderer,
        doctor: DoctorCache,
        templates: Templates,
        middleware: AuthMiddleware,
        actions: Actions,
        view: TimelineView,
    ) -> None:
        self._snapshots = snapshots
        self._live = live
        self._renderer = renderer
        self._doctor = doctor
        self._templates = templates
        self._middleware = middleware
        self._actions = actions
        self._view = view

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each page and each form."""
        return [
            get("/", self.page, needs=Rights.LOOK),
            get("/waiting", self.page, needs=Rights.LOOK),
            get("/events", self.page, needs=Rights.LOOK),
            get("/cloud", self.page, needs=Rights.LOOK),
            get("/doctor", self.page, needs=Rights.LOOK),
            get("/{kind:buses|children}/{id}", self.page, needs=Rights.LOOK),
            post("/waiting/{id}/{action:admit|ignore}", self.act, needs=Rights.OPERATE),
            post("/{kind:waiting|children}/{id}/name", self.rename, needs=Rights.OPERATE),
            post("/buses/{id}/{action:rescan}", self.act, needs=Rights.OPERATE),
            post("/identity/{decision:keep|new}", self.decide_identity, needs=Rights.ADMINISTER),
            get("/live", self.live, needs=Rights.LOOK),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with a page."""
        address = PageAddress.parse(request.path_qs)
        if address is None:
            raise web.HTTPNotFound
        snapshot = await self._snapshots.snapshot()
        if address.kind == "doctor":
            page = self._renderer.doctor_page(await self._doctor.report())
        elif (found := self._renderer.page(address, snapshot, await events_of(self._view, address))) is not None:
            page = found
        else:
            raise web.HTTPNotFound
        path = request.path + address.encoded_query()
        html = self._renderer.document(address, page, snapshot, visitor=request[VISITOR], path=path)
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    async def act(self, request: web.Request) -> web.Response:
        """Run the action of a button, and return to the page with the button."""
        kind, word, action = request.path.split("/")[1:]
        form = await read_form(request)
        why_not = await self._actions.run(action, word)
        return self._action_response(
            why_not, back=_path_back(form, default="/waiting" if kind == "waiting" else f"/buses/{word}")
        )

    async def rename(self, request: web.Request) -> web.Response:
        """Give a device the name in the form, or its original one if that is empty, and return to the page of the form."""
        kind, word = request.match_info["kind"], request.match_info["id"]
        form = await read_form(request)
        if "name" not in form:
            raise web.HTTPBadRequest
        why_not = await self._actions.rename(word, form["name"].strip() or None)
        default = "/waiting" if kind == "waiting" else f"/children/{word}"
        return self._action_response(why_not, back=_path_back(form, default=default))

    async def decide_identity(self, request: web.Request) -> web.Response:
        """Decide about a store that comes from another machine, and return to the page."""
        form = await read_form(request)
        why_not = await self._actions.decide_identity(request.match_info["decision"])
        return self._action_response(why_not, back=_path_back(form, default="/"))

    def _action_response(self, why_not: str | None, *, back: str) -> web.Response:
        if why_not is None:
            return redirect(back)
        html = self._templates.message(_("The action failed"), localized(why_not), links={_("Back"): back})
        return web.Response(status=409, text=html, content_type="text/html")

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send a page its changes for as long as it is open."""
        address = PageAddress.parse(request.query.get("at", ""))
        if address is None:
            raise web.HTTPNotFound
        address = replace(address, language=current_language().code)
        client = self._middleware.viewer_of(request)
        seen = request.headers.get("Last-Event-ID", request.query.get("seen", ""))
        try:
            async with self._live.watch(address, seen=seen, client=client) as watcher:
                may_still = self._middleware.may_still(request)
                return await stream_events(request, watcher, edition=self._templates.edition, may_still=may_still)
        except TooManyWatchers:
            text = _("Too many pages are open, so this one is not updated.")
            return self._middleware.error_response(request, 503, _("Too many pages"), text, headers={"Retry-After": "30"})


def _path_back(form: Mapping[str, str], *, default: str) -> str:
    """Return the page on which a button was pressed: the same page of the same list, if the form names it."""
    return own_path(form.get("then", ""), default=default)


async def stream_events(
    request: web.Request, watcher: PageWatcher, *, edition: str, may_still: Callable[[], bool]
) -> web.StreamResponse:
    """Send a browser the events of its page until it leaves, or may not see them any more: its token may be withdrawn."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    payload: bytes | None = f"retry: 2000\nevent: edition\ndata: {edition}\n\n".encode()
    try:
        while payload is not None and may_still():
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(payload)
            payload = await watcher.next_payload(within_seconds=HEARTBEAT_SECONDS)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()  # the browser does not read, so what is still buffered cannot be sent
    return response
