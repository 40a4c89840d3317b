"""Track whether one bus works, and why it does not, for its supervisor and for an operator."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.backoff import Backoff
from gateway.causes import Cause, Reason
from gateway.field.guard.adapter_bug import place_of
from gateway.field.guard.error_causes import reason_of
from gateway.field.guard.repeated_causes import RepeatedCauses
from gateway.field.polling.keep_alive import bus_failure
from gateway.plain_numbers import duration_text
from gateway.plain_text import named_error
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

LONGEST_PROOF_SECONDS = 10.0
"""A reopened bus has to work for as long as the wait before it, but no longer than this, to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOutage:
    """A bus that does not work."""

    reason: Reason
    """Why, as of the last attempt."""
    since: datetime
    """When it failed first; another reason does not begin another outage."""
    tried_at: datetime
    """When it failed last."""
    tries: int
    """How many attempts have failed since then."""
    wait_seconds: float
    """The wait after the last one."""


class BusHealth:
    """Whether one bus works. Logs each change once.

    Args:
        bus: the label of the bus.
        backoff: the waits before it is reopened; they start over once it is trusted again.
        hears_nothing: returns whether nothing was heard yet on a bus where some device always sends.
        children: returns how many children are on the bus.
    """

    def __init__(
        self, bus: str, backoff: Backoff, *, hears_nothing: Callable[[], bool], children: Callable[[], int] = lambda: 0
    ) -> None:
        self.outage: BusOutage | None = None
        """Why the bus is not open, and since when; `None` while it works."""
        self._bus = bus
        self._backoff = backoff
        self._hears_nothing = hears_nothing
        self._count_children = children
        self._opened_at = 0.0
        self._failed_at = 0.0
        self._told = RepeatedCauses()
        self._is_told = False
        self._proof_seconds = 0.0

    @property
    def problem(self) -> str | None:
        """What was seen when the bus failed last; `None` while it works."""
        return None if self.outage is None else self.outage.reason.text

    @property
    def is_lost(self) -> bool:
        """Whether the bus has failed more than once; a bus that can be reopened at once has lost no child."""
        return self._backoff.failures > 1

    def record_opening(self) -> None:
        """Record that the bus was opened."""
        self._opened_at = loop_time()

    def record_success(self) -> None:
        """Record that a device on the bus answered or sent something."""
        if not self._is_proven():
            return
        self._backoff.reset()
        self._end_outage("works again")

    def record_miss(self) -> None:
        """Record that a device on the open bus did not answer: a bus that stays open has no problem of its own any more."""
        if self._is_proven():
            self._end_outage("is open again")

    def record_failure(self, error: BaseException, wait_seconds: float) -> None:
        """Record that the bus, or its adapter, failed and is reopened after a wait."""
        failure = bus_failure(error)
        bug = _innermost(error)
        if failure is None:
            reason = Reason(f"its adapter failed: {named_error(bug)}", Cause.ADAPTER_BUG)
        else:
            seen = reason_of(failure)
            reason = Reason(seen.text.removeprefix(f"{self._bus}: "), seen.cause, seen.special_step)
        self._proof_seconds = min(wait_seconds, LONGEST_PROOF_SECONDS)
        before = self.outage
        self._record_outage(reason, wait_seconds)
        if before is not None and reason.text == before.reason.text:
            return
        cause = reason.text if failure else (type(bug), place_of(bug))
        came = self._told.count(cause, loop_time())
        self._is_told = came is not None
        if came is not None:
            again = "" if came.is_first else f" ({came.times} times since it was last told)"
            trace = error if came.is_first and failure is None else None
            wait = f"Next try in {wait_seconds:.0f} s, then less and less often"
            affected = f"; {_count(count)} cannot be read meanwhile" if (count := self._count_children()) else ""
            log.error("%s: %s%s. %s%s", self._bus, reason.text.rstrip(".?!"), again, wait, affected, exc_info=trace)

    def _record_outage(self, reason: Reason, wait_seconds: float) -> None:
        now, before = datetime.now(UTC), self.outage
        if before is None:
            self._failed_at = loop_time()
        self.outage = BusOutage(
            reason=reason,
            since=now if before is None else before.since,
            tried_at=now,
            tries=1 if before is None else before.tries + 1,
            wait_seconds=wait_seconds,
        )

    def _is_proven(self) -> bool:
        return loop_time() - self._opened_at >= self._proof_seconds

    def _end_outage(self, what: str) -> None:
        if self.outage is None or self._hears_nothing():
            return
        if self._is_told:
            count = self._count_children()
            asked = f"; {_count(count)} {'is' if count == 1 else 'are'} asked again" if count else ""
            log.info("%s: %s after %s%s", self._bus, what, duration_text(loop_time() - self._failed_at), asked)
        self.outage = None


def _count(children: int) -> str:
    return "1 child" if children == 1 else f"{children} children"


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
