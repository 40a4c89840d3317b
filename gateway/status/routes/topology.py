"""Serve the page of the topology, and the operation that shows the same."""

from __future__ import annotations

from aiohttp import web

from gateway.status.auth.middleware import VISITOR
from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.operations import topology as operations
from gateway.status.operations.topology import BusNode, CloudNode, DeviceNode, GatewayNode, Topology
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.topology import BusBranch, TopologyQuery, WrongBus, tree
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import api_response, operation_routes
from gateway.status.snapshot import Snapshot, count_by_status
from gateway.status.snapshot_cache import SnapshotCache
from gateway.status.topology_view import TopologyView


class TopologyRoutes:
    """Handlers of `/topology` and of `gateway.status.operations.topology`."""

    def __init__(self, view: TopologyView, snapshots: SnapshotCache, renderer: PageRenderer) -> None:
        self._view = view
        self._snapshots = snapshots
        self._renderer = renderer

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [*operation_routes(operations.OPERATIONS, self), get("/topology", self.page, needs=Rights.LOOK)]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the page."""
        try:
            query = TopologyQuery.parse(request.query)
        except WrongBus as error:
            raise web.HTTPBadRequest from error
        snapshot = await self._snapshots.snapshot()
        html = self._renderer.document(
            PageAddress("topology", topology=query),
            self._renderer.topology_page(query, snapshot, self._view.device_loads),
            snapshot,
            visitor=request[VISITOR],
            path=query.path,
        )
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    async def topology(self, request: web.Request) -> web.Response:
        """Respond with the whole topology."""
        del request
        snapshot = await self._snapshots.snapshot()
        return api_response(self._topology(snapshot))

    def _topology(self, snapshot: Snapshot) -> Topology:
        whole, gateway = tree(snapshot), snapshot.gateway
        return Topology(
            at=snapshot.at,
            cloud=CloudNode(
                is_reachable=gateway.hub.is_reachable,
                since=gateway.hub.since,
                url=gateway.hub_url,
                waiting_samples=snapshot.outbox.depth,
                causes=tuple(whole.cloud_causes),
            ),
            gateway=GatewayNode(
                name=gateway.name,
                is_registered=gateway.is_registered,
                outbox=min(snapshot.outbox.fill, 1.0),
                standings=count_by_status(snapshot.children),
                causes=tuple(whole.gateway_causes),
            ),
            buses=tuple(self._bus_node(branch) for branch in whole.branches),
        )

    def _bus_node(self, branch: BusBranch) -> BusNode:
        loads, bus = self._view.device_loads(branch.entry, branch.bus), branch.summary
        return BusNode(
            id=branch.id,
            entry=branch.entry,
            bus=branch.bus,
            is_present=bus is not None,
            problem=None if bus is None else bus.problem,
            load=None if bus is None else bus.live_load,
            plan=None if bus is None else bus.plan,
            limit=None if bus is None else bus.limit,
            stretch=None if bus is None else bus.stretch,
            standings=dict(branch.standings),
            causes=tuple(branch.causes),
            devices=tuple(
                DeviceNode(
                    id=child.id,
                    name=child.name,
                    address=child.address,
                    standing=child.standing,
                    cause=child.cause,
                    why=child.why,
                    load=loads.get(child.key, 0.0),
                )
                for child in branch.children
            ),
        )
