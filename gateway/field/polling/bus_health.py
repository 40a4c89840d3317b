"""Track whether a bus works: why it does not, and when it can be trusted again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.backoff import Backoff
from gateway.field.guard.adapter_bug import place_of
from gateway.field.guard.repeated_causes import RepeatedCauses
from gateway.field.polling.keep_alive import bus_failure
from gateway.plain_text import named_error, text_of_error
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

LONGEST_PROOF_SECONDS = 10.0
"""A reopened bus has to work for as long as the wait before it, but no longer than this, to be trusted."""


class BusHealth:
    """Whether one bus works. Logs each change once.

    Args:
        bus: the label of the bus.
        backoff: the waits before it is reopened; they start over once it is trusted again.
        hears_nothing: returns whether nothing was heard yet on a bus where some device always sends.
    """

    def __init__(self, bus: str, backoff: Backoff, *, hears_nothing: Callable[[], bool]) -> None:
        self.problem: str | None = None
        """Why the bus is not open; `None` while it works."""
        self._bus = bus
        self._backoff = backoff
        self._hears_nothing = hears_nothing
        self._opened_at = 0.0
        self._told = RepeatedCauses()
        self._is_told = False
        self._proof_seconds = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether the bus has failed more than once; a bus that can be reopened at once has lost no child."""
        return self._backoff.failures > 1

    def record_opening(self) -> None:
        """Record that the bus was opened."""
        self._opened_at = loop_time()

    def record_success(self) -> None:
        """Record that a device on the bus answered or sent something."""
        if loop_time() - self._opened_at < self._proof_seconds:
            return
        self._backoff.reset()
        if self.problem is not None and not self._hears_nothing():
            if self._is_told:
                log.info("%s: works again", self._bus)
            self.problem = None

    def record_failure(self, error: BaseException, wait_seconds: float) -> None:
        """Record that the bus, or its adapter, failed and is reopened after a wait."""
        failure = bus_failure(error)
        bug = _innermost(error)
        why = text_of_error(failure).removeprefix(f"{self._bus}: ") if failure else f"its adapter failed: {named_error(bug)}"
        self._proof_seconds = min(wait_seconds, LONGEST_PROOF_SECONDS)
        if why == self.problem:
            return
        cause = why if failure else (type(bug), place_of(bug))
        came = self._told.count(cause, loop_time())
        self._is_told = came is not None
        if came is not None:
            again = "" if came.is_first else f" ({came.times} times since it was last told)"
            trace = error if came.is_first and failure is None else None
            wait = f"Next try in {wait_seconds:.0f} s, then less and less often"
            log.error("%s: %s%s. %s", self._bus, why.rstrip(".?!"), again, wait, exc_info=trace)
        self.problem = why


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
