"""Keep the readings of messages that devices send unasked, until the adapter reads them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from gateway.adapter import Reading

MAX_READINGS = 1000
"""Number of readings that are kept for one profile: a device may send without ever being read."""


class UnsolicitedReadings:
    """Buffer of the latest readings from messages, by profile name."""

    def __init__(self) -> None:
        self._readings: defaultdict[str, list[Reading]] = defaultdict(list)
        self._given_up: set[str] = set()
        self._changed = asyncio.Event()

    def add(self, profile: str, readings: Iterable[Reading]) -> None:
        """Keep the readings of a message."""
        self._readings[profile].extend(readings)
        del self._readings[profile][:-MAX_READINGS]
        self._changed.set()

    def give_up(self, profile: str) -> None:
        """End the wait for a message: one came that cannot be decoded."""
        self._given_up.add(profile)
        self._changed.set()

    async def next_for(self, profile: str, seconds: float) -> Sequence[Reading]:
        """Wait for a message from now on, and return its readings; none if no message comes within this time."""
        self._readings.pop(profile, None)
        self._given_up.discard(profile)
        try:
            async with asyncio.timeout(seconds):
                while not self._readings.get(profile) and profile not in self._given_up:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        return tuple(self._readings.get(profile, ()))
