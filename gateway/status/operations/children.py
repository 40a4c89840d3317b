"""Define the operations on children, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, PAGED, ActionDone, ApiOperation, QueryParameter
from gateway.status.operations.waiting import RenameRequest
from gateway.status.rights import Rights
from gateway.status.snapshot import ChildReport, ChildStatus, ChildSummary


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
        query=PAGED
        | {"show": QueryParameter("`trouble` for those that are not fine, or a status", choices=("trouble", *ChildStatus))},
    ),
    ApiOperation(
        *("child", "GET", f"{BASE}/children/{{id}}", "One child with its last values, errors and availability", ChildReport),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("name_child", "POST", f"{BASE}/children/{{id}}/name", "Rename a child, in the cloud too", ActionDone),
        needs=Rights.OPERATE,
        body=RenameRequest,
    ),
)
