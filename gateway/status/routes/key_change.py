"""Serve the form for another hardware key, for a gateway that the cloud does not register."""

from __future__ import annotations

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.key_change_view import KeyChangeView
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.snapshot_cache import SnapshotCache

ADDRESS = "/cloud/key"


class KeyChangeRoutes:
    """Handlers of the form."""

    def __init__(self, view: KeyChangeView, snapshots: SnapshotCache, templates: Templates) -> None:
        self._view = view
        self._snapshots = snapshots
        self._templates = templates

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [get(ADDRESS, self.form, needs=Rights.ADMINISTER), post(ADDRESS, self.change, needs=Rights.ADMINISTER)]

    async def form(self, request: web.Request) -> web.Response:
        """Respond with the form, or with why the key cannot be changed here."""
        del request
        return self._page(problem=None)

    async def change(self, request: web.Request) -> web.Response:
        """Take the key; the form comes again when it was refused. The key is never in it."""
        fields = await read_form(request)
        problem = await self._view.key_change.change(fields.get("key", ""))
        self._snapshots.invalidate()
        return redirect("/") if problem is None else self._page(problem=problem, status=409)

    def _page(self, *, problem: str | None, status: int = 200) -> web.Response:
        html = self._templates.render("key_change.html", refusal=self._view.key_change.refusal(), problem=problem)
        return web.Response(status=status, text=html, content_type="text/html")
