"""Decide when the hub may be called again after failures and after a 429, and log once that it is away or back."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from gateway.backoff import Backoff
from gateway.cloud.retry_times import in_words
from gateway.errors import HubBusy, HubUnreachable, StoreFails, UpdateLimitReached
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

MAX_QUIET_SECONDS = 3600.0
"""A longer `Retry-After` is treated as a mistake of the server: an unattended gateway must come back by itself."""

MAX_BUSY_SECONDS = 300.0
"""The longest wait after a 429 without `Retry-After` (device API reference, section 17.21)."""

STORE_WORKS_AGAIN_SECONDS = 70.0
"""A store that fails after so long without failing is told anew: longer than a kind of calls waits before it is tried again."""


class CallKind(StrEnum):
    """The kinds of calls that run side by side and fail independently: registration has a server of its own (section 1)."""

    TELEMETRY = "telemetry"
    REGISTRATION = "registration"
    CHILD_CHECK = "child check"
    SINGLE_TELEMETRY = "single telemetry"
    COMMANDS = "commands"
    INCIDENTS = "incidents"
    EVENTS = "events"
    LICENCES = "licences"
    RECORDS = "device records"
    CONFIGURATION = "configuration"
    FILES = "files"


class RateControl:
    """Limits all calls of the gateway and its children.

    After a failure, calls of the same kind wait for `first_seconds`, doubling to `most_seconds`, with jitter; other kinds go on.
    A 429 stops all kinds, for as long as its `Retry-After` says, else for 5 s doubling to 5 min (device API reference, sections
    14 and 17.21), and for `first_seconds` at least.

    Args:
        first_seconds: the wait after the first failure.
        most_seconds: the longest wait after failures.
        busy_seconds: the wait after the first 429 without `Retry-After`.
        jitter: see `Backoff`.
    """

    def __init__(
        self, *, first_seconds: float = 1.0, most_seconds: float = 60.0, busy_seconds: float = 5.0, jitter: float = 0.5
    ) -> None:
        self._first_seconds = first_seconds
        self._backoffs = {kind: Backoff(first_seconds, most_seconds, jitter=jitter) for kind in CallKind}
        self._busy_backoff = Backoff(busy_seconds, MAX_BUSY_SECONDS, jitter=0)
        self._retry_at: dict[CallKind, float] = {}
        self._quiet_until = 0.0
        self._problems: dict[CallKind, str] = {}
        self._problem_since = datetime.now(UTC)
        self._has_answered = False
        self._store_failed_at: float | None = None
        self.busy_count = 0
        """The number of responses in which the hub asked for fewer calls."""
        self.since = datetime.now(UTC)
        """The time since which the hub accepts telemetry, or does not."""

    @property
    def problem(self) -> str | None:
        """The error of calls that currently fail, of any kind; `None` while the hub answers."""
        return next(iter(self._problems.values()), None)

    @property
    def is_reachable(self) -> bool | None:
        """Whether the hub accepts telemetry; `None` before the first call. Other kinds do not count."""
        return False if CallKind.TELEMETRY in self._problems else True if self._has_answered else None

    @property
    def next_try_seconds(self) -> float | None:
        """The seconds until a failed call is retried; `None` when none failed."""
        return min((max(self.seconds_left(kind), 0.0) for kind in self._problems), default=None)

    def seconds_left(self, kind: CallKind) -> float:
        """Return how long calls of this kind still have to wait; 0 or less when they are allowed now."""
        return max(self._quiet_until, self._retry_at.get(kind, 0.0)) - loop_time()

    async def wait(self, kind: CallKind) -> None:
        """Wait until calls of this kind are allowed."""
        while (left := self.seconds_left(kind)) > 0:  # noqa: ASYNC110 - it waits for a time, which may be postponed meanwhile
            await asyncio.sleep(left)

    def failed(self, kind: CallKind, error: HubUnreachable) -> None:
        """Record a call without a usable response."""
        if isinstance(error, UpdateLimitReached):  # no call was made, and nothing is wrong with the hub
            self._retry_at[kind] = loop_time() + self._backoffs[kind].next_wait_seconds()
            return
        if isinstance(error, StoreFails):  # nothing is wrong with the hub, and it is called again when the store works
            self._retry_at[kind] = loop_time() + self._backoffs[kind].next_wait_seconds()
            if self._store_failed_at is None or loop_time() - self._store_failed_at >= STORE_WORKS_AGAIN_SECONDS:
                log.error("nothing is sent while the store fails: %s", error)
            self._store_failed_at = loop_time()
            return
        if isinstance(error, HubBusy):
            self.busy_count += 1
            self._stop_all(error.retry_after_seconds)
        else:
            self._retry_at[kind] = loop_time() + self._backoffs[kind].next_wait_seconds()
        if not self._problems:
            next_try = in_words(timedelta(seconds=self.seconds_left(kind)))
            log.warning("the hub is not reachable, everything is kept; next try %s: %s", next_try, error)
            self._problem_since = datetime.now(UTC)
        if kind is CallKind.TELEMETRY and kind not in self._problems:
            self.since = datetime.now(UTC)
        self._problems[kind] = str(error)

    def answered(self, kind: CallKind) -> None:
        """Record a response; a response to a call from before a 429 does not end the quiet time."""
        if loop_time() < self._quiet_until:
            return
        self._backoffs[kind].reset()
        self._busy_backoff.reset()
        was_away = self._problems.pop(kind, None) is not None
        if kind is CallKind.TELEMETRY and (was_away or not self._has_answered):  # the other kinds may have had nothing to call
            self._has_answered = True
            self.since = datetime.now(UTC)
        if was_away and not self._problems:
            away = datetime.now(UTC) - self._problem_since
            log.info("the hub answers again after %.0f s", away.total_seconds())

    def _stop_all(self, retry_after_seconds: float | None) -> None:
        """Stop all calls; 429s to calls that were already running do not prolong the quiet time again and again."""
        now = loop_time()
        is_quiet = now < self._quiet_until
        if is_quiet and retry_after_seconds is None:
            return
        seconds = self._busy_backoff.next_wait_seconds() if not is_quiet else 0.0
        if retry_after_seconds is not None:
            seconds = min(max(retry_after_seconds, self._first_seconds), MAX_QUIET_SECONDS)
        self._quiet_until = max(self._quiet_until, now + seconds)
