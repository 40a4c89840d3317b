"""Serve the buttons and operations that try again at once, and say what came of it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.sign_in import own_path
from gateway.status.declared_routes import DeclaredRoute, post
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import gettext_noop, localized
from gateway.status.model import decode_id
from gateway.status.operations import retry
from gateway.status.operations.operation import ErrorResponse
from gateway.status.operations.retry import TryResult
from gateway.status.render.templates import Templates
from gateway.status.retry_view import RetryView, TryOutcome
from gateway.status.rights import Rights
from gateway.status.routes.actions import NOT_FOUND
from gateway.status.routes.api_operations import api_response, operation_routes
from gateway.status.snapshot_cache import SnapshotCache

TITLES: Final = {True: gettext_noop("It works"), False: gettext_noop("It does not work yet")}


class RetryRoutes:
    """Handlers of `gateway.status.operations.retry`, and of the forms that do the same."""

    def __init__(self, view: RetryView, snapshots: SnapshotCache, templates: Templates) -> None:
        self._view = view
        self._snapshots = snapshots
        self._templates = templates

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation, and one for each form."""
        return [
            *operation_routes(retry.OPERATIONS, self),
            post("/cloud/try", self.form, needs=Rights.OPERATE),
            post("/{kind:buses|children}/{id}/try", self.form, needs=Rights.OPERATE),
        ]

    async def try_cloud(self, request: web.Request) -> web.Response:
        """Call the cloud."""
        return await self._respond(request, "cloud")

    async def try_bus(self, request: web.Request) -> web.Response:
        """Open a bus."""
        return await self._respond(request, "buses")

    async def try_child(self, request: web.Request) -> web.Response:
        """Ask a child."""
        return await self._respond(request, "children")

    async def form(self, request: web.Request) -> web.Response:
        """Try, and show what came of it, with the way back."""
        kind, word = request.match_info.get("kind", "cloud"), request.match_info.get("id", "")
        form = await read_form(request)
        outcome = await self._try(kind, word)
        if outcome is None:
            raise web.HTTPNotFound
        back = own_path(form.get("then", ""), default="/" if kind == "cloud" else f"/{kind}/{word}")
        title = _("Not tried") if outcome.wait_seconds is not None else _(TITLES[outcome.works])
        text = localized(outcome.text)
        html = self._templates.message(title, f"{text[:1].upper()}{text[1:]}.", links={_("Back"): back})
        return web.Response(
            status=200 if outcome.wait_seconds is None else 429,
            text=html,
            content_type="text/html",
            headers=_retry_after(outcome),
        )

    async def _respond(self, request: web.Request, kind: str) -> web.Response:
        outcome = await self._try(kind, request.match_info.get("id", ""))
        if outcome is None:
            return api_response(ErrorResponse(error=NOT_FOUND), status=404)
        if outcome.wait_seconds is not None:
            response = api_response(ErrorResponse(error=outcome.text), status=429)
            response.headers.update(_retry_after(outcome))
            return response
        return api_response(TryResult(works=outcome.works, text=outcome.text))

    async def _try(self, kind: str, word: str) -> TryOutcome | None:
        """Return what came of it; `None` when there is no such thing."""
        outcome: TryOutcome | None = None
        known = {(one.id) for one in (await self._snapshots.snapshot()).buses} if kind == "buses" else set()
        match kind, decode_id(word):
            case "cloud", _:
                outcome = await self._view.try_cloud()
            case "buses", (entry, bus) if word in known:
                outcome = await self._view.try_bus(entry, bus)
            case "children", (key,) if any(one.key == key for one in (await self._snapshots.snapshot()).children):
                outcome = await self._view.try_child(key)
        self._snapshots.invalidate()
        return outcome


def _retry_after(outcome: TryOutcome) -> dict[str, str]:
    return {} if outcome.wait_seconds is None else {"Retry-After": f"{max(outcome.wait_seconds, 1):.0f}"}
