"""Show the last advertisements of a device as frames, with what each has, for a person who looks for a fault."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from adapters.ble.advertisements.ad_structures import structures_of, words_of
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.radio.gatt_records import wall_clock
from gateway.adapter import RecordedFrame

EARLIEST = datetime.min.replace(tzinfo=UTC)


def advertisement_frames(device: TrackedDevice) -> Sequence[RecordedFrame]:
    """Return what was received of a device last, the oldest first; the same content again and again as one frame."""
    return [
        RecordedFrame(
            structures_of(one.advertisement).hex(" "),
            wall_clock(one.at),
            "<",
            device.child_address,
            words_of(one.advertisement) + (f"; received {one.times} times" if one.times > 1 else ""),
        )
        for one in device.received
    ]


def recorded_at(frame: RecordedFrame) -> datetime:
    """Return when a frame was recorded, to sort by."""
    return frame.at or EARLIEST
