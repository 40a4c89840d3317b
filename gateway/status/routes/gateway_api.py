"""Serve the operations of the API on the gateway and its buses as a whole, and the OpenAPI document."""

from __future__ import annotations

from functools import cache

from aiohttp import web

from gateway import strict_json
from gateway.status.buses_view import BusesView, BusReport
from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.doctor_cache import DoctorCache
from gateway.status.open_causes import open_causes
from gateway.status.openapi import openapi
from gateway.status.operations.gateway import OPERATIONS, BusList, Overview
from gateway.status.operations.operation import BASE
from gateway.status.render import formatting
from gateway.status.rights import Rights
from gateway.status.routes.actions import Actions
from gateway.status.routes.api_operations import action_response, api_response, operation_routes
from gateway.status.snapshot import count_by_status
from gateway.status.snapshot_cache import SnapshotCache


class GatewayApi:
    """Handlers of `gateway.status.operations.gateway`."""

    def __init__(self, snapshots: SnapshotCache, doctor: DoctorCache, actions: Actions, buses: BusesView) -> None:
        self._buses = buses
        self._snapshots = snapshots
        self._doctor = doctor
        self._actions = actions

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation, and one for the OpenAPI document."""
        return [*operation_routes(OPERATIONS, self), get(f"{BASE}/openapi.json", self.document, needs=Rights.LOOK)]

    async def document(self, request: web.Request) -> web.Response:
        """Respond with the OpenAPI document."""
        del request
        return web.json_response(text=_openapi())

    async def overview(self, request: web.Request) -> web.Response:
        """Respond with the state at a glance."""
        del request
        snapshot = await self._snapshots.snapshot()
        return api_response(
            Overview(
                at=snapshot.at,
                headline=formatting.headline(snapshot),
                gateway=snapshot.gateway,
                outbox=snapshot.outbox,
                standings=count_by_status(snapshot.children),
                waiting=len(snapshot.undecided),
                causes=open_causes(snapshot),
            )
        )

    async def buses(self, request: web.Request) -> web.Response:
        """Respond with every bus."""
        del request
        return api_response(BusList(buses=(await self._snapshots.snapshot()).buses))

    async def bus(self, request: web.Request) -> web.Response:
        """Respond with one bus."""
        snapshot, word = await self._snapshots.snapshot(), request.match_info["id"]
        bus = next((bus for bus in snapshot.buses if bus.id == word), None)
        return api_response(None if bus is None else BusReport(bus=bus, details=self._buses.bus_details(bus.entry, bus.bus)))

    async def cloud(self, request: web.Request) -> web.Response:
        """Respond with the exchange with the cloud."""
        del request
        return api_response((await self._snapshots.snapshot()).cloud)

    async def doctor(self, request: web.Request) -> web.Response:
        """Respond with the findings of `doctor`."""
        del request
        return api_response(await self._doctor.report())

    async def rescan(self, request: web.Request) -> web.Response:
        """Search a bus for new devices."""
        return action_response(await self._actions.run("rescan", request.match_info["id"]))

    async def keep_identity(self, request: web.Request) -> web.Response:
        """Let this machine replace the one that the store comes from."""
        del request
        return action_response(await self._actions.decide_identity("keep"))

    async def new_identity(self, request: web.Request) -> web.Response:
        """Make this machine another gateway than the one that the store comes from."""
        del request
        return action_response(await self._actions.decide_identity("new"))


@cache  # built on the first request: it would slow down every start of the gateway
def _openapi() -> str:
    return strict_json.dumps(openapi())
