"""Define the operation that tells how the gateway is claimed, and its body. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights


class ClaimState(StatusModel):
    """Whether a customer has claimed the gateway, and how one does."""

    is_registered: bool
    is_claimed: bool | None = Field(description="null until the hub has said so")
    text: Text | None = Field(description="what the QR code to claim it contains; null once it is claimed, or without one")
    url: Text | None = Field(description="where it is claimed, as configured; null once it is claimed, or without one")
    serial_number: Text | None = Field(description="what the portal asks for where there is no QR code")
    picture: str | None = Field(description="path of the QR code as an SVG; null where there is none")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(*("claim", "GET", f"{BASE}/claim", "Whether and how the gateway is claimed", ClaimState), needs=Rights.LOOK),
)
