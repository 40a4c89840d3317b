"""Define a licence of the cloud and the change to make to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import SecretStr


class LicenceChange(StrEnum):
    """The change to make to a licence on its device (device API reference, sections 9 and 18)."""

    INSTALL = "install"
    RENEW = "renew"
    """It is in use, and gets a new payload or a new end."""
    REMOVE = "remove"
    EXPIRE = "expire"
    """Its time is over: the device must stop using it. No person asked for this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """One licence for a child or for the gateway itself."""

    id: str
    """For people and for the device; unique within the device."""
    change: LicenceChange
    payload: SecretStr | None
    """What the device gets, as the manufacturer wrote it."""
    signature: str | None
    """Of the payload, by the manufacturer; the device or the profile's hook verifies it."""
    expires_at: datetime | None
    """Aware; `None` for a licence without an end."""
