"""Define the operations on children, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, PAGED, ActionDone, ApiOperation
from gateway.status.operations.waiting import RenameRequest
from gateway.status.rights import Rights
from gateway.status.snapshot import ChildReport, ChildStatus, ChildSummary, MetricHistory


class ChildList(StatusModel):
    """One page of the children: those that most need a person first, then by name."""

    total: int
    page: int
    pages: int
    children: tuple[ChildSummary, ...]


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("children", "GET", f"{BASE}/children", "The children, in pages", ChildList),
        needs=Rights.LOOK,
        query=PAGED | {"show": f"`trouble` for those that are not fine, or one of {', '.join(ChildStatus)}"},
    ),
    ApiOperation(
        *("child", "GET", f"{BASE}/children/{{id}}", "One child with its last values, errors and availability", ChildReport),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("history", "GET", f"{BASE}/children/{{id}}/history", "The last hour of one metric", MetricHistory),
        needs=Rights.LOOK,
        query={"metric": "name of the metric"},
    ),
    ApiOperation(
        *("name_child", "POST", f"{BASE}/children/{{id}}/name", "Rename a child, in the cloud too", ActionDone),
        needs=Rights.OPERATE,
        body=RenameRequest,
    ),
)
