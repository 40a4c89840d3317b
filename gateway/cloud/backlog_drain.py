"""Send a backlog below the hub's limits, and tell how far it is: at its beginning, each minute, and at its end."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.cloud.live_samples import BEHIND
from gateway.cloud.rate_control import RateControl
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

MOST_CALLS = 120
"""So many calls with a backlog go in `PER_SECONDS`, and after a 429 half as many. The hub counts all calls in 30 s, and the limit
depends on the customer's plan; no number is published (device API reference, section 14)."""

PER_SECONDS = 30.0
LEAST_CALLS = 4
RECOVERED_AFTER_SECONDS = 300.0
"""So long after a 429, and after each further step, a quarter more calls are tried."""

LEAST_SAMPLES = 500
"""Fewer samples are no backlog: they are gone in a moment."""

TOLD_EVERY_SECONDS = 60.0


class BacklogPace:
    """Counts the calls with a backlog, and learns from 429s how many the hub takes."""

    def __init__(self, rate_control: RateControl) -> None:
        self._rate_control = rate_control
        self._calls: deque[float] = deque()
        self._most = MOST_CALLS
        self._changed_at = 0.0
        self._busy_seen = rate_control.busy_count

    def called(self) -> None:
        """Count a call."""
        self._calls.append(loop_time())

    def next_at(self) -> float:
        """Return the loop time of the next call; it is over when a call may be made now."""
        self._learn()
        while len(self._calls) > self._most:
            self._calls.popleft()
        return self._calls[0] + PER_SECONDS if len(self._calls) == self._most else 0.0

    def _learn(self) -> None:
        now = loop_time()
        if self._rate_control.busy_count != self._busy_seen:
            self._busy_seen, self._changed_at = self._rate_control.busy_count, now
            self._most = max(self._most // 2, LEAST_CALLS)
        elif self._most < MOST_CALLS and now - self._changed_at >= RECOVERED_AFTER_SECONDS:
            self._changed_at = now
            self._most = min(self._most + max(self._most // 4, 1), MOST_CALLS)


@dataclass(frozen=True, slots=True)
class DrainProgress:
    """The progress of sending a backlog."""

    since: datetime
    sent: int
    """Samples since then, with those that came meanwhile."""
    left: int
    seconds_left: float | None
    """At the speed so far; `None` while it cannot be told, or while more comes than goes."""


class BacklogDrain:
    """Follows how many samples wait that can be sent."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._began_at = 0.0
        self._left_at_first = 0
        self._left = 0
        self._sent = 0
        self._told_at = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether a backlog is being sent."""
        return self._since is not None

    @property
    def progress(self) -> DrainProgress | None:
        """The progress of the backlog; `None` without one."""
        if self._since is None:
            return None
        passed, gone = loop_time() - self._began_at, self._left_at_first - self._left
        seconds_left = self._left * passed / gone if gone > 0 and passed > 0 else None
        return DrainProgress(self._since, self._sent, self._left, seconds_left)

    def sent(self, samples: int) -> None:
        """Count samples that were accepted."""
        self._sent += samples
        self._left = max(self._left - samples, 0)

    def waiting(self, samples: int, children: int, oldest_at: datetime | None) -> None:
        """Take note of how many samples wait, and of how many children."""
        self._left = samples
        if self._since is None:
            if samples >= max(LEAST_SAMPLES, BEHIND * children):
                self._begin(samples, children, oldest_at)
        elif samples <= max(children, LEAST_SAMPLES // BEHIND):
            log.info(
                "what waited is sent: %d samples in %s; %d wait as usual",
                self._sent, _in_words(loop_time() - self._began_at), samples,
            )  # fmt: skip
            self._since = None
        elif loop_time() - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = loop_time()
            progress = self.progress
            left = None if progress is None else progress.seconds_left
            log.info(
                "sending what waited: %d samples are sent, %d are left%s",
                self._sent, samples, "" if left is None else f", for about {_in_words(left)}",
            )  # fmt: skip

    def _begin(self, samples: int, children: int, oldest_at: datetime | None) -> None:
        self._since, self._began_at, self._told_at = datetime.now(UTC), loop_time(), loop_time()
        self._left_at_first, self._sent = samples, 0
        oldest = "" if oldest_at is None else f", the oldest from {oldest_at:%Y-%m-%d %H:%M} UTC"
        log.info(
            "sending what waited: %d samples of %d children%s; the newest of each child goes first", samples, children, oldest
        )


def _in_words(seconds: float) -> str:
    whole = timedelta(seconds=round(min(seconds, 10_000 * 86_400)))
    return f"{whole.seconds} s" if whole < timedelta(minutes=2) else str(whole)
