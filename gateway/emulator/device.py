"""Define the records of the emulated cloud: a device with everything that Xyte stores about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

Value: TypeAlias = bool | int | float | str
CommandStatus: TypeAlias = Literal["scheduled", "pending", "in_progress", "done", "failed", "aborted"]
"""The states that customers see (section 18)."""
LicenceAction: TypeAlias = Literal["add", "remove", "update"]
LicenceState: TypeAlias = Literal["pending", "inuse", "removed", "error"]
IncidentOrigin: TypeAlias = Literal["device", "customer", "rule"]
OFFLINE_ISSUE = "device_offline"
"""The issue of the incident that the server opens for a device that is offline; the real one is not documented."""
Kinship: TypeAlias = Literal["stand-alone", "controlled", "smart"]
"""The kind of registration: by the device without a parent, by its parent, or by the device under a parent (section 4)."""


@dataclass(slots=True, kw_only=True)
class QueuedCommand:
    """One command, from queueing to its outcome (section 6)."""

    id: int | str
    name: str
    parameters: dict[str, object] | None
    file_id: str | None = None
    """The file of the model whose link, version, checksum and signature are among its parameters (section 6.4)."""
    queued_at: datetime
    starts_at: datetime | None = None
    """Until then it is scheduled and not offered."""
    expires_at: datetime | None = None
    """When the server itself marks it as failed; `None` means never."""
    tunnel: dict[str, object] | None = None
    """One-session credentials of a tunnel command (section 6.5)."""
    status: CommandStatus = "pending"
    message: str | None = None
    """The message of the device, or of the server after a timeout."""
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """True until it is done, failed or aborted."""
        return self.ended_at is None

    def settle(self, now: datetime) -> None:
        """Let a scheduled command become pending, and one that is past its timeout fail."""
        if self.status == "scheduled" and self.starts_at is not None and self.starts_at <= now:
            self.status = "pending"
        if self.is_open and self.expires_at is not None and self.expires_at <= now:
            self.status, self.message, self.ended_at = "failed", "timed out", self.expires_at


@dataclass(slots=True, kw_only=True)
class DeviceConfig:
    """The device's configuration and its version counter (section 7); version 0 means never configured."""

    version: int = 0
    values: dict[str, object] = field(default_factory=dict)
    last_updated: datetime
    applied_version: int | None = None
    """The version that the device confirmed with Update Device."""

    def write(self, values: Mapping[str, object], now: datetime) -> int:
        """Replace the configuration, and return its new version."""
        self.values, self.last_updated = dict(values), now
        self.version += 1
        return self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The space in which a claimed device is (section 8.5)."""

    name: str = "Unsorted"
    location_name: str | None = None
    latitude: float = 0.0
    longitude: float = 0.0
    utc_offset_minutes: int = 0
    temperature_units: str = "celsius"
    maintenance: bool = False


@dataclass(slots=True, kw_only=True)
class Licence:
    """One licence and its pending change, which the device has to carry out (section 9)."""

    id: str
    data: str
    signature: str
    action: LicenceAction = "add"
    state: LicenceState = "pending"
    error: str | None = None
    expires_at: str | None = None

    def is_expired(self, now: datetime) -> bool:
        """Return whether its time is over; the server reports no such change, the device disables it by itself (section 18)."""
        try:
            end = datetime.fromisoformat(self.expires_at or "")
        except ValueError:
            return False
        return (end if end.tzinfo else end.replace(tzinfo=UTC)) <= now


@dataclass(slots=True, kw_only=True)
class Incident:
    """One incident, opened by the device, a customer or a rule (section 11)."""

    id: str
    title: str
    issue: str
    priority: int
    description: str | None
    origin: IncidentOrigin
    created_at: datetime
    updated_at: datetime
    is_open: bool = True

    def close(self, now: datetime) -> None:
        """Close it."""
        self.is_open, self.updated_at = False, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event (section 11.5)."""

    name: str
    category: str
    at: datetime
    keys: dict[str, int | str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Device:
    """One registered device, child or not."""

    id: str
    access_key: str = field(repr=False)
    model_id: str
    kinship: Kinship
    parent_id: str | None = None
    sn: str | None = None
    mac: str | None = None
    cloud_id: str | None = None
    name: str | None = None
    sub_model: str | None = None
    firmware_version: str
    host_address: str | None = None
    details: dict[str, object] = field(default_factory=dict)
    registered_at: datetime
    last_seen: datetime | None = None
    """The last call of this device; `None` before the first."""
    is_offline: bool = False
    """It was not heard for longer than its model's threshold (section 18)."""
    state: dict[str, Value] = field(default_factory=dict)
    """The merged telemetry with the key `status`; empty before the first message."""
    claimed: str | None = None
    """The customer's name; `None` while it is unclaimed."""
    space: Space | None = None
    space_changes: int = 0
    """The number of assignments to a space, over all claims."""
    applied_space_version: int | None = None
    info_changes: int = 0
    config: DeviceConfig
    commands: list[QueuedCommand] = field(default_factory=list)
    """Oldest first; ended ones stay as history."""
    licences: list[Licence] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    """The properties set by Set Cloud Settings (section 8.4)."""
    awaits_replacement: bool = False
    """The customer pressed Replace Device: a registration with the same ids takes this device over."""
    spurious_refusals: int = 0

    @property
    def space_data_version(self) -> int:
        """0 while unclaimed, above it and rising when claimed (section 3.4)."""
        return self.space_changes if self.claimed else 0

    def hear(self, now: datetime) -> None:
        """Record a call of this device; the incident that the server opened for its silence closes by itself (section 12)."""
        self.last_seen = now
        if self.is_offline:
            self.is_offline = False
            for incident in self.incidents:
                if incident.is_open and incident.origin == "rule" and incident.issue == OFFLINE_ISSUE:
                    incident.close(now)

    def assign(self, customer: str, space: Space) -> None:
        """Assign the device to a customer and a space."""
        self.claimed, self.space = customer, space
        self.space_changes += 1
        self.info_changes += 1

    def release(self) -> None:
        """Remove customer and space."""
        self.claimed = self.space = None
        self.info_changes += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file that the manufacturer published for a model (section 10.3)."""

    id: str
    model_id: str
    name: str
    url: str | None
    """`None` for a file that the emulator's file server has."""
    version: str
    file_type: str = "firmware"
    desc: str | None = None
    public_notes: str | None = None
    checksum: str | None = None
    signature: str | None = None
    created_at: datetime


def iso(moment: datetime) -> str:
    """Return a moment as Xyte writes it: `2025-02-03T04:05:06.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
