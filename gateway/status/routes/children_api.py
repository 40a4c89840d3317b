"""Serve the operations of the API on children and on found devices."""

from __future__ import annotations

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute
from gateway.status.operations import children, waiting
from gateway.status.operations.children import ChildList
from gateway.status.operations.waiting import RenameRequest, WaitingList
from gateway.status.render.pages import PageRenderer
from gateway.status.render.paging import ListQuery, list_children, list_waiting
from gateway.status.routes.actions import Actions
from gateway.status.routes.api_operations import (
    action_response,
    api_response,
    child_key,
    operation_routes,
    read_body,
)
from gateway.status.snapshot_cache import SnapshotCache


class ChildrenApi:
    """Handlers of `gateway.status.operations.children` and `gateway.status.operations.waiting`."""

    def __init__(self, snapshots: SnapshotCache, renderer: PageRenderer, actions: Actions) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._actions = actions

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes((*children.OPERATIONS, *waiting.OPERATIONS), self)

    async def children(self, request: web.Request) -> web.Response:
        """Respond with one page of the children."""
        listing = list_children((await self._snapshots.snapshot()).children, ListQuery.parse(request.query))
        return api_response(
            ChildList(total=listing.total, page=listing.page, pages=listing.pages, children=tuple(listing.rows)),
        )

    async def child(self, request: web.Request) -> web.Response:
        """Respond with one child."""
        return api_response(self._renderer.child_report(child_key(request)))

    async def name_child(self, request: web.Request) -> web.Response:
        """Rename a child."""
        return await self._rename(request)

    async def waiting(self, request: web.Request) -> web.Response:
        """Respond with one page of the found devices."""
        listing = list_waiting((await self._snapshots.snapshot()).waiting, ListQuery.parse(request.query))
        return api_response(
            WaitingList(total=listing.total, page=listing.page, pages=listing.pages, devices=tuple(listing.rows)),
        )

    async def admit(self, request: web.Request) -> web.Response:
        """Admit a found device."""
        return action_response(await self._actions.run("admit", request.match_info["id"]))

    async def ignore(self, request: web.Request) -> web.Response:
        """Ignore a found device."""
        return action_response(await self._actions.run("ignore", request.match_info["id"]))

    async def name_waiting(self, request: web.Request) -> web.Response:
        """Rename a found device."""
        return await self._rename(request)

    async def _rename(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, RenameRequest)
        return action_response(await self._actions.rename(request.match_info["id"], wanted.name))
