"""Measure what the time of a bus was used for in the last minute or two. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

WINDOW_SECONDS = 60.0

_Key = TypeVar("_Key", "LoadPurpose", str)


class LoadPurpose(StrEnum):
    """What the time of a bus is used for."""

    READING = "reading"
    SILENT = "silent"
    """Attempts to reach children that do not answer."""
    DISCOVERY = "discovery"
    COMMANDS = "commands"


class BusLoad:
    """The shares of one bus's time in the last complete window and the current one.

    Times are seconds of one clock, passed in.
    """

    def __init__(self, now: float) -> None:
        self._began_at = now
        self._last_seconds = 0.0
        self._last: Mapping[tuple[LoadPurpose, str], float] = {}
        self._current: defaultdict[tuple[LoadPurpose, str], float] = defaultdict(float)

    def add(self, purpose: LoadPurpose, child: str, seconds: float, now: float) -> None:
        """Add time that the bus was in use; `child` is empty where it was for no child."""
        self._start_window_if_due(now)
        self._current[purpose, child] += seconds

    def by_purpose(self, now: float) -> Mapping[LoadPurpose, float]:
        """Return the share of the bus's time that each purpose took."""
        shares = self._shares(now, lambda key: key[0])
        return {purpose: shares.get(purpose, 0.0) for purpose in LoadPurpose}

    def measured_seconds(self, now: float) -> float:
        """Return over how long the shares are measured."""
        self._start_window_if_due(now)
        return self._last_seconds + now - self._began_at

    def by_child(self, now: float) -> Mapping[str, float]:
        """Return the share of the bus's time that each child took, for all purposes; children that took none are left out."""
        shares = self._shares(now, lambda key: key[1])
        shares.pop("", None)
        return shares

    def _shares(self, now: float, key_of: Callable[[tuple[LoadPurpose, str]], _Key]) -> dict[_Key, float]:
        self._start_window_if_due(now)
        used: defaultdict[_Key, float] = defaultdict(float)
        for window in (self._last, self._current):
            for key, seconds in window.items():
                used[key_of(key)] += seconds
        span = self._last_seconds + now - self._began_at
        return {key: min(seconds / span, 1.0) if span > 0 else 0.0 for key, seconds in used.items()}

    def _start_window_if_due(self, now: float) -> None:
        if now - self._began_at >= WINDOW_SECONDS:
            self._last, self._current = self._current, defaultdict(float)
            self._last_seconds, self._began_at = now - self._began_at, now
