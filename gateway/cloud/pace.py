"""How fast the hub may be asked: not at all for a while after it failed or asked for quiet. Says once that it is away or back."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from random import uniform
from time import monotonic

from gateway.errors import HubBusy, HubUnreachable

log = logging.getLogger(__name__)


class Pace:
    """One for all calls of the gateway and its children.

    A hub that is away is asked again after `first_seconds`, doubling to `most_seconds`, with jitter. A 429 is obeyed for as long
    as its `Retry-After` says, else for 5 s doubling to 5 min (device API reference, sections 14 and 17.21).
    """

    def __init__(self, *, first_seconds: float = 1.0, most_seconds: float = 60.0, busy_seconds: float = 5.0) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._busy = busy_seconds
        self._failures = 0
        self._open_at = 0.0
        self.problem: str | None = None
        """Why the hub is not spoken with; `None` while it answers."""
        self.since = datetime.now(UTC)
        """Since when it answers, or does not."""

    @property
    def is_open(self) -> bool:
        """The hub may be asked right now."""
        return monotonic() >= self._open_at

    async def wait(self) -> None:
        """Wait until the hub may be asked."""
        while (left := self._open_at - monotonic()) > 0:  # noqa: ASYNC110 - it waits for a time, and that may be put off
            await asyncio.sleep(left)

    def failed(self, error: HubUnreachable) -> None:
        """Take in that a call had no usable answer."""
        seconds = self._seconds_after(error)
        self._failures += 1
        self._open_at = max(self._open_at, monotonic() + seconds)
        if self.problem is None:
            log.warning("the hub is not reachable, everything is kept: %s", error)
            self.since = datetime.now(UTC)
        self.problem = str(error)

    def answered(self) -> None:
        """Take in that the hub answers."""
        self._failures = 0
        if self.problem is not None:
            away = datetime.now(UTC) - self.since
            log.info("the hub answers again after %.0f s", away.total_seconds())
            self.problem, self.since = None, datetime.now(UTC)

    def _seconds_after(self, error: HubUnreachable) -> float:
        if isinstance(error, HubBusy):
            asked = error.retry_after_seconds
            return asked if asked is not None else min(300.0, self._busy * 2.0 ** min(self._failures, 30))
        return min(self._most, self._first * 2.0 ** min(self._failures, 30)) * uniform(0.5, 1.0)  # noqa: S311 - jitter
