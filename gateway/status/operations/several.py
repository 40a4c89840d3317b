"""Define the operation on several devices at once, and its bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights
from gateway.status.several import MOST_AT_ONCE, SeveralAction


class SeveralRequest(StatusModel):
    """What is to be done with which devices."""

    action: SeveralAction
    ids: tuple[str, ...] = Field(min_length=1, max_length=MOST_AT_ONCE, description="the ids of children or found devices")
    model_id: str | None = Field(
        default=None, description="for `admit`: the Xyte model of those devices whose family has none in the configuration"
    )
    confirmed: bool = Field(default=False, description="a person has confirmed it; required for `retire` and `retire_here`")


class SeveralOutcome(StatusModel):
    """What became of one device."""

    id: str
    name: Text | None
    error: Text | None = Field(description="why it failed; null when it succeeded, or has begun")


class SeveralOutcomes(StatusModel):
    """What became of each device."""

    results: tuple[SeveralOutcome, ...]


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *(
            "several",
            "POST",
            f"{BASE}/several",
            "Do something with several devices, each with an outcome of its own; retiring needs a token that may administer",
            SeveralOutcomes,
        ),
        needs=Rights.OPERATE,
        body=SeveralRequest,
    ),
)
