"""How many calls were let through within a sliding window. Nothing here waits."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta


class RateLimits:
    """Counts what was admitted, for each name on its own."""

    def __init__(self) -> None:
        self._admitted: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def wait(self, name: str, *, limit: int, within: timedelta, now: datetime) -> timedelta:
        """Admit and count one call and return zero, or return how long until the next one would be admitted."""
        admitted = self._admitted[name]
        while admitted and admitted[0] + within <= now:
            admitted.popleft()
        if len(admitted) >= limit:
            return admitted[-limit] + within - now
        admitted.append(now)
        return timedelta(0)
