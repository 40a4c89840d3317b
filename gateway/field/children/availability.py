"""Track which children answer and which are silent, and report each change once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.causes import Reason
from gateway.field.observer import NO_OBSERVER, Observer
from gateway.models import Reach


@dataclass(frozen=True, slots=True)
class ChildAvailability:
    """Whether one child answers, and since when."""

    reach: Reach
    since: datetime | None
    reason: Reason | None
    """The last reason for not answering; `None` while it answers."""
    misses: int
    """Unanswered transactions in a row."""
    is_of_bus: bool = False
    """It is silent since its bus does not work, and for no reason of its own."""

    former: Reach = Reach.UNKNOWN
    """What it was before the start, while `reach` is unknown: `since` and `why` are of that time."""

    @property
    def last_reach(self) -> Reach:
        """What it is, and what it was before the start for as long as it has not been asked."""
        return self.former if self.reach is Reach.UNKNOWN else self.reach

    @property
    def why(self) -> str | None:
        """What was seen when it did not answer last."""
        return None if self.reason is None else self.reason.text


@dataclass(frozen=True, slots=True)
class AvailabilityChange:
    """A child's change between reachable and silent."""

    child: str
    reach: Reach
    at: datetime
    reason: Reason | None
    is_of_bus: bool = False
    """The silence that begins or ends now is that of its bus."""
    is_continued: bool = False
    """It was the same before the start of the gateway: only this run did not know it yet."""

    @property
    def why(self) -> str | None:
        """What was seen; `None` for a child that answers."""
        return None if self.reason is None else self.reason.text


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
        is_continued = before.last_reach is Reach.REACHABLE
        self._children[child] = ChildAvailability(Reach.REACHABLE, before.since if is_continued else at, None, 0)
        if not is_continued:
            self._observer.changed(child, Reach.REACHABLE, at, None)
        return AvailabilityChange(child, Reach.REACHABLE, at, None, before.is_of_bus, is_continued)

    def record_miss(self, child: str, at: datetime, reason: Reason) -> AvailabilityChange | None:
        """Record a transaction without a trustworthy answer: several in a row make a child silent, one if it never answered.

        A child that was silent because of its bus is silent for this reason from now on.
        """
        before = self.of(child)
        misses = before.misses + 1
        if before.reach is Reach.SILENT or (before.reach is Reach.REACHABLE and misses < self._misses_until_silent):
            self._children[child] = ChildAvailability(before.reach, before.since, reason, misses)
            self._observer.missed(child, reason)
            return None
        return self.record_loss(child, at, reason)

    def record_loss(self, child: str, at: datetime, reason: Reason) -> AvailabilityChange | None:
        """Record that the child cannot answer, as when another device has its address: it is silent at once."""
        before = self.of(child)
        self._observer.missed(child, reason)
        if before.reach is Reach.SILENT:
            self._children[child] = ChildAvailability(Reach.SILENT, before.since, reason, before.misses + 1)
            return None
        return self._fall_silent(child, at, before, ChildAvailability(Reach.SILENT, at, reason, before.misses + 1))

    def record_bus_loss(self, child: str, at: datetime, reason: Reason) -> AvailabilityChange | None:
        """Record that the bus of the child does not work: it is silent at once, and no transaction of its own has failed.

        A child that was silent before for a reason of its own keeps that. When the bus fails for another reason than before, only
        the reason changes.
        """
        before = self.of(child)
        if before.reach is Reach.SILENT:
            if before.is_of_bus and before.reason != reason:
                self._children[child] = replace(before, reason=reason)
            return None
        return self._fall_silent(child, at, before, ChildAvailability(Reach.SILENT, at, reason, before.misses, is_of_bus=True))

    def _fall_silent(self, child: str, at: datetime, before: ChildAvailability, silent: ChildAvailability) -> AvailabilityChange:
        """Note that a child is silent: from now on, or since the time before the start where it was silent then."""
        is_continued = before.last_reach is Reach.SILENT
        self._children[child] = replace(silent, since=before.since) if is_continued else silent
        if not is_continued:
            self._observer.changed(child, Reach.SILENT, at, silent.why)
        return AvailabilityChange(child, Reach.SILENT, at, silent.reason, silent.is_of_bus, is_continued)

    def restore(self, child: str, former: ChildAvailability) -> None:
        """Know what a child was before the start, until it is asked; nothing is reported."""
        if child not in self._children and former.reach is not Reach.UNKNOWN:
            self._children[child] = replace(former, reach=Reach.UNKNOWN, misses=0, former=former.reach)

    def redate(self, right: Callable[[datetime], datetime], children: Collection[str]) -> None:
        """Move the changes that these children made in this run to their right time, after the clock was set."""
        for child in children:
            known = self._children.get(child)
            if known is not None and known.since is not None and (since := right(known.since)) != known.since:
                self._children[child] = replace(known, since=since)

    def forget(self, child: str) -> None:
        """Free what is kept of a child that was removed."""
        self._children.pop(child, None)
