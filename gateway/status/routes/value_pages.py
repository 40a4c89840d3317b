"""Serve the page of a child's values over time: chosen by links and a form, drawn without scripts, and as a table."""

from __future__ import annotations

from aiohttp import web

from gateway.status.auth.middleware import VISITOR
from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.history import History
from gateway.status.kept_values import KeptValues
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import gettext_noop, localized
from gateway.status.model import decode_id
from gateway.status.operations.history import RANGE
from gateway.status.operations.operation import QueryParameter
from gateway.status.render import chart_svg
from gateway.status.render.charts import unknown_metric, why_no_chart, with_reason
from gateway.status.render.metric_texts import headline_order
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import query_problem
from gateway.status.series.levels import Kind, Range
from gateway.status.snapshot import MetricHistory
from gateway.status.snapshot_cache import SnapshotCache

PARAMETERS = {
    "metric": QueryParameter(gettext_noop("name of the metric")),
    "compare": QueryParameter(gettext_noop("name of a second metric")),
    "range": RANGE,
}


class ValuePages:
    """Handler of the page of values over time."""

    def __init__(
        self, snapshots: SnapshotCache, renderer: PageRenderer, templates: Templates, history: History, values: KeptValues
    ) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._templates = templates
        self._history = history
        self._values = values

    def routes(self) -> list[DeclaredRoute]:
        """Return the route of the page."""
        return [get("/children/{id}/values", self.page, needs=Rights.LOOK)]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with one metric, or two, in a range."""
        address, snapshot = PageAddress.parse(request.path), await self._snapshots.snapshot()
        page = None if address is None else self._renderer.page(address, snapshot)
        report = None if address is None else self._renderer.child_report(decode_id(address.id)[0])
        if address is None or page is None or report is None:
            raise web.HTTPNotFound
        if (problem := query_problem(request.query, PARAMETERS)) is not None:
            return self._bad_request(request, problem)
        key, wanted, shown = report.child.line.key, Range(request.query.get("range", Range.HOUR)), list[MetricHistory]()
        values = headline_order(report.values, report.child.family)
        chosen = [
            request.query.get("metric") or next((one.metric for one in values if one.has_history), ""),
            request.query.get("compare", ""),
        ]
        for metric in dict.fromkeys(filter(None, chosen)):
            found = await self._values.series(key, metric, wanted, snapshot.at)
            series = with_reason(found, metric, wanted, self._history.max_metrics)
            if series is None:
                return self._bad_request(request, unknown_metric(metric, [one.metric for one in values]))
            shown.append(series)
        share = self._values.share()
        html = self._renderer.document(
            address,
            page,
            snapshot,
            visitor=request[VISITOR],
            path=request.path,
            line=report.child.line,
            values=values,
            titles={one.metric: one.title for one in values},
            chosen=chosen,
            wanted=wanted,
            ranges=list(Range),
            shown=shown,
            lines=chart_svg.number_lines(shown, snapshot.at),
            bands=[chart_svg.bands(one, snapshot.at) for one in shown if one.kind is not Kind.NUMBER and one.at],
            ticks=chart_svg.time_ticks(wanted, snapshot.at),
            share=share if share.left_out else None,
            why_no_chart=lambda missing: why_no_chart(missing, self._history.max_metrics),
        )
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    def _bad_request(self, request: web.Request, problem: str) -> web.Response:
        links = {_("To the values of the device"): request.path, _("To the overview"): "/"}
        problem = localized(problem)
        html = self._templates.message(_("This address is not right"), f"{problem[:1].upper()}{problem[1:]}.", links=links)
        return web.Response(status=400, text=html, content_type="text/html")
