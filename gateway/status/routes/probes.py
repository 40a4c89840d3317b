"""What other programs ask of the gateway over HTTP: can it work, and how much of everything is there."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from gateway.status.auth.middleware import RIGHTS
from gateway.status.health import readiness
from gateway.status.live_updates import Latest, Live
from gateway.status.routes.json_responses import as_readiness
from gateway.status.routes.metrics import CONTENT_TYPE, exposition


class Probes:
    """Answers whether it is ready, and Prometheus."""

    def __init__(self, latest: Latest, live: Live, *, hub_gone_limit: timedelta | None) -> None:
        self._latest = latest
        self._live = live
        self._hub_gone_limit = hub_gone_limit

    def routes(self) -> list[web.RouteDef]:
        """Return their routes."""
        return [web.get("/readyz", self.readyz), web.get("/metrics", self.metrics)]

    async def readyz(self, request: web.Request) -> web.Response:
        """Answer 200 when the gateway can do its job, else 503; why not only to who may look."""
        snapshot = await self._latest.snapshot()
        ready = readiness(snapshot, await self._latest.store_problem(), hub_gone_limit=self._hub_gone_limit)
        return as_readiness(ready, request[RIGHTS])

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with all metrics."""
        del request
        body = exposition(await self._latest.snapshot(), watchers=self._live.watchers)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
