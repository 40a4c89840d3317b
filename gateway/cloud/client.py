"""Every call of the device API: its method, its path, whose key opens it and what comes back.

One method for each call of the device API reference, section 2, named as there. Nothing is retried and nothing is paced here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from pydantic import SecretStr

from gateway.cloud.http import OnCall, Wire, tls_context
from gateway.cloud.protocol.device_records import Configuration, DeviceInfo, DumpReceipt, Incident, License, ModelFile, Space
from gateway.cloud.protocol.messages import (
    DEVICE_INFO,
    DUMP_RECEIPT,
    INCIDENT,
    LISTED_CHILD,
    MODEL_FILE,
    SPACE,
    child_body,
    command_body,
    device_body,
    event_body,
    incident_body,
    license_body,
    mass_telemetry_body,
    nothing,
    read_command,
    read_commands,
    read_config_version,
    read_configuration,
    read_credentials,
    read_dump_length,
    read_incident_id,
    read_license,
    read_licenses,
    read_registrations,
    read_telemetry_answer,
    read_telemetry_answers,
    telemetries_body,
    telemetry_body,
    update_body,
)
from gateway.cloud.protocol.response_errors import JSON, Call, masked
from gateway.cloud.protocol.trusted_urls import UntrustedAddress, path_of, validated_hub_url, validated_url
from gateway.cloud.protocol.values import json_bytes
from gateway.errors import HubRejected, HubUnreachable, SettingsError, SettingsProblem
from gateway.hub import (
    CHILDREN_PER_CALL,
    ChildRegistration,
    Credentials,
    GatewayRegistration,
    Hub,
    ListedChild,
    Refusal,
    TelemetryAnswer,
    TelemetryMessage,
    WaitingCommand,
)

T = TypeVar("T")

DEVICES_PER_REGISTRATION = 25
"""At most so many devices in one Bulk Register Devices call (section 3.2)."""

GONE = frozenset({401, 404})
"""What Delete Device is answered with when there is nothing to delete any more (section 17.24)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudAccess:
    """How the cloud is reached."""

    entry_url: str = "https://entry.xyte.io"
    """The provisioning server (section 1)."""
    allow_plain_http: bool = False
    """Servers may be named with `http://`: for the emulator and for laboratories, since it shows the keys to the network."""
    ca_file: Path | None = None
    """Authorities to trust in addition to the system's, in PEM form."""
    use_static_cert: bool = False
    """Call the hub by its `hub_url_static_cert` (section 1.1)."""
    timeout_seconds: float = 10.0
    """For one call, from connecting to the last byte of the answer."""
    hub_hosts: tuple[str, ...] = ()
    """The hosts that a hub may have, each exact or as `*.suffix`; `validated_hub_url` says what holds when there are none."""


