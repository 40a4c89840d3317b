"""Who answers and who fell silent, and that each is said once. Nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.field.observer import NOBODY, Witness
from gateway.models import Reach


@dataclass(frozen=True, slots=True)
class Standing:
    """How a child stands right now."""

    reach: Reach
    since: datetime | None
    why: str | None
    """The last reason for not answering; `None` while it answers."""
    misses: int
    """Unanswered transactions in a row."""


@dataclass(frozen=True, slots=True)
class Change:
    """A child fell silent, or is back."""

    child: str
    reach: Reach
    at: datetime
    why: str | None


_UNKNOWN = Standing(Reach.UNKNOWN, None, None, 0)


class Availability:
    """Each child's standing. A method returns a `Change` when there is something to say, and `None` when all is as it was."""

    def __init__(self, *, misses_until_silent: int = 3, witness: Witness = NOBODY) -> None:
        self._limit = misses_until_silent
        self._witness = witness
        self._standings: dict[str, Standing] = {}

    def of(self, child: str) -> Standing:
        """Return how this child stands."""
        return self._standings.get(child, _UNKNOWN)

    def answered(self, child: str, at: datetime) -> Change | None:
        """Note that the child answered in a way that can be trusted."""
        before = self.of(child)
        if before.reach is Reach.REACHABLE:
            if before.misses:
                self._standings[child] = Standing(Reach.REACHABLE, before.since, None, 0)
            return None
        self._standings[child] = Standing(Reach.REACHABLE, at, None, 0)
        self._witness.changed(child, Reach.REACHABLE, at, None)
        return Change(child, Reach.REACHABLE, at, None)

    def missed(self, child: str, at: datetime, why: str) -> Change | None:
        """Note a transaction without a trustworthy answer; silent after several in a row, at once if it never answered."""
        before = self.of(child)
        misses = before.misses + 1
        if before.reach is Reach.SILENT or (before.reach is Reach.REACHABLE and misses < self._limit):
            self._standings[child] = Standing(before.reach, before.since, why, misses)
            self._witness.missed(child, why)
            return None
        return self.lost(child, at, why)

    def lost(self, child: str, at: datetime, why: str) -> Change | None:
        """Note that the child cannot answer: its bus is gone, or another device sits at its address."""
        before = self.of(child)
        self._witness.missed(child, why)
        if before.reach is Reach.SILENT:
            self._standings[child] = Standing(Reach.SILENT, before.since, why, before.misses + 1)
            return None
        self._standings[child] = Standing(Reach.SILENT, at, why, before.misses + 1)
        self._witness.changed(child, Reach.SILENT, at, why)
        return Change(child, Reach.SILENT, at, why)

    def forget(self, child: str) -> None:
        """Drop a child that is no child any more."""
        self._standings.pop(child, None)
