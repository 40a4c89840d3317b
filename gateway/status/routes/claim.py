"""Serve the QR code by which the gateway is claimed, for as long as nobody has claimed it."""

from __future__ import annotations

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.render.qr_code import qr_svg
from gateway.status.rights import Rights
from gateway.status.snapshot_cache import SnapshotCache


class ClaimRoutes:
    """Handler of the QR code on the overview."""

    def __init__(self, snapshots: SnapshotCache) -> None:
        self._snapshots = snapshots

    def routes(self) -> list[DeclaredRoute]:
        """Return the route."""
        return [get("/claim.svg", self.picture, needs=Rights.LOOK)]

    async def picture(self, request: web.Request) -> web.Response:
        """Respond with the code; there is none once the gateway is claimed."""
        del request
        gateway = (await self._snapshots.snapshot()).gateway
        if gateway.claim_text is None:
            raise web.HTTPNotFound
        return web.Response(body=qr_svg(gateway.claim_text), content_type="image/svg+xml")
