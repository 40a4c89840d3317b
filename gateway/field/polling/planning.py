"""Ask an adapter what reading its bus costs, and stretch the intervals or refuse the bus when that is too much."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gateway.adapter import Adapter
from gateway.causes import Cause
from gateway.errors import BusUnavailable
from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.budget import Budget, over_budget
from gateway.field.polling.configured_intervals import ConfiguredIntervals
from gateway.field.polling.schedule import NEVER, Schedule
from gateway.models import BusFact, ChildDevice
from gateway.plain_text import named_error

log = logging.getLogger(__name__)

AFTER_CHANGE_SECONDS = 1.0
"""The plan is updated this soon after children were added, removed or changed."""

SETTLED_SECONDS = 15.0
"""And once more after this time, when the adapter has measured its transactions."""

OVERLOADED_SECONDS = 5.0
"""While the plan exceeds the limit it is updated this often: it may be based on slow responses during a busy start."""

SETTLED_EVERY_SECONDS = 600.0
"""And this often from then on."""


class ReadPlanner:
    """The read plan of one bus, and the stretch of its schedule that follows from the plan."""

    def __init__(self, adapter: Adapter[Any], bugs: BugReports, schedule: Schedule, intervals: ConfiguredIntervals) -> None:
        self.budget = Budget((), adapter.settings.load_limit)
        """The plan as of the last update."""
        self.due_at = NEVER
        """When it is to be updated again."""
        self._adapter = adapter
        self._bugs = bugs
        self._schedule = schedule
        self._intervals = intervals
        self._is_settled = False

    def mark_outdated(self, now: float) -> None:
        """Record that children were added, removed or changed."""
        self._is_settled = False
        self.due_at = min(self.due_at, now + AFTER_CHANGE_SECONDS)

    def update(self, children: Sequence[ChildDevice], now: float) -> None:
        """Get the adapter's plan, stretch the schedule by it, and log once when it starts or stops exceeding the limit.

        Raises:
            BusUnavailable: it exceeds the limit, and the settings want such a bus not to be read.
        """
        self.due_at = now + (SETTLED_EVERY_SECONDS if self._is_settled else SETTLED_SECONDS)
        self._is_settled = True
        try:
            reads = tuple(self._intervals.planned_reads(children))
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs the plan, nothing else
            self._bugs.record("its read plan is unknown", error)
        else:
            self._apply(Budget(reads, self._adapter.settings.load_limit), now)
        self._schedule.stretch = self.budget.stretch

    def _apply(self, budget: Budget, now: float) -> None:
        bus = self._adapter.bus
        before, self.budget = self.budget, budget
        if budget.stretch > 1:
            self.due_at = now + OVERLOADED_SECONDS
            if self._adapter.settings.overload == "refuse":
                raise BusUnavailable(
                    f"it is not read, as set with `overload`: {over_budget(bus, budget)}", cause=Cause.OVERLOADED
                )
            if before.stretch == 1:
                log.warning("%s. All its intervals are stretched", over_budget(bus, budget))
        elif before.stretch > 1:
            log.info("%s: the read plan is within its limit again: it %s", bus, budget)

    def facts(self) -> Sequence[BusFact]:
        """Return where the bus is and how it is set, as its adapter reports it."""
        try:
            return tuple(self._adapter.bus_facts())
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs these facts, not the page
            self._bugs.record("it does not report how its bus is set", error)
            return ()

    def remarks(self, child: ChildDevice | None) -> Sequence[str]:
        """Return what the adapter reports about a child; `None`: about the bus as a whole."""
        try:
            return tuple(self._adapter.bus_remarks() if child is None else self._adapter.remarks(child))
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs its remarks, not the page
            return (f"its adapter cannot report more: {named_error(error)}",)
