"""Define the operation that shows the last frames of a device. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.status.device_actions import Frames
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights

OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("frames", "GET", f"{BASE}/devices/{{id}}/frames", "The last frames of a child or a found device", Frames),
        needs=Rights.OPERATE,
    ),
)
