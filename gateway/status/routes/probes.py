"""Serve what other programs poll: readiness and Prometheus metrics."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from gateway.status.auth.middleware import RIGHTS
from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.health import readiness
from gateway.status.listening.connections import Connections
from gateway.status.listening.work_budget import WorkBudget
from gateway.status.live_updates import LiveUpdates
from gateway.status.rights import Rights
from gateway.status.routes.json_responses import readiness_response
from gateway.status.routes.metrics import CONTENT_TYPE, render_metrics
from gateway.status.snapshot_cache import SnapshotCache


class ProbeRoutes:
    """Handlers of `/readyz` and `/metrics`."""

    def __init__(
        self,
        snapshots: SnapshotCache,
        live: LiveUpdates,
        connections: Connections,
        work: WorkBudget,
        *,
        hub_gone_limit: timedelta | None,
    ) -> None:
        self._snapshots = snapshots
        self._live = live
        self._connections = connections
        self._work = work
        self._hub_gone_limit = hub_gone_limit

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [get("/readyz", self.readyz, needs=Rights.PROBE), get("/metrics", self.metrics, needs=Rights.LOOK)]

    async def readyz(self, request: web.Request) -> web.Response:
        """Respond with 200 when the gateway is ready, else 503; the reasons only for those who may look."""
        snapshot = await self._snapshots.snapshot()
        ready = readiness(snapshot, await self._snapshots.store_problem(), hub_gone_limit=self._hub_gone_limit)
        return readiness_response(ready, request[RIGHTS])

    async def metrics(self, request: web.Request) -> web.Response:
        """Respond with all metrics."""
        del request
        snapshot = await self._snapshots.snapshot()
        body = render_metrics(snapshot, watchers=self._live.watchers, connections=self._connections, work=self._work)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
