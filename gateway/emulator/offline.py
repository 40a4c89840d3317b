"""Find devices that are offline, and say which status customers see (sections 4.5, 12 and 18). Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

from gateway.emulator.cloud import Cloud
from gateway.emulator.device import OFFLINE_ISSUE, Device
from gateway.emulator.incidents import is_suspended

ShownStatus: TypeAlias = Literal["never seen", "disconnected", "error", "warning", "offline", "ok"]


def check_devices(cloud: Cloud) -> list[Device]:
    """Return the devices that have just become offline; an incident opens for each one that is claimed.

    A device that carries out a command does not become offline until the command's timeout (section 6). The incident closes by
    itself with the next call of the device (`Device.hear`).
    """
    now = cloud.clock()
    silent = [device for device in cloud.devices.values() if not device.is_offline and _is_silent(cloud, device)]
    for device in silent:
        device.is_offline = True
        if device.claimed and not is_suspended(device):
            text = (
                f"Not heard since {device.last_seen:%Y-%m-%d %H:%M:%S} UTC, for longer than its model allows at {now:%H:%M:%S}."
            )
            cloud.open_incident(device, "Device is offline", issue=OFFLINE_ISSUE, description=text, origin="rule")
    return silent


def shown_status(cloud: Cloud, device: Device) -> ShownStatus:
    """Return the status that customers see: the first one that holds, in the order of section 4.5.

    That open incidents make a `warning` is this emulator's reading; the reference only names incidents among the causes.
    """
    parent = cloud.devices.get(device.parent_id or "")
    status = device.state.get("status")
    if device.last_seen is None:
        return "never seen"
    if parent is not None and (parent.is_offline or parent.state.get("status") in ("offline", "error")):
        return "disconnected"
    if status == "error":
        return "error"
    if any(incident.is_open and incident.issue != OFFLINE_ISSUE for incident in device.incidents):
        return "warning"
    return "offline" if device.is_offline or status == "offline" else "ok"


def _is_silent(cloud: Cloud, device: Device) -> bool:
    minutes = cloud.saved_state.offline_minutes.get(device.model_id, cloud.quirks.offline_minutes)
    now = cloud.clock()
    for command in device.commands:
        command.settle(now)
    is_at_work = any(command.status == "in_progress" for command in device.commands)
    return (
        bool(minutes) and not is_at_work and device.last_seen is not None and now - device.last_seen > timedelta(minutes=minutes)
    )
