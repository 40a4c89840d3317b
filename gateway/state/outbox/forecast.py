"""Tell how long the outbox holds at the present rate, from what was put in during the last hours. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from gateway.state.outbox.accounts import Totals
from gateway.state.outbox.bounds import Room

MEASURED_FOR = timedelta(hours=6)
STEP = timedelta(minutes=5)
"""What is put in is counted in steps of this length."""

KNOWN_AFTER = timedelta(minutes=10)
"""A shorter measurement says little: each child sends its whole state first."""


@dataclass(slots=True)
class _Step:
    begins_at: float
    samples: int = 0
    bytes: int = 0


class FillRate:
    """The rate at which samples are put into the outbox; times are of the event loop's clock."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque()

    def record(self, now: float, *, samples: int, size_bytes: int) -> None:
        """Count what was put in."""
        if not self._steps or now - self._steps[-1].begins_at >= STEP.total_seconds():
            self._steps.append(_Step(now))
        self._steps[-1].samples += samples
        self._steps[-1].bytes += size_bytes
        while now - self._steps[0].begins_at > MEASURED_FOR.total_seconds():
            self._steps.popleft()

    def a_day(self, now: float) -> Totals | None:
        """Return how many samples and bytes are put in a day; `None` before that is known."""
        seconds = now - self._steps[0].begins_at if self._steps else 0.0
        if seconds < KNOWN_AFTER.total_seconds():
            return None
        days = timedelta(seconds=seconds) / timedelta(days=1)
        samples, size = sum(step.samples for step in self._steps), sum(step.bytes for step in self._steps)
        return Totals(waiting=round(samples / days), bytes=round(size / days))

    def holds_for(self, now: float, room: Room, filled: Totals, keep_for: timedelta) -> timedelta | None:
        """Return how long nothing is lost from now on if the cloud takes nothing; `None` before the rate is known."""
        rate = self.a_day(now)
        if rate is None:
            return None
        days = [keep_for / timedelta(days=1)]
        if rate.waiting:
            days.append(max(room.samples - filled.waiting, 0) / rate.waiting)
        if rate.bytes:
            days.append(max(room.bytes - filled.bytes, 0) / rate.bytes)
        return timedelta(days=min(days))
