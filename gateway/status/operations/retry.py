"""Define the operations that try again at once, and their outcome. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights


class TryResult(StatusModel):
    """What came of an attempt."""

    works: bool
    text: Text = Field(description="what was seen, in plain words")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("try_cloud", "POST", f"{BASE}/cloud/try", "Call the cloud now, or register with it", TryResult),
        needs=Rights.OPERATE,
    ),
    ApiOperation(
        *("try_bus", "POST", f"{BASE}/buses/{{id}}/try", "Open a bus now that does not work", TryResult),
        needs=Rights.OPERATE,
    ),
    ApiOperation(
        *("try_child", "POST", f"{BASE}/children/{{id}}/try", "Ask a silent child now, or register a refused one", TryResult),
        needs=Rights.OPERATE,
    ),
)
