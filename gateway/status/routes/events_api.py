"""Serve the timeline: as an operation of the API, and as JSON lines to download."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.event_query import EventQuery
from gateway.status.operations import events
from gateway.status.operations.events import EVENTS_OF_A_PAGE, FILTER, MOST_OF_A_PAGE, Event, EventList
from gateway.status.operations.operation import BASE
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import api_response, invalid_request, operation_routes, query_problem
from gateway.status.timeline_view import TimelineView

WRITE_SECONDS: Final = 30.0


class EventsApi:
    """Handlers of `gateway.status.operations.events`."""

    def __init__(self, view: TimelineView) -> None:
        self._view = view

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation, and one for the download."""
        return [*operation_routes(events.OPERATIONS, self), get(f"{BASE}/events.jsonl", self.lines, needs=Rights.LOOK)]

    async def events(self, request: web.Request) -> web.Response:
        """Respond with a part of the timeline."""
        if (problem := _id_problem(request)) is not None:
            return invalid_request(problem)
        query, most = EventQuery.parse(request.query), int(request.query.get("limit", EVENTS_OF_A_PAGE))
        found = await self._view.events(query.wanted, most=most + 1)
        shown = tuple(map(Event.of, found[:most]))
        return api_response(EventList(events=shown, next=shown[-1].seq if len(found) > most else None))

    async def lines(self, request: web.Request) -> web.StreamResponse:
        """Respond with all events of a filter as JSON lines, the earliest first."""
        if (problem := query_problem(request.query, FILTER) or _id_problem(request)) is not None:
            return invalid_request(problem)
        response = web.StreamResponse(
            headers={"Content-Type": "application/jsonl", "Content-Disposition": 'attachment; filename="events.jsonl"'}
        )
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        wanted = EventQuery.parse(request.query).wanted
        before, cursor = wanted.before, wanted.after or 0
        while part := await self._view.events(replace(wanted, after=cursor, before=None), most=MOST_OF_A_PAGE):
            shown = [one for one in part if before is None or one.seq < before]
            text = "".join(f"{Event.of(one).model_dump_json()}\n" for one in shown)
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(text.encode())
            if len(shown) < len(part):
                break
            cursor = part[-1].seq
        return response


def _id_problem(request: web.Request) -> str | None:
    """Return what is wrong with the ids of a request, for the caller."""
    query = EventQuery.parse(request.query)
    for name, kept in (("device", query.device), ("bus", query.bus)):
        if request.query.get(name, "") != kept:
            return f'the parameter "{name}" is not the id of a {name}'
    return None
