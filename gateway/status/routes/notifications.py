"""Serve the page that shows how incidents are told, and tests it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.status.auth.middleware import VISITOR
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.languages.texts import gettext as _
from gateway.status.notifications_view import NotificationsView, SendOutcome
from gateway.status.render.pages import PageAddress, PageRenderer, RenderedPage
from gateway.status.rights import Rights
from gateway.status.snapshot_cache import SnapshotCache


class NotificationRoutes:
    """Handlers of `/maintenance/notifications`."""

    def __init__(self, view: NotificationsView, snapshots: SnapshotCache, renderer: PageRenderer) -> None:
        self._view = view
        self._snapshots = snapshots
        self._renderer = renderer
        self.testing = asyncio.Lock()
        """Held while a test is sent, one at a time: nobody is to be flooded."""

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            get("/maintenance/notifications", self.page, needs=Rights.ADMINISTER),
            post("/maintenance/notifications", self.test, needs=Rights.ADMINISTER),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the page."""
        return await self._respond(request, None)

    async def test(self, request: web.Request) -> web.Response:
        """Send a test, and respond with what the servers answered."""
        async with self.testing:
            outcomes = await self._view.test()
        return await self._respond(request, outcomes)

    async def _respond(self, request: web.Request, outcomes: Sequence[SendOutcome] | None) -> web.Response:
        html = self._renderer.document(
            PageAddress("notifications"),
            RenderedPage(_("Notifications"), {}),
            await self._snapshots.snapshot(),
            visitor=request[VISITOR],
            path="",
            channels=self._view.channels,
            outcomes=outcomes,
        )
        return web.Response(text=html, content_type="text/html")
