"""Convert the gateway's records to request bodies, and response bodies to records. Pure.

Section numbers are those of the device API reference. Parsing raises `UnexpectedResponse` when a response lacks a needed field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import SecretStr, TypeAdapter

from gateway.cloud.protocol.response_errors import error_text
from gateway.cloud.protocol.response_parser import (
    MAX_NUMBER,
    ResponseParser,
    UnexpectedResponse,
    as_list,
    as_object,
    is_usable_id,
    valid,
)
from gateway.cloud.protocol.trusted_urls import with_scheme
from gateway.cloud.protocol.values import semantic_version, timestamp, to_hub_value
from gateway.hub import (
    ChildRegistration,
    Credentials,
    DeviceUpdate,
    GatewayRegistration,
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
    LicenseAction,
    ModelFile,
    Space,
)

Body: TypeAlias = dict[str, object]

MAX_HEADER_TEXT = 4096
"""The most characters of a key or an address in a registration: servers take 8 KB of headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistration(GatewayRegistration):
    """A registration with the fields that only other devices than the gateway send (sections 3.1, 3.2)."""

    parent_id: str | None = None
    """Makes this a self-registering child of that device."""
    host_address: str | None = None
    custom_partner_name: str | None = None
    """Cloud to cloud only, like the next field."""
    custom_model_name: str | None = None


def device_body(device: GatewayRegistration) -> Body:
    """Return the body of Register Device (section 3.1), or one entry of Bulk Register Devices (section 3.2)."""
    body = _without_none(
        hardware_key=device.hardware_key.get_secret_value(),
        cloud_id=device.cloud_id,
        sn=device.serial_number,
        mac=device.mac,
        firmware_version=semantic_version(device.firmware_version),
        name=device.name,
        sub_model=device.sub_model,
        details=device.details or None,
    )
    return body | (_extra_fields(device) if isinstance(device, DeviceRegistration) else {})


def child_body(child: ChildRegistration) -> Body:
    """Return the body of Register Child Device (section 4.1)."""
    return _without_none(
        model_id=child.model_id,
        firmware_version=semantic_version(child.firmware_version),
        sn=child.serial_number,
        mac=child.mac,
        name=child.name,
        sub_model=child.sub_model,
        details=child.details or None,
    )


def telemetry_body(message: TelemetryMessage) -> Body:
    """Return one telemetry message; `telemetries` is always sent, since the hub requires it (section 5.1)."""
    return _without_none(
        status=message.status.value,
        timestamp=None if message.at is None else timestamp(message.at),
        telemetries={name: to_hub_value(value) for name, value in message.values.items()},
        override=True if message.override else None,
    )


def telemetries_body(messages: Mapping[str, TelemetryMessage]) -> Body:
    """Return the body of Send Child Telemetries, by child id (section 5.3)."""
    return {device_id: telemetry_body(message) for device_id, message in messages.items()}


def mass_telemetry_body(messages: Iterable[tuple[Credentials, TelemetryMessage]]) -> Body:
    """Return the body of Send Mass Telemetry, where each entry has its own key (section 5.4)."""
    return {
        device.device_id: {"access_token": device.access_key.get_secret_value()} | telemetry_body(message)
        for device, message in messages
    }


def command_body(command_id: int | str, status: str, message: str | None) -> Body:
    """Return the body of Update Command (section 6.3)."""
    return _without_none(id=command_id, status=status, message=message)


def update_body(update: DeviceUpdate) -> Body:
    """Return the body of Update Device: only the changes, the counters as strings (sections 8.2 and 17.10)."""
    return _without_none(
        name=update.name,
        firmware_version=None if update.firmware_version is None else semantic_version(update.firmware_version),
        sub_model=update.sub_model,
        details=update.details,
        config_version=None if update.config_version is None else str(update.config_version),
        space_version=None if update.space_version is None else str(update.space_version),
        parent_id=update.parent_id,
        host_address=update.host_address,
    )


def license_body(license_id: int | str, state: str, error: str | None) -> Body:
    """Return the body of Update License (section 9.3)."""
    return _without_none(id=license_id, state=state, error=error)


def incident_body(title: str, description: str | None, priority: int | None, issue: str | None) -> Body:
    """Return the body of Open Incident (section 11)."""
    return _without_none(title=title, description=description, priority=priority, issue=issue)


