"""Register the handlers of the page, each together with the right that its visitors need.

The middleware enforces what is declared here, and nothing else decides. What was added to the application without a declaration
answers nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from aiohttp import web

from gateway.status.rights import Rights

MAX_BODY_BYTES: Final = 16 * 1024

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """One address of the page, what answers there, and who may ask."""

    method: str
    path: str
    handler: Handler
    needs: Rights
    reads_its_body: bool = field(default=False, kw_only=True)
    """Its body may be large, and only the handler reads it, with bounds of its own."""


def get(path: str, handler: Handler, *, needs: Rights) -> DeclaredRoute:
    """Declare something to look at; `HEAD` is answered as well."""
    return DeclaredRoute("GET", path, handler, needs)


def post(path: str, handler: Handler, *, needs: Rights) -> DeclaredRoute:
    """Declare an action."""
    return DeclaredRoute("POST", path, handler, needs)


class RouteTable:
    """The routes of an application, and what each of them needs."""

    def __init__(self) -> None:
        self._needs: dict[web.AbstractRoute, Rights] = {}
        self._reading: set[web.AbstractRoute] = set()

    def add(self, application: web.Application, routes: Iterable[DeclaredRoute]) -> None:
        """Add routes to an application."""
        for one in routes:
            resource = application.router.add_resource(one.path)
            methods = ("GET", "HEAD") if one.method == "GET" else (one.method,)
            added = [resource.add_route(method, one.handler) for method in methods]
            self._needs.update(dict.fromkeys(added, one.needs))
            if one.reads_its_body:
                self._reading.update(added)

    def needs_of(self, route: web.AbstractRoute) -> Rights | None:
        """Return what this route needs; `None` when that is not declared."""
        return self._needs.get(route)

    def reads_its_body(self, request: web.Request) -> bool:
        """Return whether the handler of a request reads its body itself."""
        return request.match_info.route in self._reading

    def needs_of_request(self, request: web.Request) -> Rights:
        """Return what a request needs.

        What does not exist is told only to those who may look; an action that does not exist, only to those who may act.

        Raises:
            RuntimeError: its route is not declared.
        """
        route = request.match_info.route
        needs = self._needs.get(route)
        if needs is not None:
            return needs
        if request.match_info.http_exception is None:
            raise RuntimeError(f"{route} does not declare what it needs")
        return Rights.LOOK if request.method in ("GET", "HEAD") else Rights.OPERATE
