"""Handle Get Space Info and Space Move (sections 8.5 and 8.6). Pure."""

from __future__ import annotations

from datetime import timedelta, timezone

from gateway.emulator.api_types import ApiError, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, Space


def get(cloud: Cloud, device: Device, _request: Request) -> Response:
    """Return the device's space; 422 for an unclaimed device."""
    return Response(cloud.quirks.space_status, _space_json(cloud, device, _space(device)))


def move(cloud: Cloud, device: Device, request: Request) -> Response:
    """Move a claimed device to its parent's space or to the unsorted one, and return the new space."""
    _space(device)
    space = _target(cloud, device, request.form().get("target"))
    device.assign(device.claimed or "", space)
    return Response(200, _space_json(cloud, device, space))


def _space(device: Device) -> Space:
    if device.space is None:
        raise ApiError(422, "Device not in space")
    return device.space


def _target(cloud: Cloud, device: Device, target: object) -> Space:
    if target == "unsorted":
        return Space()
    if target != "follow_parent":
        raise ApiError(422, "Target must be follow_parent or unsorted")
    parent = cloud.devices.get(device.parent_id or "")
    if parent is None:
        raise ApiError(422, "Device has no parent")
    return _space(parent)


def _space_json(cloud: Cloud, device: Device, space: Space) -> dict[str, object]:
    local = cloud.clock().astimezone(timezone(timedelta(minutes=space.utc_offset_minutes)))
    return {
        "location": _location(space),
        "temperature_units": space.temperature_units,
        "maintenance": space.maintenance,
        "name": space.name,
        "local_time": local.isoformat(timespec="seconds"),
        **({"device_id": device.id} if cloud.quirks.since("1.0.7") else {}),
    }


def _location(space: Space) -> dict[str, object] | None:
    if space.location_name is None:
        return None
    return {
        "coordinates": {"lat": space.latitude, "lng": space.longitude},
        "utc_offset": space.utc_offset_minutes,
        "name": space.location_name,
    }
