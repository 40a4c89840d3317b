"""Where a claimed device is: Get Space Info and Space Move (sections 8.5 and 8.6)."""

from __future__ import annotations

from datetime import timedelta, timezone

from gateway.emulator.api_types import Answer, Refused, Request
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, Space


def get(cloud: Cloud, device: Device, _request: Request) -> Answer:
    """Tell a device its space; 422 when nobody claimed it."""
    return Answer(cloud.quirks.space_status, _told(cloud, device, _space(device)))


def move(cloud: Cloud, device: Device, request: Request) -> Answer:
    """Move a claimed device to its parent's space or to none in particular, and tell it the new one."""
    _space(device)
    space = _target(cloud, device, request.form().get("target"))
    device.settle(device.claimed or "", space)
    return Answer(200, _told(cloud, device, space))


def _space(device: Device) -> Space:
    if device.space is None:
        raise Refused(422, "Device not in space")
    return device.space


def _target(cloud: Cloud, device: Device, target: object) -> Space:
    if target == "unsorted":
        return Space()
    if target != "follow_parent":
        raise Refused(422, "Target must be follow_parent or unsorted")
    parent = cloud.devices.get(device.parent_id or "")
    if parent is None:
        raise Refused(422, "Device has no parent")
    return _space(parent)


def _told(cloud: Cloud, device: Device, space: Space) -> dict[str, object]:
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
