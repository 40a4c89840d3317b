"""Decide when the hub may be called again after failures and after a 429, and log once that it is away or back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from gateway.backoff import Backoff
from gateway.causes import Reason
from gateway.cloud.hub_reasons import reason_of
from gateway.cloud.retry_times import in_words
from gateway.errors import HubBusy, HubUnauthorised, HubUnreachable, StoreFails, UpdateLimitReached
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

MAX_QUIET_SECONDS = 3600.0
"""A longer `Retry-After` is treated as a mistake of the server: an unattended gateway must come back by itself."""

MAX_BUSY_SECONDS = 300.0
"""The longest wait after a 429 without `Retry-After` (device API reference, section 17.21)."""

STORE_WORKS_AGAIN_SECONDS = 70.0
"""A store that fails after so long without failing is told anew: longer than a kind of calls waits before it is tried again."""


OLD_SECONDS = 60.0
"""A failure says nothing of the present any more when its calls might have been made again for so long."""


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
        self._problems: dict[CallKind, Reason] = {}
        """Why calls fail, the latest failure last."""
        self._tries: Counter[CallKind] = Counter()
        self._problem_since = datetime.now(UTC)
        self._has_answered = False
        self._store_failed_at: float | None = None
        self.busy_count = 0
        """The number of responses in which the hub asked for fewer calls."""
        self.since = datetime.now(UTC)
        """The time since which the hub accepts telemetry, or does not."""
        self.tried_at: datetime | None = None
        """When the last call of any kind ended."""
        self._wanted = asyncio.Event()
        self._ended_kind: CallKind | None = None
        self._ended = asyncio.Event()

    @property
    def problem(self) -> str | None:
        """The error of the call that failed last, of any kind; `None` while the hub answers."""
        return None if self.reason is None else self.reason.text

    @property
    def reason(self) -> Reason | None:
        """Why the call that failed last did; `None` while the hub answers."""
        kind = self._failing_kind
        return None if kind is None else self._problems[kind]

    @property
    def _failing_kind(self) -> CallKind | None:
        """The kind that failed last; one that might have been tried again long ago, but has nothing to call, is passed over."""
        now = loop_time()
        kinds = reversed(self._problems)
        return next((one for one in kinds if one is CallKind.TELEMETRY or now - self._retry_at.get(one, now) < OLD_SECONDS), None)

    @property
    def tries(self) -> int:
        """How many calls in a row have failed, of the kind that failed last."""
        kind = self._failing_kind
        return 0 if kind is None else self._tries[kind]

    @property
    def is_reachable(self) -> bool | None:
        """Whether the hub accepts telemetry; `None` before the first call. Other kinds do not count."""
        return False if CallKind.TELEMETRY in self._problems else True if self._has_answered else None

    @property
    def next_try_seconds(self) -> float | None:
        """The seconds until the call that failed last is retried; `None` when none failed."""
        kind = self._failing_kind
        return None if kind is None else max(self.seconds_left(kind), 0.0)

    def seconds_left(self, kind: CallKind) -> float:
        """Return how long calls of this kind still have to wait; 0 or less when they are allowed now."""
        return max(self._quiet_until, self._retry_at.get(kind, 0.0)) - loop_time()

    async def wait(self, kind: CallKind) -> None:
        """Wait until calls of this kind are allowed."""
        while (left := self.seconds_left(kind)) > 0:
            with contextlib.suppress(TimeoutError):  # the time may be postponed meanwhile, and brought forward
                async with asyncio.timeout(left):
                    await self._wanted.wait()
            self._wanted.clear()

    def try_now(self) -> float:
        """Allow what waits after failures to be called now, and return for how many seconds the hub itself forbids any call."""
        self._retry_at.clear()
        self._wanted.set()
        return max(self._quiet_until - loop_time(), 0.0)

    def refused(self, kind: CallKind, error: HubUnauthorised) -> None:
        """Record that the hub answers, and does not accept the key: what was said of it before is not true any more."""
        if self._problems:
            self._note(kind, reason_of(error))

    def forget(self) -> None:
        """Forget what was said about the hub: its calls were made with a key that is not used any more."""
        self._problems.clear()
        self._tries.clear()
        self._has_answered = False

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
        self._note(kind, reason_of(error))

    def _note(self, kind: CallKind, reason: Reason) -> None:
        """Put the latest failure last."""
        self._problems.pop(kind, None)
        self._problems[kind] = reason
        self._tries[kind] += 1
        self._end_call(kind)

    def _end_call(self, kind: CallKind) -> None:
        self._ended_kind = kind
        self.tried_at = datetime.now(UTC)
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()

    async def call_ends(self, kind: CallKind) -> None:
        """Return when the next call of this kind ends, well or not."""
        while True:
            await self._ended.wait()
            if self._ended_kind is kind:
                return

    def answered(self, kind: CallKind) -> None:
        """Record a response; a response to a call from before a 429 does not end the quiet time."""
        if loop_time() < self._quiet_until:
            return
        self._backoffs[kind].reset()
        self._busy_backoff.reset()
        self._end_call(kind)
        del self._tries[kind]
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
