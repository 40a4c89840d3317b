"""Prepare what the template of values over time writes out: titles with units, and the rows of its table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gateway.status.render.chart_svg import Line
from gateway.status.render.metric_texts import metric_title
from gateway.status.render.metric_titles import localized_title
from gateway.status.snapshot import MetricHistory


def chart_titles(lines: Sequence[Line], titles: Mapping[str, str | None]) -> list[str]:
    """Return what a person calls each line."""
    series = [line.series for line in lines]
    return [localized_title(metric_title(one.metric, titles.get(one.metric)), has_unit=bool(one.unit)) for one in series]


def table_points(series: MetricHistory) -> list[tuple[datetime, float, float, float]]:
    """Return the points of a metric that have values, the latest first."""
    rows = zip(series.at, series.low, series.mean, series.high, strict=True)
    return [
        (datetime.fromtimestamp(at, UTC), low, mean, high)
        for at, low, mean, high in reversed(list(rows))
        if low is not None and mean is not None and high is not None
    ]
