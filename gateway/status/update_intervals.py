"""Define how often the values of a device are expected, and after which time they are not of now any more. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

LATE_INTERVALS: Final = 3
OLD_INTERVALS: Final = 12
SHORTEST_LATE_SECONDS: Final = 30.0
SHORTEST_LATE_UNASKED_SECONDS: Final = 300.0
"""Of a device that sends by itself: not each of its messages has every value, so one value may be missing for a while."""

UNKNOWN_LATE_SECONDS: Final = 300.0
"""Where it is not known how often a value comes: before its bus was opened, for example."""


@dataclass(frozen=True, slots=True)
class UpdateIntervals:
    """How often the values of one device are expected, in seconds."""

    longest: float | None = None
    """For values that are not in `by_metric`; `None` where it is not known."""
    by_metric: Mapping[str, float] = field(default_factory=dict)
    is_unasked: bool = False
    """The device sends by itself."""

    def late_after(self, metric: str) -> float:
        """Return the age in seconds from which a value is dimmed."""
        every = self.by_metric.get(metric, self.longest)
        if every is None:
            return UNKNOWN_LATE_SECONDS
        return max(LATE_INTERVALS * every, SHORTEST_LATE_UNASKED_SECONDS if self.is_unasked else SHORTEST_LATE_SECONDS)

    def old_after(self, metric: str) -> float:
        """Return the age in seconds from which a value is one of the past."""
        return self.late_after(metric) * OLD_INTERVALS / LATE_INTERVALS


UNKNOWN_INTERVALS: Final = UpdateIntervals()


class UpdateIntervalsView(Protocol):
    """The part of `gateway.status.view.View` that tells how old values may be."""

    def update_intervals(self, key: str) -> UpdateIntervals:
        """Return how often the values of a child are expected; `UNKNOWN_INTERVALS` where that is not known (any more)."""
