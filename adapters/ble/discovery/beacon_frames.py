"""Give a device that sent only the frame of a beacon some time to show what it really is."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.ble.discovery.tracked_device import TrackedDevice
from gateway.adapter import loop_time

BETTER_FRAME_SECONDS = 10.0
"""The time for which a device is received before it is reported as a beacon only: a later frame may show the real device, and the
cloud cannot change the model of a registered device."""


def is_undecided(device: TrackedDevice) -> bool:
    """Return whether the device sent only what devices of any maker send, and may soon send more."""
    return device.is_generic and (device.heard_since is None or loop_time() - device.heard_since < BETTER_FRAME_SECONDS)


def is_reportable(device: TrackedDevice) -> bool:
    """Return whether a person wants to know of the device, and nothing more has to be received or learned first."""
    return device.is_reportable and not is_undecided(device)


def decided_at(devices: Iterable[TrackedDevice], ends_at: float) -> float:
    """Return when the last of the devices is decided that were received before the end of a scan as beacons only.

    Args:
        devices: all that are tracked.
        ends_at: the end of the scan, by the loop's clock.
    """
    since = (device.heard_since for device in devices if device.is_generic and device.is_reportable)
    return max((at + BETTER_FRAME_SECONDS for at in since if at is not None and at < ends_at), default=0.0)
