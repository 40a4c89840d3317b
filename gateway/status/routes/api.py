"""Serve the JSON API: one handler for each operation of `gateway.status.openapi`."""

from __future__ import annotations

from functools import cache

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway import strict_json
from gateway.status.doctor_cache import DoctorCache
from gateway.status.history import History
from gateway.status.model import decode_id
from gateway.status.openapi import (
    BASE,
    OPERATIONS,
    ActionDone,
    BusList,
    ChildList,
    ErrorResponse,
    Overview,
    RenameRequest,
    WaitingList,
    openapi,
)
from gateway.status.render import formatting
from gateway.status.render.pages import PageRenderer
from gateway.status.render.paging import ListQuery, list_children, list_waiting
from gateway.status.routes.actions import NOT_FOUND, Actions
from gateway.status.routes.json_responses import json_response
from gateway.status.snapshot import count_by_status
from gateway.status.snapshot_cache import SnapshotCache


class ApiRoutes:
    """Handlers of the API."""

    def __init__(
        self, snapshots: SnapshotCache, renderer: PageRenderer, history: History, doctor: DoctorCache, actions: Actions
    ) -> None:
        self._snapshots = snapshots
        self._doctor = doctor
        self._renderer = renderer
        self._history = history
        self._actions = actions

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each operation, and one for the OpenAPI document."""
        own = [web.route(one.method, one.path, getattr(self, one.name)) for one in OPERATIONS]
        return [*own, web.get(f"{BASE}/openapi.json", self.document)]

    async def document(self, request: web.Request) -> web.Response:
        """Respond with the OpenAPI document."""
        del request
        return web.json_response(text=_openapi())

    async def overview(self, request: web.Request) -> web.Response:
        """Respond with the state at a glance."""
        del request
        snapshot = await self._snapshots.snapshot()
        return _response(
            Overview(
                at=snapshot.at,
                headline=formatting.headline(snapshot),
                gateway=snapshot.gateway,
                outbox=snapshot.outbox,
                standings=count_by_status(snapshot.children),
                waiting=len(snapshot.undecided),
            )
        )

    async def buses(self, request: web.Request) -> web.Response:
        """Respond with every bus."""
        del request
        return _response(BusList(buses=(await self._snapshots.snapshot()).buses))

    async def cloud(self, request: web.Request) -> web.Response:
        """Respond with the exchange with the cloud."""
        del request
        return _response((await self._snapshots.snapshot()).cloud)

    async def children(self, request: web.Request) -> web.Response:
        """Respond with one page of the children."""
        listing = list_children((await self._snapshots.snapshot()).children, ListQuery.parse(request.query))
        return _response(
            ChildList(total=listing.total, page=listing.page, pages=listing.pages, children=tuple(listing.rows)),
        )

    async def child(self, request: web.Request) -> web.Response:
        """Respond with one child."""
        return _response(self._renderer.child_report(_child_key(request)))

    async def history(self, request: web.Request) -> web.Response:
        """Respond with the last hour of one metric."""
        now = (await self._snapshots.snapshot()).at
        return _response(self._history.metric_history(_child_key(request), request.query.get("metric", ""), until=now))

    async def waiting(self, request: web.Request) -> web.Response:
        """Respond with one page of the found devices."""
        listing = list_waiting((await self._snapshots.snapshot()).waiting, ListQuery.parse(request.query))
        return _response(WaitingList(total=listing.total, page=listing.page, pages=listing.pages, devices=tuple(listing.rows)))

    async def doctor(self, request: web.Request) -> web.Response:
        """Respond with the findings of `doctor`."""
        del request
        return _response(await self._doctor.report())

    async def admit(self, request: web.Request) -> web.Response:
        """Admit a found device."""
        return await self._run("admit", request)

    async def ignore(self, request: web.Request) -> web.Response:
        """Ignore a found device."""
        return await self._run("ignore", request)

    async def name_waiting(self, request: web.Request) -> web.Response:
        """Rename a found device."""
        return await self._rename(request)

    async def name_child(self, request: web.Request) -> web.Response:
        """Rename a child."""
        return await self._rename(request)

    async def rescan(self, request: web.Request) -> web.Response:
        """Search a bus for new devices."""
        return await self._run("rescan", request)

    async def keep_identity(self, request: web.Request) -> web.Response:
        """Let this machine replace the one that the store comes from."""
        del request
        return _action_response(await self._actions.decide_identity("keep"))

    async def new_identity(self, request: web.Request) -> web.Response:
        """Make this machine another gateway than the one that the store comes from."""
        del request
        return _action_response(await self._actions.decide_identity("new"))

    async def _run(self, action: str, request: web.Request) -> web.Response:
        return _action_response(await self._actions.run(action, request.match_info["id"]))

    async def _rename(self, request: web.Request) -> web.Response:
        try:
            wanted = RenameRequest.model_validate_json(await request.read())
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(str(part) for part in wrong["loc"]) or "the body"
            return _response(ErrorResponse(error=f"invalid request: {where}: {wrong['msg']}"), status=400)
        return _action_response(await self._actions.rename(request.match_info["id"], wanted.name))


def _action_response(why_not: str | None) -> web.Response:
    return _response(ActionDone()) if why_not is None else _response(ErrorResponse(error=why_not), status=409)


@cache  # built on the first request: it would slow down every start of the gateway
def _openapi() -> str:
    return strict_json.dumps(openapi())


def _child_key(request: web.Request) -> str:
    """Return the key of the child in the address; an empty one, which no child has, if there is none."""
    return next(iter(decode_id(request.match_info["id"])), "")


def _response(model: BaseModel | None, *, status: int = 200) -> web.Response:
    """Return a response; `None` means that there is no such thing."""
    if model is None:
        model, status = ErrorResponse(error=NOT_FOUND), 404
    return json_response(model, status=status)
