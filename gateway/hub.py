"""Define the contract towards the cloud: the calls that the gateway makes and the records that they use. Pure.

`gateway.cloud` implements it over HTTP, `gateway.testing` with a fake in memory. Section numbers are those of the device API
reference that the project was built from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from pydantic import SecretStr

from gateway.hub_records import DeviceConfiguration, DeviceInfo, DumpReceipt, Incident, License, ModelFile, Space
from gateway.models import Status, Value

CHILDREN_PER_CALL = 100
"""The most children in one Send Child Telemetries call (section 5.3)."""

MESSAGE_BYTES = 128 * 1024
"""The most bytes in one telemetry body (section 14)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The id, key and addresses of a device. Stored before their first use: the key cannot be fetched again (section 3.1)."""

    device_id: str
    access_key: SecretStr
    hub_url: str
    """Base URL for all later calls, with scheme, without a trailing slash."""
    hub_url_static_cert: str | None = None
    mqtt_hub_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRegistration:
    """The data that Register Device sends about the gateway itself (section 3.1)."""

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
    """The data that Register Child Device sends about one child (section 4.1)."""

    model_id: str
    firmware_version: str
    serial_number: str | None = None
    mac: str | None = None
    name: str | None = None
    sub_model: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpdate:
    """The changed properties of a device; `None` leaves a property unchanged (section 8.2)."""

    name: str | None = None
    firmware_version: str | None = None
    sub_model: str | None = None
    details: Mapping[str, object] | None = None
    config_version: int | None = None
    space_version: int | None = None
    parent_id: str | None = None
    host_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedChild:
    """One entry of Get Child Devices (section 4.2). It has no key: a lost key cannot be fetched again."""

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
    """Aware; with `None` the server uses its own time."""
    override: bool = False
    """Replace the whole state instead of merging, as the first message after a start does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryResponse:
    """The flags in the response to an accepted message (section 5.1). Every missing flag has a harmless default."""

    config_version: int = 0
    command: bool = False
    new_licenses: bool = False
    info_version: int = 0
    latest_firmware_version: str | None = None
    latest_firmware_file_id: str | None = None
    space_data_version: int = 0


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """One device's entry of a bulk call was rejected, with the hub's error text."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCommand:
    """The next command for a device (section 6.1)."""

    id: int | str
    """Opaque: sent back unchanged."""
    name: str
    parameters: Mapping[str, object]
    in_progress: bool
    device_id: str | None
    """The device of the command; only from Model API version 1.0.7 on."""
    opens_tunnel: bool = False
    """It asks for remote access by a tunnel, with credentials that are not kept (section 6.5)."""


@dataclass(frozen=True, slots=True)
class CommandWaiting:
    """A command waits for this device."""

    device_id: str


@dataclass(frozen=True, slots=True)
class ConfigurationChanged:
    """The hub has a newer configuration for this device."""

    device_id: str
    version: int


@dataclass(frozen=True, slots=True)
class LicencesWaiting:
    """A licence change waits for this device."""

    device_id: str


@dataclass(frozen=True, slots=True)
class InfoChanged:
    """The hub's record of this device was changed."""

    device_id: str
    version: int


@dataclass(frozen=True, slots=True)
class SpaceChanged:
    """The device was claimed or moved, or its space was changed; version 0 means unclaimed (section 3.4)."""

    device_id: str
    version: int


@dataclass(frozen=True, slots=True)
class FirmwareOffered:
    """The model has a newer firmware file than the reported version."""

    device_id: str
    version: str
    file_id: str | None


HubEvent: TypeAlias = CommandWaiting | ConfigurationChanged | LicencesWaiting | InfoChanged | SpaceChanged | FirmwareOffered
"""An event made from response flags: sent on each change, `CommandWaiting` and `LicencesWaiting` while the flag is set."""


class FileResponse(Protocol):
    """The response of a server that was asked for a file, without its content so far."""

    status: int
    location: str | None
    """Where a redirect points to; it is not followed here."""
    length: int | None
    """The size of the file in bytes, where the server tells it."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the content, piece by piece."""


class FileServers(Protocol):
    """The way to servers that hold files, which get no key (section 6.4)."""

    def open_file(self, url: str) -> AbstractAsyncContextManager[FileResponse]:
        """Ask for a file; raise `HubUnreachable` without a usable response, also while it is received."""


