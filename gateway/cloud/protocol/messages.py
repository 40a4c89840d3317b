"""Nouns to the JSON that the hub takes, and the hub's JSON to nouns. Nothing here waits.

Section numbers are those of the device API reference. Reading raises `NotUnderstood` when an answer lacks what it is for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import SecretStr, TypeAdapter

from gateway.cloud.protocol.device_records import (
    Configuration,
    DeviceInfo,
    DumpReceipt,
    Incident,
    License,
    LicenseAction,
    ModelFile,
    Space,
)
from gateway.cloud.protocol.response_errors import hub_words
from gateway.cloud.protocol.response_parser import NotUnderstood, Shape, as_list, as_object, valid
from gateway.cloud.protocol.trusted_urls import whole_url
from gateway.cloud.protocol.values import hub_value, semantic_version, timestamp
from gateway.hub import (
    ChildRegistration,
    Credentials,
    GatewayRegistration,
    ListedChild,
    Refusal,
    TelemetryAnswer,
    TelemetryMessage,
    WaitingCommand,
)

Body: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistration(GatewayRegistration):
    """What a device can tell of itself beyond what the gateway does (sections 3.1, 3.2)."""

    parent_id: str | None = None
    """Makes this a self-registering child of that device."""
    host_address: str | None = None
    custom_partner_name: str | None = None
    """Cloud to cloud only, as is the next one."""
    custom_model_name: str | None = None


def device_body(device: GatewayRegistration) -> Body:
    """Return the body of Register Device (section 3.1), or one entry of Bulk Register Devices (section 3.2)."""
    body = _told(
        hardware_key=device.hardware_key.get_secret_value(),
        cloud_id=device.cloud_id,
        sn=device.serial_number,
        mac=device.mac,
        firmware_version=semantic_version(device.firmware_version),
        name=device.name,
        sub_model=device.sub_model,
        details=device.details or None,
    )
    return body | (_wider_part(device) if isinstance(device, DeviceRegistration) else {})


def child_body(child: ChildRegistration) -> Body:
    """Return the body of Register Child Device (section 4.1)."""
    return _told(
        model_id=child.model_id,
        firmware_version=semantic_version(child.firmware_version),
        sn=child.serial_number,
        mac=child.mac,
        name=child.name,
        sub_model=child.sub_model,
        details=child.details or None,
    )


def telemetry_body(message: TelemetryMessage) -> Body:
    """Return one telemetry message; `telemetries` is always there, since the hub misses it otherwise (section 5.1)."""
    return _told(
        status=message.status.value,
        timestamp=None if message.at is None else timestamp(message.at),
        telemetries={name: hub_value(value) for name, value in message.values.items()},
        override=True if message.override else None,
    )


def telemetries_body(messages: Mapping[str, TelemetryMessage]) -> Body:
    """Return the body of Send Child Telemetries, by child id (section 5.3)."""
    return {device_id: telemetry_body(message) for device_id, message in messages.items()}


def mass_telemetry_body(messages: Iterable[tuple[Credentials, TelemetryMessage]]) -> Body:
    """Return the body of Send Mass Telemetry, where each entry carries its own key (section 5.4)."""
    return {
        device.device_id: {"access_token": device.access_key.get_secret_value()} | telemetry_body(message)
        for device, message in messages
    }


def command_body(command_id: int | str, status: str, message: str | None) -> Body:
    """Return the body of Update Command (section 6.3)."""
    return _told(id=command_id, status=status, message=message)


def update_body(
    *,
    name: str | None,
    firmware_version: str | None,
    sub_model: str | None,
    details: Mapping[str, object] | None,
    config_version: int | None,
    space_version: int | None,
    parent_id: str | None,
    host_address: str | None,
) -> Body:
    """Return the body of Update Device: only what changed, the counters as strings (sections 8.2 and 17.10)."""
    return _told(
        name=name,
        firmware_version=None if firmware_version is None else semantic_version(firmware_version),
        sub_model=sub_model,
        details=details,
        config_version=None if config_version is None else str(config_version),
        space_version=None if space_version is None else str(space_version),
        parent_id=parent_id,
        host_address=host_address,
    )


def license_body(license_id: int | str, state: str, error: str | None) -> Body:
    """Return the body of Update License (section 9.3)."""
    return _told(id=license_id, state=state, error=error)


def incident_body(title: str, description: str | None, priority: int | None, issue: str | None) -> Body:
    """Return the body of Open Incident (section 11)."""
    return _told(title=title, description=description, priority=priority, issue=issue)


def event_body(name: str, category: str, integers: tuple[int, ...], strings: tuple[str, ...], at: datetime | None) -> Body:
    """Return the body of Add Event; at most two integers and two strings, which are numbered from 1 (section 11.5)."""
    numbered: Body = {f"int_key_{place}": value for place, value in enumerate(integers, start=1)}
    numbered |= {f"string_key_{place}": value for place, value in enumerate(strings, start=1)}
    return _told(name=name, category=category, **numbered, timestamp=None if at is None else timestamp(at))


_TELEMETRY = Shape(TelemetryAnswer, latest_firmware_version="latest_fw_version", latest_firmware_file_id="latest_fw_file_id")
_COMMAND = Shape(WaitingCommand)
_CONFIGURATION = Shape(Configuration, values="config")
_LICENSE = Shape(License, payload="data", expires_at=("expires_at", "expired_at"))
_COUNT = TypeAdapter(int)

LISTED_CHILD = Shape(ListedChild, device_id="id", serial_number="sn")
DEVICE_INFO = Shape(
    DeviceInfo,
    device_id="id",
    serial_number="partner.sn",
    mac="partner.mac",
    vendor="partner.vendor",
    model="partner.model",
    config_version="config.version",
    claimed_by="claimed",
)
SPACE = Shape(
    Space,
    location_name="location.name",
    latitude="location.coordinates.lat",
    longitude=("location.coordinates.lng", "location.coordinates.long"),
    utc_offset_minutes="location.utc_offset",
)
INCIDENT = Shape(Incident)
MODEL_FILE = Shape(ModelFile, description="desc")
DUMP_RECEIPT = Shape(DumpReceipt)


def nothing(_body: object) -> None:
    """Take any answer: that the hub accepted the call is all there is to know."""


def read_credentials(body: object, *, parent: Credentials | None = None) -> Credentials:
    """Return what a registration is answered with; what a child's answer leaves out it has from its parent (section 17.3).

    A missing `hub_url` of the gateway itself is left empty: the key is worth keeping even so, since it cannot be fetched again.
    """
    told = as_object(body)
    device_id, access_key = _usable(told.get("id")), _usable(told.get("access_key"))
    if device_id is None or device_id in {".", ".."} or access_key is None:
        raise NotUnderstood("there is no usable id and access_key in the answer")
    return Credentials(
        device_id=device_id,
        access_key=SecretStr(access_key),
        hub_url=_address(told.get("hub_url")) or (parent.hub_url if parent else ""),
        hub_url_static_cert=_address(told.get("hub_url_static_cert")) or (parent.hub_url_static_cert if parent else None),
        mqtt_hub_url=_usable(told.get("mqtt_hub_url")) or (parent.mqtt_hub_url if parent else None),
    )


def read_registrations(body: object, *, secrets: Collection[SecretStr]) -> list[Credentials | Refusal]:
    """Return how each device of a bulk registration fared, in the order asked (section 17.13)."""
    return [_refusal(entry, secrets) or read_credentials(entry) for entry in map(as_object, as_list(body))]


def read_telemetry_answer(body: object) -> TelemetryAnswer:
    """Return the flags of a telemetry answer. A nonsensical flag counts as not set: the message itself was accepted."""
    return _TELEMETRY.read(_or_empty(body))


def read_telemetry_answers(
    body: object, *, asked: Collection[str], secrets: Collection[SecretStr]
) -> dict[str, TelemetryAnswer | Refusal]:
    """Return the answer for each device that was asked about and is answered with an object (sections 5.3, 5.4)."""
    entries = {device_id: entry for device_id, entry in as_object(body).items() if device_id in asked and isinstance(entry, dict)}
    return {device_id: _refusal(entry, secrets) or read_telemetry_answer(entry) for device_id, entry in entries.items()}


def read_command(body: object) -> WaitingCommand | None:
    """Return the waiting command; `{}` says that there is none (section 6.1)."""
    told = _or_empty(body)
    command_id = told.get("id")
    if told and (isinstance(command_id, bool) or not isinstance(command_id, int | str) or command_id == ""):
        raise NotUnderstood("there is no usable id in the command")
    in_progress = told.get("status") == "in_progress"
    return _COMMAND.read({**told, "name": told.get("name") or "", "in_progress": in_progress}) if told else None


def read_commands(body: object) -> list[WaitingCommand]:
    """Return the waiting commands of a parent and its children (section 6.2)."""
    return [command for command in map(read_command, as_list(body)) if command is not None]


def read_configuration(body: object) -> Configuration:
    """Return the configuration; before Model API version 1.0.5 it stood beside the server's own fields (section 7.1)."""
    told = as_object(body)
    beside = {key: value for key, value in told.items() if key not in {"version", "last_updated", "name", "device_id", "success"}}
    return _CONFIGURATION.read(told if "config" in told else {**told, "config": beside})


