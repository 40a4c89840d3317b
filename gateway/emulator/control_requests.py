"""What the control surface takes: a form for each of its actions. Unknown fields are errors, so that a typing slip shows."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.emulator.device import IncidentOrigin, LicenceAction, Space
from gateway.emulator.faults import FaultKind

Words = Annotated[str, Field(min_length=1)]


class Asked(BaseModel):
    """The JSON object of one action."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CommandAsked(Asked):
    """Queue a command."""

    name: Words
    parameters: dict[str, object] | None = Field(default_factory=dict)
    timeout_seconds: float | None = Field(default=None, gt=0, le=31_536_000, allow_inf_nan=False)
    """After so long the server itself marks it failed."""
    tunnel: dict[str, object] | None = None


class ClaimAsked(Asked):
    """Claim a device with its children."""

    customer: Words = "Example Ltd"
    space: Space | None = None


class LicenceAsked(Asked):
    """Offer a licence change; with the id of a known licence a change of that one."""

    data: str = ""
    action: LicenceAction = "add"
    id: Words | None = None
    signature: str = ""
    expires_at: str | None = None


class IncidentAsked(Asked):
    """Open an incident as a customer or by a rule."""

    title: Words
    issue: Words | None = None
    priority: int = Field(default=3, ge=1, le=5)
    description: str | None = None
    origin: IncidentOrigin = "customer"


class FileAsked(Asked):
    """Publish a file for a model."""

    model_id: Words
    name: Words
    url: Words
    version: Words
    file_type: Words = "firmware"
    desc: str | None = None
    public_notes: str | None = None


class FaultAsked(Asked):
    """Let calls fail."""

    kind: FaultKind
    call: str | None = None
    device: str | None = None
    times: int | None = Field(default=1, ge=1)
    retry_after: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=5.0, ge=0, le=3600, allow_inf_nan=False)