class Hub(Protocol):
    """The calls that the gateway makes to the cloud.

    Every method raises only errors of the `HubError` tree: `HubUnreachable` without a usable response (`maybe_done` tells whether
    the hub may have carried out the call), `HubBusy` for a 429, `HubRejected` when the hub refused the call, `HubUnauthorised`
    when it did not accept the key.
    """

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """Register the gateway itself (section 3.1)."""

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """Register one child. Not idempotent: a second call makes a second device (section 4.1)."""

    async def get_children(self, parent: Credentials) -> Sequence[ListedChild]:
        """Return the parent's children as the cloud knows them (section 4.2)."""

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryResponse:
        """Send one device's telemetry with its own key (section 5.1)."""

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> Mapping[str, TelemetryResponse | RejectedEntry]:
        """Send one message for each of at most `CHILDREN_PER_CALL` children, by device id, with the parent's key (section 5.3).

        A child missing from the response is neither accepted nor rejected.
        """

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """Return the next command of this device (section 6.1)."""

    async def get_commands_with_children(self, parent: Credentials) -> Sequence[WaitingCommand]:
        """Return the next command of the parent and of each of its children, with the parent's key (section 6.2)."""

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """Report a command as `in_progress`, `done` or `failed` (section 6.3)."""

    async def update_device(self, device: Credentials, update: DeviceUpdate) -> None:
        """Send the changed properties of a device; at most ten calls an hour for a device (section 8.2)."""

    async def get_config(self, device: Credentials) -> DeviceConfiguration:
        """Return the device's configuration in the cloud (section 7.1)."""

    async def set_config(self, device: Credentials, config: Mapping[str, object]) -> int | None:
        """Send a configuration that was changed on the device; return its new version if the hub sends it (section 7.2)."""

    async def get_device_info(self, device: Credentials) -> DeviceInfo:
        """Return the cloud's record of the device (section 8.1)."""

    async def delete_device(self, device: Credentials) -> None:
        """Delete the device in the cloud; one that is already deleted counts as deleted (sections 8.3 and 17.24)."""

    async def set_cloud_settings(self, device: Credentials, setting: str, value: bool | str) -> None:  # noqa: FBT001  # the value is the setting
        """Set one cloud setting of the device (section 8.4)."""

    async def get_space_info(self, device: Credentials) -> Space:
        """Return the space of the device; 422 while it is unclaimed (section 8.5)."""

    async def space_move(self, device: Credentials, target: Literal["follow_parent", "unsorted"]) -> Space:
        """Move a claimed device and return its new space (section 8.6)."""

    async def get_license(self, device: Credentials) -> License | None:
        """Return the next licence change, if any (section 9.1)."""

    async def get_licenses(self, device: Credentials) -> Sequence[License]:
        """Return all pending licence changes; the older form (section 9.2)."""

    async def update_license(
        self,
        device: Credentials,
        license_id: int | str,
        state: Literal["inuse", "removed", "error"],
        error: str | None = None,
    ) -> None:
        """Report the result of a licence change, with a text for the operator when it failed (section 9.3)."""

    async def send_dump(self, device: Credentials, mime_type: str, filename: str, dump: bytes) -> DumpReceipt:
        """Send a file to the cloud (section 10.1)."""

    async def append_dump(self, device: Credentials, dump_id: str, mime_type: str, dump: bytes) -> int | None:
        """Append to a dump and return its whole length in bytes if the hub sends it (section 10.2)."""

    async def get_files(self, device: Credentials) -> Sequence[ModelFile]:
        """Return the files of the device's model (section 10.3)."""

    async def get_file(self, device: Credentials, file_id: str) -> ModelFile:
        """Return one file of the device's model; a missing one is a 400 (section 10.3)."""

    async def open_incident(
        self,
        device: Credentials,
        title: str,
        *,
        description: str | None = None,
        priority: int | None = None,
        issue: str | None = None,
    ) -> str:
        """Open an incident, priority 1 (critical) to 5, and return its id; one is open per `issue` at most (section 11)."""

    async def get_incidents(self, device: Credentials) -> Sequence[Incident]:
        """Return the open incidents of the device (section 11)."""

    async def close_incident(self, device: Credentials, incident_id: str) -> None:
        """Close one incident (section 11)."""

    async def close_incidents(self, device: Credentials) -> None:
        """Close all incidents that the device opened, as after a start (section 11)."""

    async def add_event(
        self,
        device: Credentials,
        name: str,
        category: str,
        *,
        integers: tuple[int, ...] = (),
        strings: tuple[str, ...] = (),
        at: datetime | None = None,
    ) -> None:
        """Add an event, with at most two integers and two strings; at most 100 a day for a device (section 11.5)."""
