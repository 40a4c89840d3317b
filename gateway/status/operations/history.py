"""Define the operations on the values of a child over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

from gateway.status.operations.operation import BASE, ApiOperation, QueryParameter
from gateway.status.rights import Rights
from gateway.status.series.levels import Range
from gateway.status.snapshot import MetricHistory


class _TimePattern(TypedDict):
    pattern: str
    expected: str
    format: str


METRIC: Final = QueryParameter("name of the metric", is_required=True)
RANGE: Final = QueryParameter("how far back: `hour` (left out: this one), `day`, `week` or `year`", choices=tuple(Range))
_TIME: Final = _TimePattern(
    pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})",
    expected="a time with its zone, such as 2026-03-01T08:00:00Z",
    format="date-time",
)

OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("history", "GET", f"{BASE}/children/{{id}}/history", "One metric over an hour, a day, a week or a year", MetricHistory),
        needs=Rights.LOOK,
        query={"metric": METRIC, "range": RANGE},
    ),
    ApiOperation(
        *("history_csv", "GET", f"{BASE}/children/{{id}}/history.csv", "One metric or two over such a range, as a table", None),
        needs=Rights.LOOK,
        query={
            "metric": METRIC,
            "compare": QueryParameter("name of a second metric"),
            "range": RANGE,
            "from": QueryParameter("leave out what is earlier: a time such as 2026-03-01T08:00:00Z", **_TIME),
            "to": QueryParameter("leave out what is later: a time such as 2026-03-01T08:00:00Z", **_TIME),
        },
        content_type="text/csv",
    ),
)
