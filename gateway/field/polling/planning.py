"""What an adapter says that reading its bus costs, weighed anew when that may have changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gateway.adapter import Adapter
from gateway.errors import BusUnavailable
from gateway.field.polling.budget import Budget, over_budget
from gateway.field.polling.schedule import NEVER
from gateway.models import ChildDevice

log = logging.getLogger(__name__)

SOON_SECONDS = 1.0
"""The plan is weighed so soon after children came, went or changed."""

SETTLED_SECONDS = 15.0
"""And once more so much later, when the adapter has learned what its transactions take."""

STRETCHED_SECONDS = 5.0
"""While it is too much for the bus it is weighed so often: it may only rest on what a busy start made of the turnarounds."""

AGAIN_SECONDS = 600.0
"""And so often from then on."""


class ReadPlanner:
    """The plan of one bus."""

    def __init__(self, adapter: Adapter[Any], entry: str) -> None:
        self.budget = Budget((), adapter.settings.load_limit)
        """The plan as it was weighed last."""
        self.due_at = NEVER
        """When it is to be weighed again."""
        self._adapter = adapter
        self._entry = entry
        self._is_settled = False

    def is_outdated(self, now: float) -> None:
        """Note that children came, went or changed."""
        self._is_settled = False
        self.due_at = min(self.due_at, now + SOON_SECONDS)

    def weigh(self, children: Sequence[ChildDevice], now: float) -> None:
        """Ask the adapter for its plan, and say once when it is too much for the bus, or is so no longer.

        Raises:
            BusUnavailable: it is too much, and the settings want such a bus not to be read.
        """
        self.due_at = now + (AGAIN_SECONDS if self._is_settled else SETTLED_SECONDS)
        self._is_settled = True
        bus, settings = self._adapter.bus, self._adapter.settings
        try:
            reads = tuple(self._adapter.planned_reads(children))
        except Exception:  # here a stranger's adapter meets us: its bug costs the plan, nothing else
            log.exception("%s: a bug in the adapter %s: its plan is not known", bus, self._entry)
            return
        before, self.budget = self.budget, Budget(reads, settings.load_limit)
        if self.budget.stretch > 1:
            self.due_at = now + STRETCHED_SECONDS
        if self.budget.stretch > 1 and settings.overload == "refuse":
            raise BusUnavailable(f"it is not read, as `overload` wants it: {over_budget(bus, self.budget)}")
        if self.budget.stretch > 1 and before.stretch == 1:
            log.warning("%s. All its intervals are stretched", over_budget(bus, self.budget))
        elif self.budget.stretch == 1 and before.stretch > 1:
            log.info("%s: the plan keeps its limit again: it %s", bus, self.budget)

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return what the adapter has to say of a child."""
        try:
            return tuple(self._adapter.remarks(child))
        except Exception as error:  # noqa: BLE001 - here a stranger's adapter meets us: its bug costs its remarks, not the page
            return (f"the adapter failed to say more: {type(error).__name__}: {error}",)
