"""Takes in what devices say unprompted: values at once, new devices when the supervisor has time for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.models import Found, Reading

MOST_WAITING = 10_000
"""Of more, the oldest is dropped: that many wait only when the gateway itself stands still."""


class UplinkQueue:
    """An `Uplink` in which whoever is found waits, and values wait only behind somebody found, who may be the one they are of.

    Args:
        take_in: is given values that need not wait.
    """

    def __init__(self, take_in: Callable[[Sequence[Reading]], None]) -> None:
        self._take_in = take_in
        self._queue: asyncio.Queue[Found | Sequence[Reading]] = asyncio.Queue(maxsize=MOST_WAITING)
        self._is_busy = False

    def found(self, found: Found) -> None:
        """Take in a device that spoke."""
        self._put(found)

    def heard(self, readings: Sequence[Reading]) -> None:
        """Take in values."""
        if self._is_busy or not self._queue.empty():
            self._put(readings)
        else:
            self._take_in(readings)

    async def next(self) -> Found | Sequence[Reading]:
        """Wait for the next thing that waits, and return it; what comes until the next call waits behind it."""
        self._is_busy = False
        heard = await self._queue.get()
        self._is_busy = True
        return heard

    def _put(self, heard: Found | Sequence[Reading]) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(heard)
