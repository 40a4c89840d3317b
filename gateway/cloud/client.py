"""Make every call of the device API: its method, path, key, body and response.

One method for each call of the device API reference, section 2, named as there. Nothing is retried or delayed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from pydantic import SecretStr

from gateway.cloud.http import HttpTransport, OnCall, tls_context
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
    ignore_body,
    incident_body,
    license_body,
    mass_telemetry_body,
    parse_command,
    parse_commands,
    parse_config_version,
    parse_configuration,
    parse_credentials,
    parse_dump_length,
    parse_incident_id,
    parse_license,
    parse_licenses,
    parse_registrations,
    parse_telemetry_response,
    parse_telemetry_responses,
    telemetries_body,
    telemetry_body,
    update_body,
)
from gateway.cloud.protocol.response_errors import JSON, ApiCall, mask_keys
from gateway.cloud.protocol.trusted_urls import UntrustedUrl, encode_path, validated_hub_url, validated_url
from gateway.cloud.protocol.values import json_bytes
from gateway.cloud.server_clock import ServerClock
from gateway.cloud.update_limit import UpdateLimit
from gateway.errors import HubRejected, HubUnreachable, SettingsError, SettingsProblem
from gateway.hub import (
    CHILDREN_PER_CALL,
    ChildRegistration,
    Credentials,
    DeviceUpdate,
    FileResponse,
    FileServers,
    GatewayRegistration,
    Hub,
    ListedChild,
    RejectedEntry,
    TelemetryMessage,
    TelemetryResponse,
    WaitingCommand,
)
from gateway.hub_records import (
    DeviceConfiguration,
    DeviceInfo,
    DumpReceipt,
    Incident,
    License,
    ModelFile,
    Space,
)

T = TypeVar("T")

DEVICES_PER_REGISTRATION = 25
"""The most devices in one Bulk Register Devices call (section 3.2)."""

ALREADY_DELETED = frozenset({401, 404})
"""The statuses of Delete Device for a device that is already deleted (section 17.24)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudAccess:
    """The addresses of the cloud and the trust in them."""

    entry_url: str = "https://entry.xyte.io"
    """The provisioning server (section 1)."""
    allow_plain_http: bool = False
    """Allow `http://` URLs: for the emulator and for laboratories, since anyone on the network can then read the keys."""
    ca_file: Path | None = None
    """Certificate authorities to trust in addition to the system's, in PEM form."""
    use_static_cert: bool = False
    """Call the hub by its `hub_url_static_cert` (section 1.1)."""
    timeout_seconds: float = 10.0
    """The time limit of one call, from connecting to the last byte of the response."""
    hub_hosts: tuple[str, ...] = ()
    """The trusted hub hosts, each exact or as `*.suffix`; for an empty list see `validated_hub_url`."""


