"""The JSON API over HTTP: each call of `calls` to what the gateway knows, and what a person asked it to do."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from functools import cache
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.models import parse_name
from gateway.status.doctor_cache import Checkup
from gateway.status.history import History
from gateway.status.live_updates import Latest
from gateway.status.openapi import BASE, CALLS, Buses, Children, Done, NewName, Overview, Problem, Waiting, openapi
from gateway.status.render import formatting
from gateway.status.render.pages import Pages
from gateway.status.render.paging import Wanted, list_children, list_waiting
from gateway.status.routes.json_responses import as_json
from gateway.status.snapshot import count_standings, names_of
from gateway.status.view import View

NO_SUCH_THING: Final = "there is no such thing (any more)"


class Actions:
    """What a person may do, from the page and from the API alike. Each returns why it was not done, `None` when it was."""

    def __init__(self, view: View, latest: Latest) -> None:
        self._view = view
        self._latest = latest

    async def carry_out(self, action: str, word: str) -> str | None:
        """Do it to what the API calls by this word."""
        return await self._done(self._deed(action, names_of(word)))

    async def rename(self, word: str, name: str | None) -> str | None:
        """Give a name to what the API calls by this word; `None` is the one that it was found under."""
        names = names_of(word)
        if len(names) != 1:
            return NO_SUCH_THING
        try:
            given = None if name is None else parse_name(name)
        except ValueError as error:
            return str(error)
        return await self._done(self._view.rename(names[0], given))

    async def _done(self, deed: Awaitable[str | None]) -> str | None:
        why_not = await deed
        self._latest.is_outdated()
        return why_not

    async def _deed(self, action: str, names: tuple[str, ...]) -> str | None:
        match action, names:
            case "admit", (key,):
                return await self._view.admit(key)
            case "ignore", (key,):
                return await self._view.ignore(key)
            case "rescan", (entry, bus):
                return await self._view.rescan(entry, bus)
        return NO_SUCH_THING


class Api:
    """Answers the calls."""

    def __init__(self, latest: Latest, pages: Pages, history: History, checkup: Checkup, actions: Actions) -> None:
        self._latest = latest
        self._checkup = checkup
        self._pages = pages
        self._history = history
        self._actions = actions

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each call, and one for the document of them all."""
        own = [web.route(call.method, call.path, getattr(self, call.name)) for call in CALLS]
        return [*own, web.get(f"{BASE}/openapi.json", self.document)]

    async def document(self, request: web.Request) -> web.Response:
        """Answer with the OpenAPI document."""
        del request
        return web.json_response(text=_openapi())

    async def overview(self, request: web.Request) -> web.Response:
        """Answer with everything at a glance."""
        del request
        snapshot = await self._latest.snapshot()
        return _json(
            Overview(
                at=snapshot.at,
                headline=formatting.headline(snapshot),
                gateway=snapshot.gateway,
                outbox=snapshot.outbox,
                standings=count_standings(snapshot.children),
                waiting=len(snapshot.undecided),
            )
        )

    async def buses(self, request: web.Request) -> web.Response:
        """Answer with every bus."""
        del request
        return _json(Buses(buses=(await self._latest.snapshot()).buses))

    async def children(self, request: web.Request) -> web.Response:
        """Answer with one page of the children."""
        listing = list_children((await self._latest.snapshot()).children, Wanted.of(request.query))
        return _json(
            Children(total=listing.total, page=listing.page, pages=listing.pages, children=tuple(listing.rows)),
        )

    async def child(self, request: web.Request) -> web.Response:
        """Answer with one child."""
        return _json(self._pages.report(_key(request)))

    async def history(self, request: web.Request) -> web.Response:
        """Answer with the last hour of one metric."""
        now = (await self._latest.snapshot()).at
        return _json(self._history.series(_key(request), request.query.get("metric", ""), until=now))

    async def waiting(self, request: web.Request) -> web.Response:
        """Answer with one page of the found devices."""
        listing = list_waiting((await self._latest.snapshot()).waiting, Wanted.of(request.query))
        return _json(Waiting(total=listing.total, page=listing.page, pages=listing.pages, devices=tuple(listing.rows)))

    async def doctor(self, request: web.Request) -> web.Response:
        """Answer with what can keep the gateway from working."""
        del request
        return _json(await self._checkup.findings())

    async def admit(self, request: web.Request) -> web.Response:
        """Admit a found device."""
        return await self._act("admit", request)

    async def ignore(self, request: web.Request) -> web.Response:
        """Ignore a found device."""
        return await self._act("ignore", request)

    async def name_waiting(self, request: web.Request) -> web.Response:
        """Give a found device a name."""
        return await self._name(request)

    async def name_child(self, request: web.Request) -> web.Response:
        """Give a child a name."""
        return await self._name(request)

    async def rescan(self, request: web.Request) -> web.Response:
        """Look for new devices on a bus."""
        return await self._act("rescan", request)

    async def _act(self, action: str, request: web.Request) -> web.Response:
        return _told(await self._actions.carry_out(action, request.match_info["id"]))

    async def _name(self, request: web.Request) -> web.Response:
        try:
            wanted = NewName.model_validate_json(await request.read())
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(str(part) for part in wrong["loc"]) or "the body"
            return _json(Problem(error=f"this is not understood: {where}: {wrong['msg']}"), status=400)
        return _told(await self._actions.rename(request.match_info["id"], wanted.name))


def _told(why_not: str | None) -> web.Response:
    return _json(Done()) if why_not is None else _json(Problem(error=why_not), status=409)


@cache  # made when it is first asked for: it would cost every start of the gateway
def _openapi() -> str:
    return json.dumps(openapi())


def _key(request: web.Request) -> str:
    """Return the key of the child that an address names; one that no child has, where it names none."""
    return next(iter(names_of(request.match_info["id"])), "")


def _json(answer: BaseModel | None, *, status: int = 200) -> web.Response:
    """Return an answer; `None` is what is not there."""
    if answer is None:
        answer, status = Problem(error=NO_SUCH_THING), 404
    return as_json(answer, status=status)