def read_config_version(body: object) -> int | None:
    """Return the version that Set Config made (section 7.2); `None` when the hub does not say."""
    return next(iter(valid(_COUNT, _or_empty(body).get("version"))), None)


def read_licenses(body: object) -> list[License]:
    """Return the licences of an answer: an object, an array, or `{}`; `action` as a word or as booleans (section 9.1)."""
    return [_LICENSE.read({**entry, "action": _action(entry)}) for entry in map(as_object, as_list(body))]


def read_license(body: object) -> License | None:
    """Return the next licence change, if any."""
    return next(iter(read_licenses(body)), None)


def read_dump_length(body: object) -> int | None:
    """Return how many bytes the dump has now (section 10.2); `None` when the hub does not say."""
    return next(iter(valid(_COUNT, _or_empty(body).get("length"))), None)


def read_incident_id(body: object) -> str:
    """Return the id of the incident just opened (section 11)."""
    told = as_object(body)
    incident_id = _usable(told.get("incident_id")) or _usable(told.get("id"))
    if incident_id is None:
        raise NotUnderstood("there is no usable incident_id in the answer")
    return incident_id


def _told(**fields: object) -> Body:
    return {name: value for name, value in fields.items() if value is not None}


def _wider_part(device: DeviceRegistration) -> Body:
    return _told(
        parent_id=device.parent_id,
        host_address=device.host_address,
        custom_partner_name=device.custom_partner_name,
        custom_model_name=device.custom_model_name,
    )


def _or_empty(body: object) -> Mapping[str, object]:
    return {} if body is None else as_object(body)


def _refusal(entry: Mapping[str, object], secrets: Collection[SecretStr]) -> Refusal | None:
    if entry.get("error"):
        return Refusal(hub_words(entry["error"], secrets))
    return Refusal("not accepted, and no reason given") if entry.get("success") is False else None


def _action(entry: Mapping[str, object]) -> object:
    return entry.get("action") or next((action for action in LicenseAction if entry.get(action) is True), None)


def _usable(value: object) -> str | None:
    """Return a text that can stand in a path or a header, or `None`; the word `null` is none (section 3.1)."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    usable = text and text.lower() != "null" and text.isascii() and text.isprintable() and " " not in text
    return text if usable else None


def _address(value: object) -> str | None:
    text = _usable(value)
    return None if text is None else whole_url(text)
