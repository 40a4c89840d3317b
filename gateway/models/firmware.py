"""Define firmware for a device: the command that installs it, the file, and how far the installation is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.models.commands import CommandSpec


class FirmwareParameters(BaseModel):
    """The parameters of `update_firmware` (device API reference, sections 6.1 and 6.4)."""

    model_config = ConfigDict(extra="allow", frozen=True)  # newer clouds may say more about the file

    url: str | None = Field(
        default=None,
        description="link to the file; the file that the cloud offers, when left out",
    )
    version: str | None = Field(
        default=None, pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$", description="version of the firmware, as 2.5.0"
    )
    checksum: str | None = Field(default=None, max_length=200, description="checksum of the file: SHA-256 or MD5, for example")
    signature: str | None = Field(default=None, max_length=4096, description="signature of the file, for who installs it")


UPDATE_FIRMWARE = CommandSpec(
    name="update_firmware",
    title="Update the firmware",
    description="fetches a firmware file and installs it",
    parameters=FirmwareParameters,
    restarts_device=True,
    is_dangerous=True,
)
"""The command that installs firmware. An adapter lists it among the commands of a child that takes firmware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareFile:
    """A firmware file on this machine, whole and verified."""

    path: Path
    size: int
    """In bytes."""
    sha256: str
    """Hexadecimal."""
    version: str | None = None
    """The version that the cloud calls it."""
    signature: str | None = None
    """Of the file, as the cloud has sent it; not verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareProgress:
    """How far an installation is after one step."""

    position: int
    """From here it can be resumed after a restart of the gateway: what the device has got so far, in bytes or blocks."""
    text: str
    """For the operator: `block 12 of 400`."""
