"""Write values over time as CSV (RFC 4180): times with their zone, units in the header, and no cell that is a formula. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.status.render.metric_texts import metric_title
from gateway.status.series.levels import Kind
from gateway.status.snapshot import MetricHistory

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these, spreadsheets take a cell for a formula (OWASP, CSV injection)."""


def history_csv(series: Sequence[MetricHistory], *, first: datetime | None = None, last: datetime | None = None) -> str:
    """Return metrics over one range as CSV, one line for each time at which one of them has values.

    Args:
        series: metrics in the same range.
        first: leave out what is earlier.
        last: leave out what is later.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["Time", *(title for one in series for title in _titles(one))])
    rows = [_rows(one) for one in series]
    for at in sorted(set().union(*rows)):
        time = datetime.fromtimestamp(at, UTC)
        if (first is None or time >= first) and (last is None or time <= last):
            cells = [cell for one, of_metric in zip(series, rows, strict=True) for cell in of_metric.get(at, _no_cells(one))]
            writer.writerow([f"{time:%Y-%m-%dT%H:%M:%SZ}", *cells])
    return text.getvalue()


def csv_file_name(device: str, wanted: str) -> str:
    """Return a name of a file that every system takes."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", device).strip("-")[:60] or "device"
    return f"{word}-{wanted}.csv"


def _titles(series: MetricHistory) -> Sequence[str]:
    title = safe_cell(metric_title(series.metric))
    unit = f" [{series.unit}]" if series.unit else ""
    match series.kind:
        case Kind.WORDS:
            return [title]
        case Kind.SWITCH:
            return [f"{title}, share of the time in which it was on"]
    return [f"{title}, lowest{unit}", f"{title}, mean{unit}", f"{title}, highest{unit}"]


def _rows(series: MetricHistory) -> dict[int, Sequence[object]]:
    points = zip(series.at, series.low, series.mean, series.high, strict=True)
    return {at: _cells(series, low, mean, high) for at, low, mean, high in points if None not in (low, mean, high)}


def _cells(series: MetricHistory, low: float | None, mean: float | None, high: float | None) -> Sequence[object]:
    match series.kind:
        case Kind.WORDS:
            return [safe_cell(series.words[int(mean)] if mean is not None and 0 <= mean < len(series.words) else "")]
        case Kind.SWITCH:
            return [_number(mean)]
    return [_number(low), _number(mean), _number(high)]


def _no_cells(series: MetricHistory) -> Sequence[str]:
    return [""] * len(_titles(series))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
