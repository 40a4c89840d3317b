"""Serve the page for maintenance: diagnostics with a preview, the download of a backup, and the restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.errors import StoreError
from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import VISITOR
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import localized
from gateway.status.maintenance_view import SHORTEST_PASSPHRASE, BackupFile, Bundle, MaintenanceView, RestorePlan
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.rights import Rights
from gateway.status.snapshot_cache import SnapshotCache
from gateway.tasks import loop_time

KEPT_SECONDS: Final = 900.0
"""A bundle that was shown can be downloaded for so long, so that what is sent is what was read."""
SHOWN_CHARACTERS: Final = 20_000
"""Of each file of the bundle, the preview shows the beginning."""
CHUNK_BYTES: Final = 256 * 1024
WRITE_SECONDS: Final = 60.0
"""A browser that does not accept a part of a backup within this time is disconnected."""


class MaintenanceRoutes:
    """Handlers of `/maintenance`."""

    def __init__(
        self, view: MaintenanceView, snapshots: SnapshotCache, renderer: PageRenderer, run_id: Callable[[], str]
    ) -> None:
        self._view = view
        self._run_id = run_id
        self._snapshots = snapshots
        self._renderer = renderer
        self._bundle: Bundle | None = None
        self._bundle_at = 0.0

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            get("/maintenance", self.page, needs=Rights.ADMINISTER),
            post("/maintenance/bundle", self.collect, needs=Rights.ADMINISTER),
            get("/maintenance/bundle", self.download, needs=Rights.ADMINISTER),
            post("/maintenance/backup", self.backup, needs=Rights.ADMINISTER),
            post("/maintenance/restart", self.restart, needs=Rights.ADMINISTER),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the page."""
        return await self.respond(request)

    async def collect(self, request: web.Request) -> web.Response:
        """Collect a bundle, and show what is in it."""
        self._bundle, self._bundle_at = await self._view.bundle(), loop_time()
        return await self.respond(request)

    async def download(self, request: web.Request) -> web.Response:
        """Respond with the bundle that was shown."""
        bundle = self._shown_bundle()
        if bundle is None:
            return await self.respond(request, problem=_("The archive is too old. Collect it again."), status=409)
        return bundle_response(bundle)

    async def backup(self, request: web.Request) -> web.StreamResponse:
        """Respond with an encrypted backup."""
        form = await read_form(request)
        passphrase, again = form.get("passphrase", ""), form.get("again", "")
        if len(passphrase) < SHORTEST_PASSPHRASE:
            least = SHORTEST_PASSPHRASE
            text = _("The passphrase has at least %(least)s characters. No backup was made.", least=least)
            return await self.respond(request, problem=text, status=400)
        if passphrase != again:
            return await self.respond(request, problem=_("The two passphrases differ. No backup was made."), status=400)
        try:
            async with self._view.backup(passphrase) as file:
                return await send_backup(request, file)
        except StoreError as error:
            return await self.respond(request, problem=_("No backup was made: %(why)s.", why=localized(str(error))), status=409)

    async def restart(self, request: web.Request) -> web.Response:
        """Restart the gateway, once that is confirmed."""
        form = await read_form(request)
        if (problem := self._view.restart_problem) is not None:
            return await self.respond(request, problem=_("Not restarted: %(why)s.", why=localized(problem)), status=409)
        if form.get("confirm") != "yes":
            return await self.respond(request, step="confirm")
        response = await self.respond(request, step="restarting")
        restart_soon(self._view)
        return response

    def _shown_bundle(self) -> Bundle | None:
        if self._bundle is not None and loop_time() - self._bundle_at > KEPT_SECONDS:
            self._bundle = None
        return self._bundle

    async def respond(
        self,
        request: web.Request,
        *,
        problem: str | None = None,
        status: int = 200,
        step: str = "",
        plan: RestorePlan | None = None,
    ) -> web.Response:
        """Respond with the page, at one step of what it offers."""
        bundle = self._shown_bundle()
        files = (
            ()
            if bundle is None
            else tuple((name, len(text.encode("utf-8", "replace")), text) for name, text in bundle.texts.items())
        )
        html = self._renderer.document(
            PageAddress("maintenance"),
            self._renderer.maintenance_page(),
            await self._snapshots.snapshot(),
            visitor=request[VISITOR],
            path="/maintenance",
            bundle=bundle,
            files=files,
            shown_characters=SHOWN_CHARACTERS,
            shortest_passphrase=SHORTEST_PASSPHRASE,
            problem=problem,
            restart_problem=self._view.restart_problem,
            step=step,
            run_id=self._run_id(),
            plan=plan,
        )
        response = web.Response(text=html, content_type="text/html", status=status)
        response.enable_compression()
        return response


def restart_soon(view: MaintenanceView) -> None:
    """Restart the gateway after the response to this request was sent."""
    asyncio.get_running_loop().call_later(0.5, view.restart)


def bundle_response(bundle: Bundle) -> web.Response:
    """Return a bundle as a download."""
    headers = {"Content-Type": "application/gzip", "Content-Disposition": f'attachment; filename="{bundle.name}"'}
    return web.Response(body=bundle.content, headers=headers)


async def send_backup(request: web.Request, file: BackupFile) -> web.StreamResponse:
    """Send a backup as a download."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.size),
            "Content-Disposition": f'attachment; filename="{file.name}"',
        }
    )
    await response.prepare(request)
    source = await asyncio.to_thread(file.path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(source.read, CHUNK_BYTES):
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(chunk)
        await response.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()  # else a part would look like the whole
    finally:
        source.close()
    return response
