"""Track which children answer and which are silent, and report each change once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.field.observer import NO_OBSERVER, Observer
from gateway.models import Reach


@dataclass(frozen=True, slots=True)
class ChildAvailability:
    """Whether one child answers, and since when."""

    reach: Reach
    since: datetime | None
    why: str | None
    """The last reason for not answering; `None` while it answers."""
    misses: int
    """Unanswered transactions in a row."""


@dataclass(frozen=True, slots=True)
class AvailabilityChange:
    """A child's change between reachable and silent."""

    child: str
    reach: Reach
    at: datetime
    why: str | None


_UNKNOWN = ChildAvailability(Reach.UNKNOWN, None, None, 0)


class Availability:
    """The availability of every child. Each `record_...` method returns a change when there is one, else `None`."""

    def __init__(self, *, misses_until_silent: int = 3, observer: Observer = NO_OBSERVER) -> None:
        self._misses_until_silent = misses_until_silent
        self._observer = observer
        self._children: dict[str, ChildAvailability] = {}

    def __contains__(self, child: object) -> bool:
        return child in self._children

    def of(self, child: str) -> ChildAvailability:
        """Return the availability of a child; unknown if nothing was recorded of it."""
        return self._children.get(child, _UNKNOWN)

    def record_answer(self, child: str, at: datetime) -> AvailabilityChange | None:
        """Record that the child answered in a way that can be trusted."""
        before = self.of(child)
        if before.reach is Reach.REACHABLE:
            if before.misses:
                self._children[child] = ChildAvailability(Reach.REACHABLE, before.since, None, 0)
            return None
        self._children[child] = ChildAvailability(Reach.REACHABLE, at, None, 0)
        self._observer.changed(child, Reach.REACHABLE, at, None)
        return AvailabilityChange(child, Reach.REACHABLE, at, None)

    def record_miss(self, child: str, at: datetime, why: str) -> AvailabilityChange | None:
        """Record a transaction without a trustworthy answer: several in a row make a child silent, one if it never answered."""
        before = self.of(child)
        misses = before.misses + 1
        if before.reach is Reach.SILENT or (before.reach is Reach.REACHABLE and misses < self._misses_until_silent):
            self._children[child] = ChildAvailability(before.reach, before.since, why, misses)
            self._observer.missed(child, why)
            return None
        return self.record_loss(child, at, why)

    def record_loss(self, child: str, at: datetime, why: str) -> AvailabilityChange | None:
        """Record that the child cannot answer, since its bus is lost or another device has its address: it is silent at once."""
        before = self.of(child)
        self._observer.missed(child, why)
        if before.reach is Reach.SILENT:
            self._children[child] = ChildAvailability(Reach.SILENT, before.since, why, before.misses + 1)
            return None
        self._children[child] = ChildAvailability(Reach.SILENT, at, why, before.misses + 1)
        self._observer.changed(child, Reach.SILENT, at, why)
        return AvailabilityChange(child, Reach.SILENT, at, why)

    def forget(self, child: str) -> None:
        """Free what is kept of a child that was removed."""
        self._children.pop(child, None)
