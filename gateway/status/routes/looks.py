"""Serve the looks at one device: the page with what it says now, its buttons, and the operations of the API."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.device_actions import LookKind, Problem
from gateway.status.device_actions_view import LookActions
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import localized
from gateway.status.model import decode_id
from gateway.status.operations.looks import OPERATIONS, LookRequest
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import (
    api_response,
    child_key,
    operation_routes,
    read_body,
)
from gateway.status.routes.commands_api import problem_response
from gateway.status.snapshot_cache import SnapshotCache

WAIT_SECONDS: Final = 2.0
"""How long the page waits for the end of a look, so that it also shows it without scripts."""


class LookRoutes:
    """Handlers of the page of a look, and of `gateway.status.operations.looks`."""

    def __init__(self, snapshots: SnapshotCache, renderer: PageRenderer, templates: Templates, looks: LookActions) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._templates = templates
        self._looks = looks

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for the page, its form, and each operation."""
        return [
            get("/devices/{id}/look", self.page, needs=Rights.LOOK),
            post("/devices/{id}/look", self.begin, needs=Rights.OPERATE),
            *operation_routes(OPERATIONS, self),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the last look at a device."""
        address, snapshot = PageAddress.parse(request.path), await self._snapshots.snapshot()
        page = None if address is None else self._renderer.page(address, snapshot)
        if address is None or page is None:
            raise web.HTTPNotFound
        html = self._renderer.document(
            address,
            page,
            snapshot,
            visitor=request[VISITOR],
            path=request.path,
            device=self._renderer.device_actions.find_device(address.id, snapshot),
            look=self._looks.look_of(decode_id(address.id)[0]),
        )
        return web.Response(text=html, content_type="text/html")

    async def begin(self, request: web.Request) -> web.Response:
        """Begin a look, and return to its page."""
        key = child_key(request)
        form = await read_form(request)
        try:
            kind = LookKind(form.get("kind", ""))
        except ValueError:
            raise web.HTTPBadRequest from None
        problem = self._looks.start(key, kind)
        if problem is not None and problem.kind is Problem.UNKNOWN:
            raise web.HTTPNotFound
        if problem is not None and self._looks.look_of(key) is None:
            html = self._templates.message(_("The action failed"), localized(problem.error), links={_("Back"): request.path})
            return web.Response(status=409, text=html, content_type="text/html")
        await self._looks.wait_for(key, within_seconds=WAIT_SECONDS)
        return redirect(request.path)  # a double click finds the look that runs

    async def look(self, request: web.Request) -> web.Response:
        """Look at a device, and respond with what it says."""
        wanted = await read_body(request, LookRequest)
        key = child_key(request)
        problem = self._looks.start(key, wanted.kind)
        if problem is not None:
            return problem_response(problem)
        await self._looks.wait_for(key, within_seconds=wanted.wait_seconds)
        return api_response(self._looks.look_of(key))

    async def last_look(self, request: web.Request) -> web.Response:
        """Respond with the last look at a device."""
        return api_response(self._looks.look_of(child_key(request)))
