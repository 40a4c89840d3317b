"""Define how much the outbox may hold: samples, bytes, age, and what has to stay free on its disk. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MOST_BYTES = 1024 * 1024 * 1024
KEEP_FOR = timedelta(days=90)

SHARE_OF_DISK = 10
"""On a small disk a tenth of it has to stay free, if that is less than `free_bytes`."""

LEAST_BYTES = 4 * 1024 * 1024
"""So much the outbox may hold on a disk that others have filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much the outbox may hold."""

    samples: int
    bytes: int = MOST_BYTES
    keep_for: timedelta = KEEP_FOR
    """Older samples are dropped, as long as the clock can be trusted."""
    free_bytes: int = 0
    """What has to stay free on the disk, inside and outside the file of the store."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The space of the disk that the store is on."""

    total: int
    free: int
    """For this user, and in the file of the store."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much the outbox may hold at this moment."""

    samples: int
    bytes: int
    is_disk_full: bool
    """The disk leaves less room than the settings."""


def room(bounds: Bounds, waiting_bytes: int, disk: DiskSpace | None) -> Room:
    """Return how much the outbox may hold, with what it has already; `disk` is `None` where it cannot be asked."""
    if disk is None or not bounds.free_bytes:
        return Room(bounds.samples, bounds.bytes, is_disk_full=False)
    reserve = min(bounds.free_bytes, disk.total // SHARE_OF_DISK)
    on_disk = max(waiting_bytes + disk.free - reserve, LEAST_BYTES)
    return Room(bounds.samples, min(bounds.bytes, on_disk), is_disk_full=on_disk < bounds.bytes)
