"""Handle Get Device Info, Update Device, Delete Device and Set Cloud Settings (section 8). Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from gateway.emulator.api_types import ApiError, Form, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.configuration import flat_config_json
from gateway.emulator.device import Device, iso
from gateway.emulator.field_validation import label, optional_object, optional_text, required_firmware_version, required_text
from gateway.emulator.registration import vendor_and_model

UPDATES_PER_HOUR = 10


def get(_cloud: Cloud, device: Device, _request: Request) -> Response:
    """Return the record of the device (section 8.1)."""
    return Response(200, info_json(device))


def info_json(device: Device) -> dict[str, object]:
    """Return the device info object."""
    return {
        "id": device.id,
        "partner": {"sn": device.sn, "mac": device.mac, **vendor_and_model(device)},
        "config": flat_config_json(device),
        "state": device.state,
        "last_seen": iso(device.last_seen) if device.last_seen else None,
        "custom": {"prompt": None},
        "name": device.name,
        "firmware_version": device.firmware_version,
        "claimed": device.claimed,
        "details": device.details,
    }


def update(cloud: Cloud, device: Device, request: Request) -> Response:
    """Apply the changes of a device, all of them or none; ten calls an hour (section 8.2)."""
    cloud.admit(f"{device.id} update", limit=UPDATES_PER_HOUR, within=timedelta(hours=1))
    form = request.form()
    unknown = sorted(form.keys() - _CHANGES.keys())
    if unknown and cloud.quirks.since("1.0.6"):
        raise ApiError(400, f"Unknown field: {', '.join(unknown)}")
    changes = [read(cloud, device, form) for field, read in _CHANGES.items() if form.get(field) is not None]
    for change in changes:
        change()
    device.info_changes += bool(changes)
    return Response(200, info_json(device))


def delete(cloud: Cloud, device: Device, _request: Request) -> Response:
    """Delete the device that makes the call (sections 8.3 and 17.24)."""
    cloud.delete(device.id)
    return Response(200, {"success": True}) if cloud.quirks.delete_status == 200 else Response(204)


def set_cloud_settings(_cloud: Cloud, device: Device, request: Request) -> Response:
    """Set one cloud setting of the device (section 8.4)."""
    form = request.form()
    name, value = required_text(form, "property"), form.get("value")
    if not isinstance(value, str | int | float):
        raise ApiError(422, "Value is invalid")
    device.settings[name] = value
    return Response(200, {"success": True})


def _text(field: str) -> Callable[[Cloud, Device, Form], Callable[[], None]]:
    def read(_cloud: Cloud, device: Device, form: Form) -> Callable[[], None]:
        value = optional_text(form, field)
        return lambda: setattr(device, field, value)

    return read


def _firmware_version(cloud: Cloud, device: Device, form: Form) -> Callable[[], None]:
    value = required_firmware_version(form, semantic=cloud.quirks.since("1.0.4"))
    return lambda: setattr(device, "firmware_version", value)


def _details(cloud: Cloud, device: Device, form: Form) -> Callable[[], None]:
    sent = optional_object(form, "details") or {}
    value = {**device.details, **sent} if cloud.quirks.details_update == "merge" else sent
    return lambda: setattr(device, "details", value)


def _config_version(cloud: Cloud, device: Device, form: Form) -> Callable[[], None]:
    value = _counter(cloud, form, "config_version")
    return lambda: setattr(device.config, "applied_version", value)


def _space_version(cloud: Cloud, device: Device, form: Form) -> Callable[[], None]:
    value = _counter(cloud, form, "space_version")
    return lambda: setattr(device, "applied_space_version", value)


def _parent_id(cloud: Cloud, device: Device, form: Form) -> Callable[[], None]:
    """Move under another parent: of the same partner (there is one here), both unclaimed or claimed by the same customer."""
    parent = cloud.devices.get(required_text(form, "parent_id"))
    if parent is None:
        raise ApiError(422, "Parent must exist")
    if parent is device or parent in cloud.descendants(device) or parent.kinship == "controlled":
        raise ApiError(422, "Parent is invalid")
    if parent.claimed != device.claimed:
        raise ApiError(422, "Parent must be claimed by the same customer")
    return partial(_move_under, device, parent)


def _move_under(device: Device, parent: Device) -> None:
    device.parent_id = parent.id
    if device.kinship == "stand-alone":
        device.kinship = "smart"


def _counter(cloud: Cloud, form: Form, field: str) -> int:
    """Return a counter, which is sent as a string (section 17.10)."""
    value, accepted = form[field], cloud.quirks.config_version_type
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 and accepted != "number":
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and accepted != "string":
        return value
    raise ApiError(422, f"{label(field)} is invalid")


_CHANGES: dict[str, Callable[[Cloud, Device, Form], Callable[[], None]]] = {
    "firmware_version": _firmware_version,
    "name": _text("name"),
    "sub_model": _text("sub_model"),
    "host_address": _text("host_address"),
    "details": _details,
    "config_version": _config_version,
    "space_version": _space_version,
    "parent_id": _parent_id,
}
