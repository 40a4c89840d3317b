"""Define the JSON body of each control action. Unknown fields are errors, so that typing mistakes show. Pure."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gateway.emulator.device import IncidentOrigin, LicenceAction, Space
from gateway.emulator.faults import KINDS


def _from_base64(text: object) -> bytes | None:
    """Return the bytes of a text in Base64 (RFC 4648)."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("must be a text in Base64")  # noqa: TRY004 - pydantic reports only this one
    return base64.b64decode(text, validate=True)


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError("must be one of the kinds that GET faults lists")
    return kind


NonEmptyText = Annotated[str, Field(min_length=1)]


class ControlRequest(BaseModel):
    """The JSON body of one control action."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class QueueCommandRequest(ControlRequest):
    """Queue a command."""

    name: NonEmptyText
    parameters: dict[str, object] | None = Field(default_factory=dict)
    timeout_seconds: float | None = Field(default=None, gt=0, le=31_536_000, allow_inf_nan=False)
    """After this time the server itself marks it as failed."""
    starts_in_seconds: float | None = Field(default=None, gt=0, le=31_536_000, allow_inf_nan=False)
    """Until then it is scheduled: customers see it, the device does not."""
    file_id: NonEmptyText | None = None
    """A published file, whose link, version, checksum and signature are added to the parameters."""
    tunnel: dict[str, object] | None = None


class ClaimRequest(ControlRequest):
    """Claim a device with its children."""

    customer: NonEmptyText = "Example Ltd"
    space: Space | None = None


class OfferLicenceRequest(ControlRequest):
    """Offer a licence change; the id of a known licence changes that one."""

    data: str = ""
    action: LicenceAction = "add"
    id: NonEmptyText | None = None
    signature: str | None = None
    """`None` lets the emulator sign the data."""
    expires_at: str | None = None


class OpenIncidentRequest(ControlRequest):
    """Open an incident as a customer or by a rule."""

    title: NonEmptyText
    issue: NonEmptyText | None = None
    priority: int = Field(default=3, ge=1, le=5)
    description: str | None = None
    origin: IncidentOrigin = "customer"


class PublishFileRequest(ControlRequest):
    """Publish a file for a model: with a link to it, or with its content, which the file server then has."""

    model_id: NonEmptyText
    name: NonEmptyText
    version: NonEmptyText
    url: NonEmptyText | None = None
    content_base64: Annotated[bytes | None, BeforeValidator(_from_base64)] = None
    file_type: NonEmptyText = "firmware"
    desc: str | None = None
    public_notes: str | None = None
    checksum: str | None = None
    """`None` is the SHA-256 of the content; another text makes it wrong."""
    signature: str | None = None


class OfflineThresholdRequest(ControlRequest):
    """Set the offline threshold of one model."""

    minutes: float | None = Field(ge=0, allow_inf_nan=False)
    """0 is never; `None` takes the quirk `offline_minutes` again."""


class AddFaultRequest(ControlRequest):
    """Let calls fail."""

    kind: Annotated[str, AfterValidator(_known_kind)]
    call: str | None = None
    device: str | None = None
    times: int | None = Field(default=1, ge=1)
    retry_after: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=5.0, ge=0, le=3600, allow_inf_nan=False)
