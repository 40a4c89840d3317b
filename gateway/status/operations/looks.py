"""Define the operations that look at one device now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from gateway.status.device_actions import Look, LookKind
from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights


class LookRequest(StatusModel):
    """What a device is asked."""

    kind: LookKind = Field(default=LookKind.READ, description="`identify`: who it is; `read`: that, and all of its values")
    wait_seconds: float = Field(default=30, ge=0, le=120, description="respond when it has ended, or after this time")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("look", "POST", f"{BASE}/devices/{{id}}/look", "Ask a child or a found device now who it is, or read it once", Look),
        needs=Rights.OPERATE,
        body=LookRequest,
    ),
    ApiOperation(
        *("last_look", "GET", f"{BASE}/devices/{{id}}/look", "The last look at a child or a found device", Look),
        needs=Rights.LOOK,
    ),
)