class HttpHub:
    """The cloud over HTTP: fulfils `gateway.hub.Hub`, and has the rest of the device API as well.

    Every call ends within `timeout_seconds` and raises only errors of the `HubError` tree, and `ValueError` where it says so. A
    hub address that no key may be sent to is `HubUnreachable` at each use, with nothing sent, and not at registration: so the
    credentials are kept until somebody puts it right.

    Raises:
        SettingsError: the entry server's address or the CA file cannot be used.
    """

    def __init__(self, access: CloudAccess, *, on_call: OnCall | None = None) -> None:
        self._access = access
        self._entry_url = _entry_url(access)
        self._wire = Wire(tls=tls_context(access.ca_file), timeout_seconds=access.timeout_seconds, on_call=on_call)

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._wire.__aexit__(*exc)

    # sections 3 and 4: registration -----------------------------------------------------------------------------------

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """Register a device that stands alone: the gateway itself (section 3.1)."""
        call = self._at_entry("Register Device", body=device_body(gateway), secrets=(gateway.hardware_key,))
        return await self._wire.ask(call, read_credentials)

    async def bulk_register_devices(self, devices: Sequence[GatewayRegistration]) -> list[Credentials | Refusal]:
        """Register many devices and return how each fared, in the order asked (section 3.2).

        Raises:
            ValueError: there are more than `DEVICES_PER_REGISTRATION`.
        """
        _check_number(devices, DEVICES_PER_REGISTRATION)
        keys = tuple(device.hardware_key for device in devices)
        bodies = [device_body(device) for device in devices]
        call = self._at_entry("Bulk Register Devices", "bulk_create", body=bodies, secrets=keys, has_entries=True)
        return await self._wire.ask(call, partial(read_registrations, secrets=keys))

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """Register one child. Not idempotent: a second call makes a second device (section 4.1)."""
        call = self._at_entry(
            "Register Child Device", parent.device_id, "children", body=child_body(child), key=parent.access_key
        )
        return await self._wire.ask(call, partial(read_credentials, parent=parent))

    async def get_children(self, parent: Credentials) -> list[ListedChild]:
        """Return the parent's children as the cloud knows them (section 4.2)."""
        return await self._ask("Get Child Devices", "GET", parent, "children", read=LISTED_CHILD.read_list)

    # section 5: telemetry ---------------------------------------------------------------------------------------------

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryAnswer:
        """Send one device's telemetry with its own key (section 5.1)."""
        return await self._ask(
            "Send Telemetry", "POST", device, "telemetry", body=telemetry_body(message), read=read_telemetry_answer
        )

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> dict[str, TelemetryAnswer | Refusal]:
        """Send one message for each child, by device id, with the parent's key (section 5.3).

        A child missing from the answer is neither accepted nor refused.

        Raises:
            ValueError: there are more than `CHILDREN_PER_CALL`.
        """
        _check_number(messages, CHILDREN_PER_CALL)
        body = telemetries_body(messages)
        return await self._ask(
            "Send Child Telemetries",
            "POST",
            parent,
            "children",
            "telemetries",
            body=body,
            has_entries=True,
            read=partial(read_telemetry_answers, asked=messages.keys(), secrets=(parent.access_key,)),
        )

    async def send_mass_telemetry(
        self, messages: Sequence[tuple[Credentials, TelemetryMessage]]
    ) -> dict[str, TelemetryAnswer | Refusal]:
        """Send one message for each device, related or not, each with its own key in the body (section 5.4).

        Raises:
            ValueError: there are none, more than `CHILDREN_PER_CALL`, or they do not share one hub.
        """
        _check_number(messages, CHILDREN_PER_CALL)
        devices = [device for device, _ in messages]
        if len({device.hub_url for device in devices}) != 1:
            raise ValueError("the devices of one Send Mass Telemetry call share one hub")
        keys = tuple(device.access_key for device in devices)
        url = self._hub_url("Send Mass Telemetry", devices[0]) + path_of("v1", "devices", "telemetries")
        call = _call("Send Mass Telemetry", "POST", url, body=mass_telemetry_body(messages), secrets=keys, has_entries=True)
        asked = [device.device_id for device in devices]
        return await self._wire.ask(call, partial(read_telemetry_answers, asked=asked, secrets=keys))

    # section 6: commands ----------------------------------------------------------------------------------------------

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """Return the next command of this device, if any (section 6.1)."""
        return await self._ask("Get Command", "GET", device, "command", read=read_command)

    async def get_commands_with_children(self, parent: Credentials) -> list[WaitingCommand]:
        """Return the next command of the parent and of each child; whose each is, from version 1.0.7 on (section 6.2)."""
        return await self._ask("Get Commands with Children", "GET", parent, "command", "pending_commands", read=read_commands)

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """Report a command as `in_progress`, `done` or `failed` (section 6.3)."""
        body = command_body(command_id, status, message)
        await self._ask("Update Command", "POST", device, "command", body=body, read=nothing)

    # section 7: configuration -----------------------------------------------------------------------------------------

    async def get_config(self, device: Credentials) -> Configuration:
        """Return the device's configuration (section 7.1)."""
        return await self._ask("Get Config", "GET", device, "config", read=read_configuration)

    async def set_config(self, device: Credentials, config: Mapping[str, object]) -> int | None:
        """Tell of a configuration changed on the device; return its new version, if the hub says it (section 7.2)."""
        return await self._ask("Set Config", "POST", device, "config", body=config, read=read_config_version)

    # section 8: the device itself -------------------------------------------------------------------------------------

    async def get_device_info(self, device: Credentials) -> DeviceInfo:
        """Return the cloud's record of the device; a wrong key is a plain 400 here (section 8.1)."""
        return await self._ask("Get Device Info", "GET", device, read=DEVICE_INFO.read)

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
        """Tell what changed, and nothing when nothing did; at most ten calls an hour for a device (section 8.2)."""
        body = update_body(
            name=name,
            firmware_version=firmware_version,
            sub_model=sub_model,
            details=details,
            config_version=config_version,
            space_version=space_version,
            parent_id=parent_id,
            host_address=host_address,
        )
        if body:
            await self._ask("Update Device", "PUT", device, body=body, read=nothing)

    async def delete_device(self, device: Credentials) -> None:
        """Delete the device; one that is already gone counts as deleted (sections 8.3 and 17.24)."""
        try:
            await self._ask("Delete Device", "DELETE", device, read=nothing)
        except HubRejected as rejected:
            if rejected.status not in GONE:
                raise

    async def set_cloud_settings(self, device: Credentials, setting: str, value: bool | str) -> None:  # noqa: FBT001  # the value is what is set
        """Set one property of how the cloud treats the device, as `incidents.suspend_creation` (section 8.4)."""
        body = {"property": setting, "value": value}
        await self._ask("Set Cloud Settings", "PUT", device, "cloud_settings", body=body, read=nothing)

    async def get_space_info(self, device: Credentials) -> Space:
        """Return where the device is; 422 while it is unclaimed (section 8.5)."""
        return await self._ask("Get Space Info", "GET", device, "space", read=SPACE.read)

    async def space_move(self, device: Credentials, target: Literal["follow_parent", "unsorted"]) -> Space:
        """Move a claimed device and return its new space (section 8.6)."""
        return await self._ask("Space Move", "PUT", device, "space", "move", body={"target": target}, read=SPACE.read)

    # section 9: licences ----------------------------------------------------------------------------------------------

    async def get_license(self, device: Credentials) -> License | None:
        """Return the next licence change, if any (section 9.1)."""
        return await self._ask("Get License", "GET", device, "license", read=read_license)

    async def get_licenses(self, device: Credentials) -> list[License]:
        """Return all licence changes that wait; the older form (section 9.2)."""
        return await self._ask("Get Licenses", "GET", device, "licenses", read=read_licenses)

    async def update_license(
        self,
        device: Credentials,
        license_id: int | str,
        state: Literal["inuse", "removed", "error"],
        error: str | None = None,
    ) -> None:
        """Report what became of a licence change, with a text for the operator when it failed (section 9.3)."""
        body = license_body(license_id, state, error)
        await self._ask("Update License", "POST", device, "licenses", body=body, read=nothing)

    # section 10: dumps and files --------------------------------------------------------------------------------------

    async def send_dump(self, device: Credentials, mime_type: str, filename: str, dump: bytes) -> DumpReceipt:
        """Send a file to the cloud, `text/plain` for example; empty ones are refused (section 10.1)."""
        return await self._ask(
            "Send Dump", "POST", device, "dumps", mime_type, filename, body=dump, content_type=mime_type, read=DUMP_RECEIPT.read
        )

    async def append_dump(self, device: Credentials, dump_id: str, mime_type: str, dump: bytes) -> int | None:
        """Send more of a dump and return its whole length in bytes, if the hub says it (section 10.2)."""
        return await self._ask(
            "Append Dump", "PUT", device, "dumps", dump_id, body=dump, content_type=mime_type, read=read_dump_length
        )

    async def get_files(self, device: Credentials) -> list[ModelFile]:
        """Return the files of the device's model (section 10.3)."""
        return await self._ask("Get Files", "GET", device, "files", read=MODEL_FILE.read_list)

    async def get_file(self, device: Credentials, file_id: str) -> ModelFile:
        """Return one file of the device's model; a missing one is a 400 (section 10.3)."""
        return await self._ask("Get File", "GET", device, "files", file_id, read=MODEL_FILE.read)

    # section 11: incidents and events ---------------------------------------------------------------------------------

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
        return await self._ask(
            "Open Incident",
            "POST",
            device,
            "incidents",
            body=incident_body(title, description, priority, issue),
            read=read_incident_id,
        )

    async def get_incidents(self, device: Credentials) -> list[Incident]:
        """Return the open incidents of the device (section 11)."""
        return await self._ask("Get Incidents", "GET", device, "incidents", read=INCIDENT.read_list)

    async def close_incident(self, device: Credentials, incident_id: str) -> None:
        """Close one incident (section 11)."""
        await self._ask("Close Incident", "DELETE", device, "incidents", incident_id, read=nothing)

    async def close_incidents(self, device: Credentials) -> None:
        """Close all incidents that the device opened: after a start or a new registration (section 11)."""
        await self._ask("Close Incidents", "DELETE", device, "incidents", read=nothing)

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
        """Tell of an event, with at most two integers and two strings; at most 100 a day for a device (section 11.5).

        Raises:
            ValueError: there are more than two integers or strings, or the moment is naive.
        """
        _check_number(integers, 2)
        _check_number(strings, 2)
        body = event_body(name, category, integers, strings, at)
        await self._ask("Add Event", "POST", device, "events", body=body, read=nothing)

    # where a call goes ------------------------------------------------------------------------------------------------

    def _at_entry(
        self,
        name: str,
        *segments: str,
        body: object,
        key: SecretStr | None = None,
        secrets: tuple[SecretStr, ...] = (),
        has_entries: bool = False,
    ) -> Call:
        url = self._entry_url + path_of("v1", "devices", *segments)
        return _call(name, "POST", url, body=body, key=key, secrets=secrets, has_entries=has_entries)

    async def _ask(
        self,
        name: str,
        method: str,
        device: Credentials,
        *segments: str,
        read: Callable[[object], T],
        body: object = None,
        content_type: str = JSON,
        has_entries: bool = False,
    ) -> T:
        """Carry out a call that the device makes at its hub with its own key, below its own path."""
        url = self._hub_url(name, device) + path_of("v1", "devices", device.device_id, *segments)
        call = _call(name, method, url, body=body, key=device.access_key, content_type=content_type, has_entries=has_entries)
        return await self._wire.ask(call, read)

    def _hub_url(self, name: str, device: Credentials) -> str:
        text = device.hub_url_static_cert if self._access.use_static_cert else device.hub_url
        if not text:
            field = "hub_url_static_cert" if self._access.use_static_cert else "hub_url"
            raise HubUnreachable(f"{name}: the registration of {device.device_id} brought no {field}", maybe_done=False)
        try:
            return validated_hub_url(
                text,
                entry_url=self._entry_url,
                allow_plain_http=self._access.allow_plain_http,
                hub_hosts=self._access.hub_hosts,
            )
        except UntrustedAddress as error:
            text = masked(f"{name}: the hub of {device.device_id}: {error}", (device.access_key,))
            raise HubUnreachable(text, maybe_done=False) from None  # the cause is not masked


def _call(
    name: str,
    method: str,
    url: str,
    *,
    body: object = None,
    key: SecretStr | None = None,
    content_type: str = JSON,
    secrets: tuple[SecretStr, ...] = (),
    has_entries: bool = False,
) -> Call:
    return Call(
        name=name,
        method=method,
        url=url,
        key=key,
        body=body if body is None or isinstance(body, bytes) else json_bytes(body),
        content_type=content_type,
        secrets=secrets if key is None else (key, *secrets),
        has_entries=has_entries,
    )


def _entry_url(access: CloudAccess) -> str:
    try:
        return validated_url(access.entry_url, allow_plain_http=access.allow_plain_http)
    except UntrustedAddress as error:
        problem = SettingsProblem("cloud.entry_url", str(error), "Write the provisioning server as `https://entry.xyte.io`.")
        raise SettingsError(None, [problem]) from error


def _check_number(entries: Sized, most: int) -> None:
    if len(entries) > most:
        raise ValueError(f"{len(entries)} in one call, where the hub takes {most}")


if TYPE_CHECKING:
    _fulfils_the_contract: Callable[[CloudAccess], Hub] = HttpHub
