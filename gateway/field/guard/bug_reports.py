"""Log the bugs of one adapter: each once with its traceback, and from then on how often it came, less and less often."""

from __future__ import annotations

import logging

from gateway.field.guard.adapter_bug import place_of
from gateway.field.guard.repeated_causes import RepeatedCauses
from gateway.plain_text import named_error
from gateway.tasks import loop_time

log = logging.getLogger(__name__)


class BugReports:
    """The bugs of the adapter on one bus.

    Args:
        entry: the name of its entry.
        bus: the label of the bus.
    """

    def __init__(self, entry: str, bus: str) -> None:
        self._entry = entry
        self._bus = bus
        self._causes = RepeatedCauses()

    @property
    def count(self) -> int:
        """How many bugs were met."""
        return sum(self._causes.counts.values())

    def record(self, effect: str, error: BaseException, *, shows_traceback: bool = True) -> None:
        """Count a bug, and log it if it is new, or has come often since it was last logged; `effect` says what it costs."""
        cause = (type(error), place_of(error)) if shows_traceback else str(error)
        came = self._causes.count(cause, loop_time())
        if came is None:
            return
        if came.is_first:
            trace = error if shows_traceback else None
            log.error("%s: a bug in the adapter %s: %s: %s", self._bus, self._entry, effect, named_error(error), exc_info=trace)
        else:
            what = f"{effect}: {named_error(error)}"
            log.error("%s: a bug in the adapter %s, %d times more: %s", self._bus, self._entry, came.times, what)
