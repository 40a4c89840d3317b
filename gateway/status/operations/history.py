"""Define the operations on the values of a child over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.status.operations.operation import BASE, ApiOperation, QueryParameter
from gateway.status.rights import Rights
from gateway.status.snapshot import MetricHistory

OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("history", "GET", f"{BASE}/children/{{id}}/history", "One metric over the last hour", MetricHistory),
        needs=Rights.LOOK,
        query={"metric": QueryParameter("name of the metric", is_required=True)},
    ),
)
