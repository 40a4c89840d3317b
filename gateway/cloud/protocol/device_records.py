"""What the hub answers, in nouns: those that `gateway.hub` does not have. Moments stay as the hub wrote them. Nothing here waits.

Section numbers are those of the device API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A device's configuration in the cloud (section 7.1)."""

    version: int = 0
    """Counts up with each change; 0 for a device that was never configured."""
    values: Mapping[str, object] = field(default_factory=dict)
    last_updated: str | None = None
    name: str | None = None
    """The device's display name."""
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """The cloud's record of a device (section 8.1)."""

    device_id: str
    name: str | None = None
    serial_number: str | None = None
    mac: str | None = None
    vendor: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    config_version: int = 0
    state: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    last_seen: str | None = None
    claimed_by: str | None = None
    """The customer's name; `None` while nobody has claimed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Where a device is (section 8.5)."""

    name: str | None = None
    location_name: str | None = None
    latitude: float | None = None
    """Degrees north."""
    longitude: float | None = None
    """Degrees east."""
    utc_offset_minutes: int | None = None
    temperature_units: str | None = None
    maintenance: bool = False
    local_time: str | None = None
    device_id: str | None = None


class LicenseAction(StrEnum):
    """What is to be done with a licence (section 9.1)."""

    ADD = "add"
    REMOVE = "remove"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """A licence, and what is to be done with it (section 9.1)."""

    id: int | str
    """Opaque: given back as it came."""
    payload: str | None = None
    signature: str | None = None
    """Of the payload; checked with the partner's public key."""
    action: LicenseAction | None = None
    expires_at: str | None = None
    current_time: str | None = None
    """The server's clock, for a device without one."""
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An open incident of a device (section 11)."""

    id: str
    status: str | None = None
    priority: str | None = None
    """In words, where Open Incident takes a number."""
    title: str | None = None
    description: str | None = None
    issue: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of the device's model, firmware for example (section 10.3). The key is not for the host in its URL (section 6.4)."""

    id: str
    name: str | None = None
    url: str | None = None
    description: str | None = None
    file_type: str | None = None
    version: str | None = None
    created_at: str | None = None
    public_notes: str | None = None
    checksum: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class DumpReceipt:
    """Where more of a dump can be appended (section 10.1)."""

    id: str