def event_body(name: str, category: str, integers: tuple[int, ...], strings: tuple[str, ...], at: datetime | None) -> Body:
    """Return the body of Add Event; at most two integers and two strings, numbered from 1 (section 11.5)."""
    numbered: Body = {f"int_key_{place}": value for place, value in enumerate(integers, start=1)}
    numbered |= {f"string_key_{place}": value for place, value in enumerate(strings, start=1)}
    return _without_none(name=name, category=category, **numbered, timestamp=None if at is None else timestamp(at))


_TELEMETRY = ResponseParser(
    TelemetryResponse, latest_firmware_version="latest_fw_version", latest_firmware_file_id="latest_fw_file_id"
)
_COMMAND = ResponseParser(WaitingCommand)
_CONFIGURATION = ResponseParser(DeviceConfiguration, values="config")
_LICENSE = ResponseParser(License, payload="data", expires_at=("expires_at", "expired_at"))
_COUNT = TypeAdapter(int)

NO_REASON = "not accepted, and no reason given"
_FLAGS = frozenset({"id", "config_version", "command", "info_version", "new_licenses", "space_data_version"})
"""The fields that mark an entry as that of an accepted message or registration."""

LISTED_CHILD = ResponseParser(ListedChild, device_id="id", serial_number="sn")
DEVICE_INFO = ResponseParser(
    DeviceInfo,
    device_id="id",
    serial_number="partner.sn",
    mac="partner.mac",
    vendor="partner.vendor",
    model="partner.model",
    config_version="config.version",
    claimed_by="claimed",
)
SPACE = ResponseParser(
    Space,
    location_name="location.name",
    latitude="location.coordinates.lat",
    longitude=("location.coordinates.lng", "location.coordinates.long"),
    utc_offset_minutes="location.utc_offset",
)
INCIDENT = ResponseParser(Incident)
MODEL_FILE = ResponseParser(ModelFile, description="desc")
DUMP_RECEIPT = ResponseParser(DumpReceipt)


def ignore_body(_body: object) -> None:
    """Ignore the body of a response: its status alone shows that the hub accepted the call."""


def parse_credentials(body: object, *, parent: Credentials | None = None) -> Credentials:
    """Return the credentials in a response to a registration; missing addresses of a child are its parent's (section 17.3).

    A missing `hub_url` of the gateway itself stays empty: the key must be kept all the same, since it cannot be fetched again.
    """
    fields = as_object(body)
    device_id, access_key = _usable(fields.get("id")), _usable(fields.get("access_key"))
    if device_id is None or not is_usable_id(device_id) or access_key is None:
        raise UnexpectedResponse("there is no usable id and access_key in the response")
    return Credentials(
        device_id=device_id,
        access_key=SecretStr(access_key),
        hub_url=_url(fields.get("hub_url")) or (parent.hub_url if parent else ""),
        hub_url_static_cert=_url(fields.get("hub_url_static_cert")) or (parent.hub_url_static_cert if parent else None),
        mqtt_hub_url=_usable(fields.get("mqtt_hub_url")) or (parent.mqtt_hub_url if parent else None),
    )


def parse_registrations(body: object, *, secrets: Collection[SecretStr]) -> list[Credentials | RejectedEntry]:
    """Return the result for each device of a bulk registration, in request order (section 17.13)."""
    return [_rejection(entry, secrets) or parse_credentials(entry) for entry in map(as_object, as_list(body))]


def parse_telemetry_response(body: object) -> TelemetryResponse:
    """Return the flags of a telemetry response. An invalid flag counts as not set: the message itself was accepted."""
    return _TELEMETRY.parse(_or_empty(body))


def parse_telemetry_responses(
    body: object, *, requested: Collection[str], secrets: Collection[SecretStr]
) -> dict[str, TelemetryResponse | RejectedEntry]:
    """Return the result for each requested device with an object in the response (sections 5.3, 5.4)."""
    entries = {
        device_id: entry for device_id, entry in as_object(body).items() if device_id in requested and isinstance(entry, dict)
    }
    return {device_id: _rejection(entry, secrets) or parse_telemetry_response(entry) for device_id, entry in entries.items()}


def parse_command(body: object) -> WaitingCommand | None:
    """Return the waiting command; `{}` means that there is none (section 6.1)."""
    fields = _or_empty(body)
    if fields and not is_usable_id(fields.get("id")):
        raise UnexpectedResponse("there is no usable id in the command")
    flags = {"in_progress": fields.get("status") == "in_progress", "opens_tunnel": bool(fields.get("tunnel"))}
    return _COMMAND.parse({**fields, "name": fields.get("name") or "", **flags}) if fields else None


