"""Bound how many children are registered in a minute, so that whatever is found on a bus cannot flood the cloud."""

from __future__ import annotations

import logging
from collections import deque
from datetime import timedelta

from gateway.tasks import loop_time

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60.0


class RegistrationPace:
    """Counts the registrations of the last minute.

    Args:
        per_minute: the most registrations in any minute; `None` for no bound.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._registered_at: deque[float] = deque()
        self._is_told = False

    def wait(self) -> timedelta:
        """Return after what time a child may be registered; zero for now."""
        if self._per_minute is None:
            return timedelta(0)
        now = loop_time()
        while self._registered_at and now - self._registered_at[0] >= WINDOW_SECONDS:
            self._registered_at.popleft()
        if len(self._registered_at) < self._per_minute:
            return timedelta(0)
        return timedelta(seconds=self._registered_at[0] + WINDOW_SECONDS - now)

    def registers(self) -> None:
        """Count a registration that begins now."""
        if self._per_minute is not None:
            self._registered_at.append(loop_time())

    def tell(self, waiting: int) -> None:
        """Log that children wait for their registration; once, until none waits any more."""
        if waiting and not self._is_told:
            log.warning(
                "%d children were registered within a minute, and %d more wait: no more are registered in a minute"
                " (`registrations_per_minute` in [cloud])",
                len(self._registered_at), waiting,
            )  # fmt: skip
        self._is_told = bool(waiting)
