"""The contract towards the cloud: what the gateway asks of a hub, in the gateway's own nouns.

`gateway.cloud` fulfils it over HTTP, `gateway.testing` with a fake that keeps everything in memory. Section numbers are those of
the device API reference that the project was built from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from pydantic import SecretStr

from gateway.models import Status, Value

CHILDREN_PER_CALL = 100
"""At most so many children in one Send Child Telemetries call (section 5.3)."""

MESSAGE_BYTES = 128 * 1024
"""At most so many bytes in one telemetry body (section 14)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a device needs to speak for itself. Stored before its first use: the key cannot be fetched again (section 3.1)."""

    device_id: str
    access_key: SecretStr
    hub_url: str
    """Base URL for all later calls, with scheme, without a trailing slash."""
    hub_url_static_cert: str | None = None
    mqtt_hub_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRegistration:
    """What Register Device tells of the gateway itself (section 3.1)."""

    hardware_key: SecretStr
    serial_number: str
    firmware_version: str
    mac: str | None = None
    cloud_id: str | None = None
    name: str | None = None
    sub_model: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRegistration:
    """What Register Child Device tells of one child (section 4.1)."""

    model_id: str
    firmware_version: str
    serial_number: str | None = None
    mac: str | None = None
    name: str | None = None
    sub_model: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedChild:
    """One entry of Get Child Devices (section 4.2). There is no key in it: a lost one cannot be fetched again."""

    device_id: str
    serial_number: str | None
    name: str | None
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryMessage:
    """One device's telemetry for one moment (section 5.1)."""

    status: Status
    values: Mapping[str, Value]
    at: datetime | None = None
    """Aware; `None` lets the server take its own time."""
    override: bool = False
    """Replace the whole state instead of merging: the first message after a start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryAnswer:
    """The flags with which the hub accepts a message (section 5.1). Every missing one has its harmless default."""

    config_version: int = 0
    command: bool = False
    new_licenses: bool = False
    info_version: int = 0
    latest_firmware_version: str | None = None
    latest_firmware_file_id: str | None = None
    space_data_version: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The hub's words for not accepting one child's entry of a bulk call."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCommand:
    """The command that the hub hands out for a device (section 6.1)."""

    id: int | str
    """Opaque: given back as it came."""
    name: str
    parameters: Mapping[str, object]
    in_progress: bool
    device_id: str | None
    """Whose it is; only from Model API version 1.0.7 on."""


@dataclass(frozen=True, slots=True)
class CommandWaits:
    """A command waits for this device."""

    device_id: str


@dataclass(frozen=True, slots=True)
class ConfigurationChanged:
    """The hub holds another configuration for this device than it did before."""

    device_id: str
    version: int


@dataclass(frozen=True, slots=True)
class LicencesWait:
    """A licence change waits for this device."""

    device_id: str


@dataclass(frozen=True, slots=True)
class InfoChanged:
    """The hub's record of this device was changed."""

    device_id: str
    version: int


@dataclass(frozen=True, slots=True)
class SpaceChanged:
    """The device was claimed, moved or its space was changed; version 0 means unclaimed (section 3.4)."""

    device_id: str
    version: int


@dataclass(frozen=True, slots=True)
class FirmwareOffered:
    """The model has a newer firmware file than the device reported."""

    device_id: str
    version: str
    file_id: str | None


HubEvent: TypeAlias = CommandWaits | ConfigurationChanged | LicencesWait | InfoChanged | SpaceChanged | FirmwareOffered
"""What the flags in the hub's answers tell; each is told when it changes, `CommandWaits` and `LicencesWait` while they last."""


class Hub(Protocol):
    """What the gateway asks of the cloud.

    Every method raises only errors of the `HubError` tree: `HubUnreachable` when there was no usable answer (`maybe_done` says
    whether the hub may have carried the call out), `HubBusy` when it wants fewer calls, `HubRejected` when it refused,
    `HubUnauthorised` when it did not accept the key.
    """

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """Register the gateway itself (section 3.1)."""

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """Register one child. Not idempotent: a second call makes a second device (section 4.1)."""

    async def get_children(self, parent: Credentials) -> Sequence[ListedChild]:
        """Return the parent's children as the cloud knows them (section 4.2)."""

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryAnswer:
        """Send one device's telemetry with its own key (section 5.1)."""

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> Mapping[str, TelemetryAnswer | Refusal]:
        """Send one message for each of at most `CHILDREN_PER_CALL` children, by device id, with the parent's key (section 5.3).

        A child missing from the answer is neither accepted nor refused.
        """

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """Return the next command of this device (section 6.1)."""

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """Report a command as `in_progress`, `done` or `failed` (section 6.3)."""

    async def update_device(
        self,
        device: Credentials,
        *,
        name: str | None = None,
        firmware_version: str | None = None,
        sub_model: str | None = None,
        details: Mapping[str, object] | None = None,
        config_version: int | None = None,
        space_version: int | None = None,
        parent_id: str | None = None,
        host_address: str | None = None,
    ) -> None:
        """Tell what changed; at most ten calls an hour for a device (section 8.2)."""
