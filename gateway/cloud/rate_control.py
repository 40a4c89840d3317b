"""How fast the hub may be asked: not at all for a while after it failed or asked for quiet. Says once that it is away or back."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from random import uniform
from time import monotonic

from gateway.errors import HubBusy, HubUnreachable

log = logging.getLogger(__name__)

MOST_QUIET_SECONDS = 3600.0
"""A `Retry-After` beyond it is a mistake of the server: a gateway that nobody visits must come back by itself."""


class Strand(StrEnum):
    """The kinds of calls that go on side by side and fail on their own: registration has a server of its own (section 1)."""

    TELEMETRY = "telemetry"
    CHILDREN = "children"
    ERRANDS = "errands"


class Pace:
    """One for all calls of the gateway and its children.

    A strand whose calls get no usable answer is tried again after `first_seconds`, doubling to `most_seconds`, with jitter; the
    others go on. A 429 stops all of them, for as long as its `Retry-After` says, else for 5 s doubling to 5 min (device API
    reference, sections 14 and 17.21), and for `first_seconds` at the least.
    """

    def __init__(self, *, first_seconds: float = 1.0, most_seconds: float = 60.0, busy_seconds: float = 5.0) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._busy = busy_seconds
        self._failures: Counter[Strand] = Counter()
        self._open_at: dict[Strand, float] = {}
        self._quiet_until = 0.0
        self._quiets = 0  # in a row
        self._problems: dict[Strand, str] = {}
        self._problem_since = datetime.now(UTC)
        self._has_answered = False
        self.since = datetime.now(UTC)
        """Since when the hub takes telemetry, or does not."""

    @property
    def problem(self) -> str | None:
        """Why the hub is not spoken with, or not about everything; `None` while it answers."""
        return next(iter(self._problems.values()), None)

    @property
    def is_reachable(self) -> bool | None:
        """Whether the hub takes telemetry; `None` before it first has, or has failed to. Registration has a server of its own."""
        return False if Strand.TELEMETRY in self._problems else True if self._has_answered else None

    @property
    def next_try_seconds(self) -> float | None:
        """In how many seconds a call that failed is tried again; `None` when none failed."""
        return min((max(self.seconds_left(strand), 0.0) for strand in self._problems), default=None)

    def seconds_left(self, strand: Strand) -> float:
        """Return how long this strand still has to wait; 0 or less when the hub may be asked right now."""
        return max(self._quiet_until, self._open_at.get(strand, 0.0)) - monotonic()

    async def wait(self, strand: Strand) -> None:
        """Wait until the hub may be asked."""
        while (left := self.seconds_left(strand)) > 0:  # noqa: ASYNC110 - it waits for a time, and that may be put off
            await asyncio.sleep(left)

    def failed(self, strand: Strand, error: HubUnreachable) -> None:
        """Take in that a call had no usable answer."""
        if isinstance(error, HubBusy):
            self._keep_quiet(error.retry_after_seconds)
        else:
            nominal = min(self._most, self._first * 2.0 ** min(self._failures[strand], 30))
            self._failures[strand] += 1
            self._open_at[strand] = monotonic() + nominal * uniform(0.5, 1.0)  # noqa: S311 - jitter
        if not self._problems:
            log.warning("the hub is not reachable, everything is kept: %s", error)
            self._problem_since = datetime.now(UTC)
        if strand is Strand.TELEMETRY and strand not in self._problems:
            self.since = datetime.now(UTC)
        self._problems[strand] = str(error)

    def answered(self, strand: Strand) -> None:
        """Take in that the hub answers; what it answers to calls from before it asked for quiet does not count."""
        if monotonic() < self._quiet_until:
            return
        self._failures[strand] = self._quiets = 0
        was_away = self._problems.pop(strand, None) is not None
        if strand is Strand.TELEMETRY and (
            was_away or not self._has_answered
        ):  # on the others there may be nothing to ask the hub
            self._has_answered = True
            self.since = datetime.now(UTC)
        if was_away and not self._problems:
            away = datetime.now(UTC) - self._problem_since
            log.info("the hub answers again after %.0f s", away.total_seconds())

    def _keep_quiet(self, asked_seconds: float | None) -> None:
        """Stop all calls; those that were under way when the quiet began do not make it longer and longer."""
        now = monotonic()
        if now < self._quiet_until and asked_seconds is None:
            return
        usual = min(300.0, self._busy * 2.0 ** min(self._quiets, 30))
        self._quiets += now >= self._quiet_until
        seconds = usual if asked_seconds is None else min(max(asked_seconds, self._first), MOST_QUIET_SECONDS)
        self._quiet_until = max(self._quiet_until, now + seconds)
