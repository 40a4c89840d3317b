"""Receive what devices send unprompted: values at once, found devices in a queue until there is time for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.models import Found, Reading

MOST_QUEUED = 2_000
"""Beyond this the oldest item is dropped and counted: so many wait only when the gateway hangs, or somebody floods the radio."""


class UplinkQueue:
    """An `Uplink` that queues found devices; values are queued only behind a found device, since they may be its first ones.

    Args:
        take_in: is called with values that need not be queued.
    """

    def __init__(self, take_in: Callable[[Sequence[Reading]], None]) -> None:
        self._take_in = take_in
        self._queue: asyncio.Queue[Found | Sequence[Reading]] = asyncio.Queue(maxsize=MOST_QUEUED)
        self._is_busy = False
        self.dropped = 0
        """How many items were dropped."""
        self._is_closed = False

    def close(self) -> None:
        """Drop whatever comes from now on: the bus is closed, and who still reports something was left running."""
        self._is_closed = True

    def found(self, found: Found) -> None:
        """Queue a device that sent something."""
        if not self._is_closed:
            self._put(found)

    def heard(self, readings: Sequence[Reading]) -> None:
        """Take in values, or queue them behind a found device."""
        if self._is_closed:
            return
        if self._is_busy or not self._queue.empty():
            self._put(readings)
        else:
            self._take_in(readings)

    async def next(self) -> Found | Sequence[Reading]:
        """Wait for the next queued item and return it; whatever arrives until the next call is queued behind it."""
        self._is_busy = False
        item = await self._queue.get()
        self._is_busy = True
        return item

    def _put(self, item: Found | Sequence[Reading]) -> None:
        if self._queue.full():
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait(item)
