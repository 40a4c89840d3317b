"""Serve the operations of the API on the values of a child over time."""

from __future__ import annotations

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute
from gateway.status.history import History, last_hour
from gateway.status.operations import history
from gateway.status.render.charts import unknown_metric, why_no_chart
from gateway.status.render.pages import FindChild
from gateway.status.routes.api_operations import api_response, child_key, invalid_request, operation_routes
from gateway.status.snapshot import MetricHistory, NoChart
from gateway.status.snapshot_cache import SnapshotCache


class HistoryApi:
    """Handlers of `gateway.status.operations.history`."""

    def __init__(self, snapshots: SnapshotCache, find_child: FindChild, history: History) -> None:
        self._snapshots = snapshots
        self._find_child = find_child
        self._history = history

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(history.OPERATIONS, self)

    async def history(self, request: web.Request) -> web.Response:
        """Respond with the last hour of one metric: 404 for a child that is none, 400 for a metric that it does not have."""
        key, metric = child_key(request), request.query["metric"]
        child = self._find_child(key)
        if child is None:
            return api_response(None)
        now = (await self._snapshots.snapshot()).at
        chart = self._history.chart(key, metric)
        if chart is NoChart.UNKNOWN:
            return invalid_request(unknown_metric(metric, [value.metric for value in self._history.latest_values(key)]))
        if isinstance(chart, NoChart):
            why = why_no_chart(chart, self._history.max_metrics)
            return api_response(MetricHistory(metric=metric, at=(), low=(), mean=(), high=(), missing=chart, why=why))
        return api_response(last_hour(chart, now))
