"""Serve the operations of the API on the values of a child over time."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute
from gateway.status.history import History
from gateway.status.kept_values import KeptValues
from gateway.status.operations import history
from gateway.status.render.charts import unknown_metric, with_reason
from gateway.status.render.history_csv import csv_file_name, history_csv
from gateway.status.render.pages import FindChild
from gateway.status.routes.api_operations import api_response, child_key, invalid_request, operation_routes
from gateway.status.series.levels import Range
from gateway.status.snapshot import MetricHistory
from gateway.status.snapshot_cache import SnapshotCache


class HistoryApi:
    """Handlers of `gateway.status.operations.history`."""

    def __init__(self, snapshots: SnapshotCache, find_child: FindChild, history: History, values: KeptValues) -> None:
        self._snapshots = snapshots
        self._find_child = find_child
        self._history = history
        self._values = values

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(history.OPERATIONS, self)

    async def history(self, request: web.Request) -> web.Response:
        """Respond with one metric in a range: 404 for a child that is none, 400 for a metric that it does not have."""
        if self._find_child(child_key(request)) is None:
            return api_response(None)
        series = await self._series(request, request.query["metric"])
        return series if isinstance(series, web.Response) else api_response(series)

    async def history_csv(self, request: web.Request) -> web.Response:
        """Respond with one metric or two in a range as CSV."""
        child, shown = self._find_child(child_key(request)), list[MetricHistory]()
        if child is None:
            return api_response(None)
        try:
            first, last = (_time(request.query.get(name)) for name in ("from", "to"))
        except ValueError as error:
            return invalid_request(f'the parameter "from" or "to" is no time: {error}')
        for metric in dict.fromkeys(filter(None, (request.query["metric"], request.query.get("compare")))):
            series = await self._series(request, metric)
            if isinstance(series, web.Response):
                return series
            shown.append(series)
        name = csv_file_name(child.line.name, request.query.get("range", Range.HOUR))
        return web.Response(
            text=history_csv(shown, first=first, last=last),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def _series(self, request: web.Request, metric: str) -> MetricHistory | web.Response:
        """Return one metric of the child in the address, or the response that says that there is no such metric."""
        key, wanted = child_key(request), Range(request.query.get("range", Range.HOUR))
        now = (await self._snapshots.snapshot()).at
        series = with_reason(await self._values.series(key, metric, wanted, now), metric, wanted, self._history.max_metrics)
        if series is None:
            return invalid_request(unknown_metric(metric, [value.metric for value in self._history.latest_values(key)]))
        return series


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
