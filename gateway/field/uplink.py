"""Takes in what devices say unprompted, until the supervisor has time for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.models import Found, Reading

MOST_WAITING = 10_000
"""Of more, the oldest is dropped: that many wait only when the gateway itself stands still."""


class WaitingRoom:
    """An `Uplink` that keeps what it is given in the order in which it came."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Found | Sequence[Reading]] = asyncio.Queue(maxsize=MOST_WAITING)

    def found(self, found: Found) -> None:
        """Take in a device that spoke."""
        self._put(found)

    def heard(self, readings: Sequence[Reading]) -> None:
        """Take in values."""
        self._put(readings)

    async def next(self) -> Found | Sequence[Reading]:
        """Wait for the next thing that was said, and return it."""
        return await self._queue.get()

    def _put(self, heard: Found | Sequence[Reading]) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(heard)