class HttpHub:
    """The cloud over HTTP: implements `gateway.hub.Hub` and the rest of the device API.

    Every call ends within `timeout_seconds` and raises only errors of the `HubError` tree, and `ValueError` where documented. An
    untrusted hub URL raises `HubUnreachable` at each use, with nothing sent, and not at registration: so the credentials are kept
    until the URL is corrected.

    Raises:
        SettingsError: the entry server's address or the CA file cannot be used.
    """

    def __init__(self, access: CloudAccess, *, on_call: OnCall | None = None) -> None:
        self._access = access
        self._entry_url = _entry_url(access)
        self._update_limit = UpdateLimit()
        self._transport = HttpTransport(tls=tls_context(access.ca_file), timeout_seconds=access.timeout_seconds, on_call=on_call)

    @property
    def clock(self) -> ServerClock:
        """How far the clock of this machine is from that of the cloud."""
        return self._transport.clock

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._transport.__aexit__(*exc)

    # sections 3 and 4: registration -----------------------------------------------------------------------------------

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """Register a stand-alone device, such as the gateway itself (section 3.1)."""
        call = self._entry_call("Register Device", body=device_body(gateway), secrets=(gateway.hardware_key,))
        return await self._transport.send(call, parse_credentials)

    async def offer_hardware_key(self, key: SecretStr) -> Credentials:
        """Call Register Device with nothing but a hardware key, which is refused whatever the key is (section 3.1).

        The refusal says whether it is the key that is refused. A serial number, a version and an identity are missing, so no
        device is made; should a cloud make one all the same, it is returned, to be deleted.
        """
        call = self._entry_call("Register Device", body={"hardware_key": key.get_secret_value()}, secrets=(key,))
        return await self._transport.send(call, parse_credentials)

    async def bulk_register_devices(self, devices: Sequence[GatewayRegistration]) -> list[Credentials | RejectedEntry]:
        """Register many devices and return the result of each, in the same order (section 3.2).

        Raises:
            ValueError: there are more than `DEVICES_PER_REGISTRATION`.
        """
        _check_count(devices, DEVICES_PER_REGISTRATION)
        keys = tuple(device.hardware_key for device in devices)
        bodies = [device_body(device) for device in devices]
        call = self._entry_call("Bulk Register Devices", "bulk_create", body=bodies, secrets=keys, has_entries=True)
        return await self._transport.send(call, partial(parse_registrations, secrets=keys))

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """Register one child. Not idempotent: a second call makes a second device (section 4.1)."""
        call = self._entry_call(
            "Register Child Device", parent.device_id, "children", body=child_body(child), key=parent.access_key
        )
        return await self._transport.send(call, partial(parse_credentials, parent=parent))

    async def get_children(self, parent: Credentials) -> list[ListedChild]:
        """Return the parent's children as the cloud knows them (section 4.2)."""
        return await self._call_hub("Get Child Devices", "GET", parent, "children", parse=LISTED_CHILD.parse_list)

    # section 5: telemetry ---------------------------------------------------------------------------------------------

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryResponse:
        """Send one device's telemetry with its own key (section 5.1)."""
        return await self._call_hub(
            "Send Telemetry", "POST", device, "telemetry", body=telemetry_body(message), parse=parse_telemetry_response
        )

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> dict[str, TelemetryResponse | RejectedEntry]:
        """Send one message for each child, by device id, with the parent's key (section 5.3).

        A child missing from the response is neither accepted nor rejected.

        Raises:
            ValueError: there are more than `CHILDREN_PER_CALL`.
        """
        _check_count(messages, CHILDREN_PER_CALL)
        body = telemetries_body(messages)
        return await self._call_hub(
            "Send Child Telemetries",
            "POST",
            parent,
            "children",
            "telemetries",
            body=body,
            has_entries=True,
            parse=partial(parse_telemetry_responses, requested=messages.keys(), secrets=(parent.access_key,)),
        )

    async def send_mass_telemetry(
        self, messages: Sequence[tuple[Credentials, TelemetryMessage]]
    ) -> dict[str, TelemetryResponse | RejectedEntry]:
        """Send one message for each device, related or not, each with its own key in the body (section 5.4).

        Raises:
            ValueError: there are none, more than `CHILDREN_PER_CALL`, or they do not share one hub.
        """
        _check_count(messages, CHILDREN_PER_CALL)
        devices = [device for device, _ in messages]
        if len({device.hub_url for device in devices}) != 1:
            raise ValueError("the devices of one Send Mass Telemetry call share one hub")
        keys = tuple(device.access_key for device in devices)
        url = self._hub_url("Send Mass Telemetry", devices[0]) + encode_path("v1", "devices", "telemetries")
        call = _new_call("Send Mass Telemetry", "POST", url, body=mass_telemetry_body(messages), secrets=keys, has_entries=True)
        requested = [device.device_id for device in devices]
        return await self._transport.send(call, partial(parse_telemetry_responses, requested=requested, secrets=keys))

    # section 6: commands ----------------------------------------------------------------------------------------------

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """Return the next command of this device, if any (section 6.1)."""
        return await self._call_hub("Get Command", "GET", device, "command", parse=parse_command)

    async def get_commands_with_children(self, parent: Credentials) -> list[WaitingCommand]:
        """Return the next command of the parent and of each child, from version 1.0.7 on with its device (section 6.2)."""
        return await self._call_hub(
            "Get Commands with Children", "GET", parent, "command", "pending_commands", parse=parse_commands
        )

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """Report a command as `in_progress`, `done` or `failed` (section 6.3)."""
        body = command_body(command_id, status, message)
        await self._call_hub("Update Command", "POST", device, "command", body=body, parse=ignore_body)

    # section 7: configuration -----------------------------------------------------------------------------------------

    async def get_config(self, device: Credentials) -> DeviceConfiguration:
        """Return the device's configuration (section 7.1)."""
        return await self._call_hub("Get Config", "GET", device, "config", parse=parse_configuration)

    async def set_config(self, device: Credentials, config: Mapping[str, object]) -> int | None:
        """Send a configuration changed on the device; return its new version if the hub sends it (section 7.2)."""
        return await self._call_hub("Set Config", "POST", device, "config", body=config, parse=parse_config_version)

    # section 8: the device itself -------------------------------------------------------------------------------------

    async def get_device_info(self, device: Credentials) -> DeviceInfo:
        """Return the cloud's record of the device; a wrong key is a plain 400 here, a deleted device a 401 (8.1, 18)."""
        return await self._call_hub("Get Device Info", "GET", device, parse=DEVICE_INFO.parse)

    async def update_device(self, device: Credentials, update: DeviceUpdate) -> None:
        """Send the changed properties, or nothing when there are none; at most ten calls an hour for a device (section 8.2).

        Raises:
            UpdateLimitReached: there were as many; nothing was sent.
        """
        if body := update_body(update):
            self._update_limit.record_call(device.device_id)
            await self._call_hub("Update Device", "PUT", device, body=body, parse=ignore_body)

    async def delete_device(self, device: Credentials) -> None:
        """Delete the device; one that is already deleted counts as deleted (sections 8.3 and 17.24)."""
        try:
            await self._call_hub("Delete Device", "DELETE", device, parse=ignore_body)
        except HubRejected as rejected:
            if rejected.status not in ALREADY_DELETED:
                raise

    async def set_cloud_settings(self, device: Credentials, setting: str, value: bool | str) -> None:  # noqa: FBT001  # the value is the setting
        """Set one cloud setting of the device, such as `incidents.suspend_creation` (section 8.4)."""
        body = {"property": setting, "value": value}
        await self._call_hub("Set Cloud Settings", "PUT", device, "cloud_settings", body=body, parse=ignore_body)

    async def get_space_info(self, device: Credentials) -> Space:
        """Return the space of the device; 422 while it is unclaimed (section 8.5)."""
        return await self._call_hub("Get Space Info", "GET", device, "space", parse=SPACE.parse)

    async def space_move(self, device: Credentials, target: Literal["follow_parent", "unsorted"]) -> Space:
        """Move a claimed device and return its new space (section 8.6)."""
        return await self._call_hub("Space Move", "PUT", device, "space", "move", body={"target": target}, parse=SPACE.parse)

    # section 9: licences ----------------------------------------------------------------------------------------------

    async def get_license(self, device: Credentials) -> License | None:
        """Return the next licence change, if any (section 9.1)."""
        return await self._call_hub("Get License", "GET", device, "license", parse=parse_license)

    async def get_licenses(self, device: Credentials) -> list[License]:
        """Return all pending licence changes; the older form (section 9.2)."""
        return await self._call_hub("Get Licenses", "GET", device, "licenses", parse=parse_licenses)

    async def update_license(
        self,
        device: Credentials,
        license_id: int | str,
        state: Literal["inuse", "removed", "error"],
        error: str | None = None,
    ) -> None:
        """Report the result of a licence change, with a text for the operator when it failed (section 9.3)."""
        body = license_body(license_id, state, error)
        await self._call_hub("Update License", "POST", device, "licenses", body=body, parse=ignore_body)

    # section 10: dumps and files --------------------------------------------------------------------------------------

    async def send_dump(self, device: Credentials, mime_type: str, filename: str, dump: bytes) -> DumpReceipt:
        """Send a file to the cloud, `text/plain` for example; empty ones are refused (section 10.1)."""
        return await self._call_hub(
            "Send Dump", "POST", device, "dumps", mime_type, filename, body=dump, content_type=mime_type, parse=DUMP_RECEIPT.parse
        )

    async def append_dump(self, device: Credentials, dump_id: str, mime_type: str, dump: bytes) -> int | None:
        """Append to a dump and return its whole length in bytes if the hub sends it (section 10.2)."""
        return await self._call_hub(
            "Append Dump", "PUT", device, "dumps", dump_id, body=dump, content_type=mime_type, parse=parse_dump_length
        )

    async def get_files(self, device: Credentials) -> list[ModelFile]:
        """Return the files of the device's model (section 10.3)."""
        return await self._call_hub("Get Files", "GET", device, "files", parse=MODEL_FILE.parse_usable)

    async def get_file(self, device: Credentials, file_id: str) -> ModelFile:
        """Return one file of the device's model; a missing one is a 400 (section 10.3)."""
        return await self._call_hub("Get File", "GET", device, "files", file_id, parse=MODEL_FILE.parse)

    def open_file(self, url: str) -> AbstractAsyncContextManager[FileResponse]:
        """Ask a server for a file; it gets no key (section 6.4), and its link was checked by the caller."""
        return self._transport.open_file(ApiCall(name="File download", method="GET", url=url))

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
        return await self._call_hub(
            "Open Incident",
            "POST",
            device,
            "incidents",
            body=incident_body(title, description, priority, issue),
            parse=parse_incident_id,
        )

    async def get_incidents(self, device: Credentials) -> list[Incident]:
        """Return the open incidents of the device (section 11)."""
        return await self._call_hub("Get Incidents", "GET", device, "incidents", parse=INCIDENT.parse_usable)

    async def close_incident(self, device: Credentials, incident_id: str) -> None:
        """Close one incident (section 11)."""
        await self._call_hub("Close Incident", "DELETE", device, "incidents", incident_id, parse=ignore_body)

    async def close_incidents(self, device: Credentials) -> None:
        """Close all incidents that the device opened, as after a start or a new registration (section 11)."""
        await self._call_hub("Close Incidents", "DELETE", device, "incidents", parse=ignore_body)

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
        """Add an event, with at most two integers and two strings; at most 100 a day for a device (section 11.5).

        Raises:
            ValueError: there are more than two integers or strings, or the moment is naive.
        """
        _check_count(integers, 2)
        _check_count(strings, 2)
        body = event_body(name, category, integers, strings, at)
        await self._call_hub("Add Event", "POST", device, "events", body=body, parse=ignore_body)

    # sending a call ------------------------------------------------------------------------------------------------

    def _entry_call(
        self,
        name: str,
        *segments: str,
        body: object,
        key: SecretStr | None = None,
        secrets: tuple[SecretStr, ...] = (),
        has_entries: bool = False,
    ) -> ApiCall:
        url = self._entry_url + _path_of(name, *segments)
        return _new_call(name, "POST", url, body=body, key=key, secrets=secrets, has_entries=has_entries)

    async def _call_hub(
        self,
        name: str,
        method: str,
        device: Credentials,
        *segments: str,
        parse: Callable[[object], T],
        body: object = None,
        content_type: str = JSON,
        has_entries: bool = False,
    ) -> T:
        """Carry out a call to the device's hub with its own key, below its own path."""
        url = self._hub_url(name, device) + _path_of(name, device.device_id, *segments)
        call = _new_call(name, method, url, body=body, key=device.access_key, content_type=content_type, has_entries=has_entries)
        return await self._transport.send(call, parse)

    def _hub_url(self, name: str, device: Credentials) -> str:
        text = device.hub_url_static_cert if self._access.use_static_cert else device.hub_url
        if not text:
            field = "hub_url_static_cert" if self._access.use_static_cert else "hub_url"
            raise HubUnreachable(f"{name}: the registration of {device.device_id} contains no {field}", maybe_done=False)
        try:
            return validated_hub_url(
                text,
                entry_url=self._entry_url,
                allow_plain_http=self._access.allow_plain_http,
                hub_hosts=self._access.hub_hosts,
            )
        except UntrustedUrl as error:
            text = mask_keys(f"{name}: the hub of {device.device_id}: {error}", (device.access_key,))
            raise HubUnreachable(text, maybe_done=False) from None  # the cause is not masked


def _path_of(name: str, *segments: str) -> str:
    """Return the path of a call; an id in it that came from the hub, perhaps long ago, must not end the caller."""
    try:
        return encode_path("v1", "devices", *segments)
    except ValueError as error:
        problem = HubRejected(f"{name}: it cannot be called: {error}", status=400, error=str(error))
    raise problem


def _new_call(
    name: str,
    method: str,
    url: str,
    *,
    body: object = None,
    key: SecretStr | None = None,
    content_type: str = JSON,
    secrets: tuple[SecretStr, ...] = (),
    has_entries: bool = False,
) -> ApiCall:
    return ApiCall(
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
    except UntrustedUrl as error:
        problem = SettingsProblem("cloud.entry_url", str(error), "Write the provisioning server as `https://entry.xyte.io`.")
        raise SettingsError(None, [problem]) from error


def _check_count(entries: Sized, most: int) -> None:
    if len(entries) > most:
        raise ValueError(f"{len(entries)} in one call; the hub accepts at most {most}")


if TYPE_CHECKING:
    _implements_the_contract: Callable[[CloudAccess], Hub] = HttpHub
    _asks_for_files: Callable[[CloudAccess], FileServers] = HttpHub