def parse_commands(body: object) -> list[WaitingCommand]:
    """Return the waiting commands of a parent and its children (section 6.2).

    One without a usable id or name is left out, since it cannot be answered: it must not keep the others from their devices.
    """
    commands: list[WaitingCommand] = []
    for entry in as_list(body):
        try:
            command = parse_command(entry)
        except UnexpectedResponse:
            continue
        commands += [command] if command is not None else []
    return commands


def parse_configuration(body: object) -> DeviceConfiguration:
    """Return the configuration; before Model API version 1.0.5 it is beside the server's own fields (section 7.1)."""
    fields = as_object(body)
    beside = {
        key: value for key, value in fields.items() if key not in {"version", "last_updated", "name", "device_id", "success"}
    }
    return _CONFIGURATION.parse(fields if "config" in fields else {**fields, "config": beside})


def parse_config_version(body: object) -> int | None:
    """Return the version that Set Config made (section 7.2); `None` when it is missing."""
    return _count(_or_empty(body).get("version"))


def parse_licenses(body: object) -> list[License]:
    """Return the licence changes of a response: an object, an array, or `{}`; `action` as a word or as booleans (section 9.1).

    An entry without a usable id is left out where there are others: it cannot be answered, and must not keep them from their
    devices. So is a licence whose booleans all say no: nothing is to be changed.
    """
    licences: list[License] = []
    problem: UnexpectedResponse | None = None
    for entry in as_list(body):
        try:
            licences += _license_change(as_object(entry))
        except UnexpectedResponse as error:
            problem = error
    if problem is not None and not licences:
        raise problem
    return licences


def _license_change(entry: Mapping[str, object]) -> list[License]:
    action = _action(entry)
    if action is None and [entry.get(one) for one in LicenseAction if one in entry].count(False) == len(LicenseAction):
        return []
    if not is_usable_id(entry.get("id")):
        raise UnexpectedResponse("there is no usable id in the licence")
    return [_LICENSE.parse({**entry, "action": action})]


def parse_license(body: object) -> License | None:
    """Return the next licence change, if any."""
    return next(iter(parse_licenses(body)), None)


def parse_dump_length(body: object) -> int | None:
    """Return the length of the dump in bytes (section 10.2); `None` when it is missing."""
    return _count(_or_empty(body).get("length"))


def parse_incident_id(body: object) -> str:
    """Return the id of the incident just opened (section 11)."""
    fields = as_object(body)
    incident_id = _usable(fields.get("incident_id")) or _usable(fields.get("id"))
    if incident_id is None or not is_usable_id(incident_id):
        raise UnexpectedResponse("there is no usable incident_id in the response")
    return incident_id


def _count(value: object) -> int | None:
    return next((count for count in valid(_COUNT, value) if abs(count) <= MAX_NUMBER), None)


def _without_none(**fields: object) -> Body:
    return {name: value for name, value in fields.items() if value is not None}


def _extra_fields(device: DeviceRegistration) -> Body:
    return _without_none(
        parent_id=device.parent_id,
        host_address=device.host_address,
        custom_partner_name=device.custom_partner_name,
        custom_model_name=device.custom_model_name,
    )


def _or_empty(body: object) -> Mapping[str, object]:
    return {} if body is None else as_object(body)


def _rejection(entry: Mapping[str, object], secrets: Collection[SecretStr]) -> RejectedEntry | None:
    """Return the refusal in one entry of a bulk response; one with an empty `error` is no acceptance either (section 5.3)."""
    if entry.get("error"):
        return RejectedEntry(error_text(entry["error"], secrets) or NO_REASON)
    is_silent = "error" in entry and entry.get("success") is not True and not entry.keys() & _FLAGS
    return RejectedEntry(NO_REASON) if entry.get("success") is False or is_silent else None


def _action(entry: Mapping[str, object]) -> object:
    return entry.get("action") or next((action for action in LicenseAction if entry.get(action) is True), None)


def _usable(value: object) -> str | None:
    """Return a text that is valid in a path or a header, or `None`; the word `null` counts as missing (section 3.1)."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return text if text and len(text) <= MAX_HEADER_TEXT and text.lower() != "null" and is_plain else None


def _url(value: object) -> str | None:
    text = _usable(value)
    return None if text is None else with_scheme(text)
