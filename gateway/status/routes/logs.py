"""Serve the page of the log, its download, the switch of its level, and the operations that do the same."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.logs_view import LEVELS, MOST_MINUTES, LogsView, part_of
from gateway.status.operations import logs as operations
from gateway.status.operations.logs import LogLevelRequest, LogList, LogRow
from gateway.status.render.logs import LogQuery, WrongQuery, as_text, log_page, matching
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import (
    action_response,
    api_response,
    invalid_request,
    operation_routes,
    read_body,
)
from gateway.status.snapshot_cache import SnapshotCache


class LogRoutes:
    """Handlers of `/logs` and of `gateway.status.operations.logs`."""

    def __init__(self, view: LogsView, snapshots: SnapshotCache, renderer: PageRenderer) -> None:
        self._view = view
        self._snapshots = snapshots
        self._renderer = renderer

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            *operation_routes(operations.OPERATIONS, self),
            get("/logs", self.page, needs=Rights.LOOK),
            get("/logs/download", self.download, needs=Rights.LOOK),
            post("/logs/level", self.level_form, needs=Rights.ADMINISTER),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the page."""
        query = _query_of(request)
        address = PageAddress("logs", log=query)
        html = self._renderer.document(
            *(address, self._renderer.logs_page(query, self._view), await self._snapshots.snapshot()),
            visitor=request[VISITOR],
            path=f"/logs{query.encode()}".rstrip("?"),
        )
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    async def download(self, request: web.Request) -> web.Response:
        """Respond with all lines that were asked for, as a file."""
        text = as_text(matching(self._view.log_lines(), _query_of(request)))
        name = f"xyte-gateway-log-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt"
        response = web.Response(
            body=text.encode("utf-8", "replace"),
            headers={"Content-Type": "text/plain; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'},
        )
        response.enable_compression()
        return response

    async def level_form(self, request: web.Request) -> web.Response:
        """Set the level of the log, and return to the page."""
        form = await read_form(request)
        level, minutes = form.get("level", ""), form.get("minutes", "")
        if level not in LEVELS or not minutes.isascii() or not minutes.isdigit() or not 1 <= int(minutes[:5]) <= MOST_MINUTES:
            raise web.HTTPBadRequest
        self._view.set_log_level(level, int(minutes))
        return redirect("/logs")

    async def logs(self, request: web.Request) -> web.Response:
        """Respond with one page of the log."""
        try:
            query = LogQuery.parse(request.query)
        except WrongQuery as error:
            return invalid_request(str(error))
        level, listed = self._view.log_level(), log_page(self._view.log_lines(), query)
        rows = (
            LogRow(seq=one.seq, at=one.at, level=one.level, part=part_of(one.logger), logger=one.logger, text=one.text)
            for one in listed.rows
        )
        return api_response(
            LogList(
                level=level.level,
                normal_level=level.normal,
                until=level.until,
                total=listed.total,
                page=listed.page,
                pages=listed.pages,
                lines=tuple(rows),
            )
        )

    async def set_log_level(self, request: web.Request) -> web.Response:
        """Set the level of the log for a while."""
        wanted = await read_body(request, LogLevelRequest)
        self._view.set_log_level(wanted.level, wanted.minutes)
        return action_response(None)


def _query_of(request: web.Request) -> LogQuery:
    try:
        return LogQuery.parse(request.query)
    except WrongQuery as error:
        raise web.HTTPBadRequest from error
