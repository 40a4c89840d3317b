"""Who answers and who fell silent, and that each is said once. Nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.field.observer import NO_OBSERVER, Observer
from gateway.models import Reach


@dataclass(frozen=True, slots=True)
class ChildAvailability:
    """How a child stands right now."""

    reach: Reach
    since: datetime | None
    why: str | None
    """The last reason for not answering; `None` while it answers."""
    misses: int
    """Unanswered transactions in a row."""


@dataclass(frozen=True, slots=True)
class AvailabilityChange:
    """A child fell silent, or is back."""

    child: str
    reach: Reach
    at: datetime
    why: str | None


_UNKNOWN = ChildAvailability(Reach.UNKNOWN, None, None, 0)


class Availability:
    """The availability of every child. Each method returns a change when there is one, else `None`."""

    def __init__(self, *, misses_until_silent: int = 3, observer: Observer = NO_OBSERVER) -> None:
        self._limit = misses_until_silent
        self._observer = observer
        self._standings: dict[str, ChildAvailability] = {}

    def of(self, child: str) -> ChildAvailability:
        """Return how this child stands."""
        return self._standings.get(child, _UNKNOWN)

    def answered(self, child: str, at: datetime) -> AvailabilityChange | None:
        """Note that the child answered in a way that can be trusted."""
        before = self.of(child)
        if before.reach is Reach.REACHABLE:
            if before.misses:
                self._standings[child] = ChildAvailability(Reach.REACHABLE, before.since, None, 0)
            return None
        self._standings[child] = ChildAvailability(Reach.REACHABLE, at, None, 0)
        self._observer.changed(child, Reach.REACHABLE, at, None)
        return AvailabilityChange(child, Reach.REACHABLE, at, None)

    def missed(self, child: str, at: datetime, why: str) -> AvailabilityChange | None:
        """Note a transaction without a trustworthy answer; silent after several in a row, at once if it never answered."""
        before = self.of(child)
        misses = before.misses + 1
        if before.reach is Reach.SILENT or (before.reach is Reach.REACHABLE and misses < self._limit):
            self._standings[child] = ChildAvailability(before.reach, before.since, why, misses)
            self._observer.missed(child, why)
            return None
        return self.lost(child, at, why)

    def lost(self, child: str, at: datetime, why: str) -> AvailabilityChange | None:
        """Note that the child cannot answer: its bus is gone, or another device sits at its address."""
        before = self.of(child)
        self._observer.missed(child, why)
        if before.reach is Reach.SILENT:
            self._standings[child] = ChildAvailability(Reach.SILENT, before.since, why, before.misses + 1)
            return None
        self._standings[child] = ChildAvailability(Reach.SILENT, at, why, before.misses + 1)
        self._observer.changed(child, Reach.SILENT, at, why)
        return AvailabilityChange(child, Reach.SILENT, at, why)

    def forget(self, child: str) -> None:
        """Drop a child that is no child any more."""
        self._standings.pop(child, None)
