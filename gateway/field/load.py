"""What a bus's time was spent on, in the last minute or two. Nothing here waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import StrEnum

WINDOW_SECONDS = 60.0


class Spending(StrEnum):
    """What a bus spends its time on."""

    READING = "reading"
    SILENT = "silent"
    """Asking those who do not answer."""
    DISCOVERY = "discovery"
    COMMANDS = "commands"


class Load:
    """The shares of one bus's time, over the window that is full and the one that is filling.

    Times are seconds of one clock, passed in.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._full_seconds = 0.0
        self._full: Mapping[tuple[Spending, str], float] = {}
        self._filling: defaultdict[tuple[Spending, str], float] = defaultdict(float)

    def spent(self, on: Spending, child: str, seconds: float, now: float) -> None:
        """Note that the bus was taken for so long; `child` is empty where it was for none."""
        if now - self._since >= WINDOW_SECONDS:
            self._turn_over(now)
        self._filling[on, child] += seconds

    def by_purpose(self, now: float) -> Mapping[Spending, float]:
        """Return the share of the bus's time that each purpose took."""
        return {purpose: self._share(now, lambda key: key[0] is purpose) for purpose in Spending}  # noqa: B023 - called at once

    def of(self, child: str, now: float) -> float:
        """Return the share of the bus's time that this child took, for whatever purpose."""
        return self._share(now, lambda key: key[1] == child)

    def _share(self, now: float, counts: Callable[[tuple[Spending, str]], bool]) -> float:
        if now - self._since >= WINDOW_SECONDS:
            self._turn_over(now)
        spent = sum(seconds for window in (self._full, self._filling) for key, seconds in window.items() if counts(key))
        span = self._full_seconds + now - self._since
        return min(spent / span, 1.0) if span > 0 else 0.0

    def _turn_over(self, now: float) -> None:
        self._full, self._filling = self._filling, defaultdict(float)
        self._full_seconds, self._since = now - self._since, now
