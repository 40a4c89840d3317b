"""Limit the number of calls within a sliding window. Pure.

Limiter libraries wait for a free place or use the wall clock; here a call is refused at once and the clock is passed in.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta


class RateLimits:
    """Counts the admitted calls for each name."""

    def __init__(self) -> None:
        self._admitted: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def admit(self, name: str, *, limit: int, within: timedelta, now: datetime) -> timedelta:
        """Admit and count one call and return zero, or return the time until the next call would be admitted."""
        admitted = self._admitted[name]
        while admitted and admitted[0] + within <= now:
            admitted.popleft()
        if len(admitted) >= limit:
            return admitted[-limit] + within - now
        admitted.append(now)
        return timedelta(0)
