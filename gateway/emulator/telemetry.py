"""Validate telemetry messages, apply them to device states and return the eight flags (section 5). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from gateway.emulator.api_types import ApiError, Form, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.commands import next_command
from gateway.emulator.device import Device, Value
from gateway.emulator.field_validation import INT32, optional_flag, optional_time, required_choice
from gateway.emulator.files import latest_firmware
from gateway.emulator.journal import AcceptedTelemetry

STATUS_WORDS = ("online", "offline", "error")
DEVICES_PER_CALL = 100
MESSAGE_BYTES = 128 * 1024
STRING_BYTES = 1000
FLOAT32_MAX = 3.4028234663852886e38
"""The largest finite number of IEEE 754 binary32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryUpdate:
    """One validated telemetry message."""

    status: str
    at: datetime | None
    override: bool
    values: dict[str, Value | None]


def send(cloud: Cloud, device: Device, request: Request) -> Response:
    """Accept one message of the device itself (section 5.1)."""
    accept(cloud, device, read_message(cloud, request.form(), size=len(request.body)))
    return Response(cloud.quirks.telemetry_status, flags(cloud, device))


def send_for_children(cloud: Cloud, request: Request) -> Response:
    """Accept a message for each of up to 100 children of one parent, with the parent's key (section 5.3)."""
    parent = cloud.authorise(request.device_id, request.authorization, updates_last_seen=cloud.quirks.bulk_refreshes_parent)
    entries = _entries(request)
    own = {child.id: child for child in cloud.children(parent)}
    if cloud.quirks.foreign_child == "omitted":
        entries = {device_id: entry for device_id, entry in entries.items() if device_id in own}
    return _accept_each(
        cloud,
        {device_id: (own.get(device_id), entry) for device_id, entry in entries.items()},
        _foreign_child_error(cloud),
        needs_values=False,
    )


def send_mass(cloud: Cloud, request: Request) -> Response:
    """Accept a message for each of up to 100 devices, each with its own key as `access_token` (section 5.4)."""
    entries = {device_id: (_device_with_token(cloud, device_id, entry), entry) for device_id, entry in _entries(request).items()}
    cloud.count_request(device for device, _entry in entries.values() if device is not None)
    return _accept_each(cloud, entries, "Invalid access token")


def read_message(cloud: Cloud, form: object, *, size: int, needs_values: bool = True) -> TelemetryUpdate:
    """Return the validated message of `size` bytes; 422 with the documented text when it breaks a rule.

    Only in Send Child Telemetries may `telemetries` be left out (section 5.1).
    """
    if size > MESSAGE_BYTES:
        raise ApiError(422, "Message is too large")
    if isinstance(form, dict) and "telemetries" not in form and not needs_values:
        form = {**form, "telemetries": {}}
    if not isinstance(form, dict) or not isinstance(values := form.get("telemetries"), dict):
        raise ApiError(422, "Missing 'telemetries' object")
    if cloud.quirks.telemetry_message == "refused" and "message" in form:
        raise ApiError(422, "Unknown field: message")
    for key, value in values.items():
        _check_value(key, value, strict=cloud.quirks.strict_values)
    return TelemetryUpdate(
        status=required_choice(form, "status", STATUS_WORDS),
        at=optional_time(form, "timestamp"),
        override=optional_flag(form, "override"),
        values=values,
    )


def accept(cloud: Cloud, device: Device, message: TelemetryUpdate) -> None:
    """Merge a message into the device's state: `null` deletes a key, `override` replaces the whole state."""
    state = {} if message.override else dict(device.state)
    for key, value in message.values.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    device.state = {**state, "status": message.status}
    now = cloud.clock()
    device.hear(now)
    cloud.journal.record_telemetry(
        device.id,
        AcceptedTelemetry(
            received_at=now, at=message.at or now, status=message.status, values=message.values, override=message.override
        ),
    )


def flags(cloud: Cloud, device: Device) -> dict[str, object]:
    """Return the flags in the response to a telemetry message (section 5.1)."""
    firmware = latest_firmware(cloud, device)
    waiting = next_command(device, cloud.clock())
    return {
        "config_version": device.config.version,
        "command": waiting is not None and (cloud.quirks.command_flag == "until-terminal" or waiting.status == "pending"),
        "new_licenses": any(licence.state == "pending" for licence in device.licences),
        "info_version": device.info_changes if cloud.quirks.info_version == "counts" else 0,
        "latest_fw_version": firmware.version if firmware else None,
        "latest_fw_file_id": firmware.id if firmware else None,
        "space_data_version": device.space_data_version,
        "success": True,
    }


def _entries(request: Request) -> Form:
    entries = request.form()
    if len(entries) > DEVICES_PER_CALL:
        raise ApiError(422, f"At most {DEVICES_PER_CALL} devices in one call")
    return entries


def _device_with_token(cloud: Cloud, device_id: str, entry: object) -> Device | None:
    token = entry.get("access_token") if isinstance(entry, dict) else None
    try:
        device = cloud.identify(device_id, token if isinstance(token, str) else None)
    except ApiError:
        return None
    device.hear(cloud.clock())
    return device


def _foreign_child_error(cloud: Cloud) -> str:
    return "Not authorized" if cloud.quirks.foreign_child == "not-authorized" else "Not found"


def _accept_each(
    cloud: Cloud, entries: dict[str, tuple[Device | None, object]], unknown_device_error: str, *, needs_values: bool = True
) -> Response:
    """Accept each valid entry; the status is 422 when one of them is invalid."""
    results = {
        device_id: {"error": unknown_device_error}
        if device is None
        else _accept_or_error(cloud, device, entry, needs_values=needs_values)
        for device_id, (device, entry) in entries.items()
    }
    is_bad = any("error" in result for result in results.values())
    return Response(422 if is_bad else cloud.quirks.telemetry_status, results)


def _accept_or_error(cloud: Cloud, device: Device, entry: object, *, needs_values: bool) -> dict[str, object]:
    size = len(json.dumps(entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    try:
        accept(cloud, device, read_message(cloud, entry, size=size, needs_values=needs_values))
    except ApiError as error:
        return {"error": error.error}
    return flags(cloud, device)


def _check_value(key: str, value: object, *, strict: bool) -> None:
    if not isinstance(value, str | int | float | None):
        raise ApiError(422, f"Common telemetries.{key} must be string, number or boolean")
    if strict and isinstance(value, str) and len(value.encode()) > STRING_BYTES:
        raise ApiError(422, f"Common telemetries.{key} is too long (maximum is {STRING_BYTES} bytes)")
    if strict and isinstance(value, int) and value not in INT32:
        raise ApiError(422, f"Common telemetries.{key} must be a 32-bit integer")
    if strict and isinstance(value, float) and abs(value) > FLOAT32_MAX:
        raise ApiError(422, f"Common telemetries.{key} must be a 32-bit float")
