"""Decide when a cause that comes again and again is told: at once, and then less and less often. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from gateway.backoff import Backoff

TOLD_AGAIN_AFTER_SECONDS = 60.0
TOLD_AT_LEAST_EVERY_SECONDS = 3600.0

FORGOTTEN_AFTER_SECONDS = 2 * 3600.0
"""A cause that has not come for so long is told at once again."""

MOST_CAUSES = 20
"""So many causes are told apart; further ones count as one together, since a text may be another one each time."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """How often a cause has come since it was last told."""

    times: int
    is_first: bool
    """It was never told before, or not for a long time."""


@dataclass(slots=True)
class _Cause:
    seen_at: float
    tell_at: float
    untold: int = 0
    backoff: Backoff = field(default_factory=lambda: Backoff(TOLD_AGAIN_AFTER_SECONDS, TOLD_AT_LEAST_EVERY_SECONDS, jitter=0))


class RepeatedCauses:
    """Counts causes. Times are seconds of one clock, passed in."""

    def __init__(self) -> None:
        self._causes: dict[Hashable, _Cause] = {}
        self.counts: dict[Hashable, int] = {}
        """How often each cause has come."""

    def count(self, cause: Hashable, now: float) -> Occurrences | None:
        """Count a cause, and return what is to be told of it now, if anything."""
        for other in [other for other, known in self._causes.items() if now - known.seen_at > FORGOTTEN_AFTER_SECONDS]:
            del self._causes[other], self.counts[other]
        if cause not in self._causes and len(self._causes) >= MOST_CAUSES:
            cause = "others"
        known = self._causes.setdefault(cause, _Cause(now, now))
        known.seen_at = now
        known.untold += 1
        self.counts[cause] = self.counts.get(cause, 0) + 1
        if now < known.tell_at:
            return None
        known.tell_at = now + known.backoff.next_wait_seconds()
        untold, known.untold = known.untold, 0
        return Occurrences(untold, is_first=self.counts[cause] == 1)
