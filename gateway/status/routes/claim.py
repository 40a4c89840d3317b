"""Serve the QR code by which the gateway is claimed, for as long as nobody has claimed it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.operations.claim import OPERATIONS, ClaimState
from gateway.status.render.qr_code import qr_svg
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import api_response, operation_routes
from gateway.status.snapshot_cache import SnapshotCache

PICTURE: Final = "/claim.svg"


class ClaimRoutes:
    """Handlers of the QR code on the overview, and of `gateway.status.operations.claim`."""

    def __init__(self, snapshots: SnapshotCache) -> None:
        self._snapshots = snapshots

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for the code, and one for each operation."""
        return [get(PICTURE, self.picture, needs=Rights.LOOK), *operation_routes(OPERATIONS, self)]

    async def claim(self, request: web.Request) -> web.Response:
        """Respond with whether and how the gateway is claimed."""
        del request
        gateway = (await self._snapshots.snapshot()).gateway
        state = ClaimState(
            is_registered=gateway.is_registered,
            is_claimed=gateway.is_claimed,
            text=gateway.claim_text,
            url=gateway.claim_url,
            serial_number=gateway.serial_number,
            picture=None if gateway.claim_text is None else PICTURE,
        )
        return api_response(state)

    async def picture(self, request: web.Request) -> web.Response:
        """Respond with the code; there is none once the gateway is claimed."""
        del request
        gateway = (await self._snapshots.snapshot()).gateway
        if gateway.claim_text is None:
            raise web.HTTPNotFound
        return web.Response(body=qr_svg(gateway.claim_text), content_type="image/svg+xml")
