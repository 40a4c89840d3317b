"""What a bus's time was spent on, in the last minute or two. Nothing here waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

WINDOW_SECONDS = 60.0

_Payer = TypeVar("_Payer", "LoadPurpose", str)


class LoadPurpose(StrEnum):
    """What a bus spends its time on."""

    READING = "reading"
    SILENT = "silent"
    """Asking those who do not answer."""
    DISCOVERY = "discovery"
    COMMANDS = "commands"


class BusLoad:
    """The shares of one bus's time, over the window that is full and the one that is filling.

    Times are seconds of one clock, passed in.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._full_seconds = 0.0
        self._full: Mapping[tuple[LoadPurpose, str], float] = {}
        self._filling: defaultdict[tuple[LoadPurpose, str], float] = defaultdict(float)

    def spent(self, on: LoadPurpose, child: str, seconds: float, now: float) -> None:
        """Note that the bus was taken for so long; `child` is empty where it was for none."""
        if now - self._since >= WINDOW_SECONDS:
            self._turn_over(now)
        self._filling[on, child] += seconds

    def by_purpose(self, now: float) -> Mapping[LoadPurpose, float]:
        """Return the share of the bus's time that each purpose took."""
        shares = self._shares(now, lambda key: key[0])
        return {purpose: shares.get(purpose, 0.0) for purpose in LoadPurpose}

    def by_child(self, now: float) -> Mapping[str, float]:
        """Return the share of the bus's time that each child took, for whatever purpose; without those that took none."""
        shares = self._shares(now, lambda key: key[1])
        shares.pop("", None)
        return shares

    def _shares(self, now: float, payer_of: Callable[[tuple[LoadPurpose, str]], _Payer]) -> dict[_Payer, float]:
        if now - self._since >= WINDOW_SECONDS:
            self._turn_over(now)
        spent: defaultdict[_Payer, float] = defaultdict(float)
        for window in (self._full, self._filling):
            for key, seconds in window.items():
                spent[payer_of(key)] += seconds
        span = self._full_seconds + now - self._since
        return {payer: min(seconds / span, 1.0) if span > 0 else 0.0 for payer, seconds in spent.items()}

    def _turn_over(self, now: float) -> None:
        self._full, self._filling = self._filling, defaultdict(float)
        self._full_seconds, self._since = now - self._since, now
