"""Define the records in the hub's responses about one device: configuration, info, space, licences, incidents, files. Pure.

Times stay as the hub wrote them. Section numbers are those of the device API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfiguration:
    """A device's configuration in the cloud (section 7.1)."""

    version: int = 0
    """Increases with each change; 0 for a device that was never configured."""
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
    """The customer's name; `None` while it is unclaimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The space of a device (section 8.5)."""

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
    """The change to make to a licence (section 9.1)."""

    ADD = "add"
    REMOVE = "remove"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """A licence and the change to make to it (section 9.1)."""

    id: int | str
    """Opaque: sent back unchanged."""
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
    """A word, where Open Incident takes a number."""
    title: str | None = None
    description: str | None = None
    issue: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of the device's model, such as firmware (section 10.3). Never send the key to the host in its URL (section 6.4)."""

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
    """The id with which more of a dump can be appended (section 10.1)."""

    id: str
