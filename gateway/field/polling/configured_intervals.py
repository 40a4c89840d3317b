"""Return how often the children of one bus are read: as their adapter has it, or as the cloud has configured it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from gateway.adapter import Adapter
from gateway.field.children.child_configuration import NOTHING_CONFIGURED, ConfigurationsInEffect, adjust_planned_reads
from gateway.field.guard.bug_reports import BugReports
from gateway.models import ChildDevice, Metric, PlannedRead

ChooseMap: TypeAlias = Callable[[Adapter[Any], ChildDevice], None]
"""Called before the poll groups of a child are determined."""


class ConfiguredIntervals:
    """The intervals of one bus.

    Args:
        adapter: the adapter of the bus.
        bugs: its bugs.
        in_effect: the configurations of all children.
        choose_map: has the adapter read a child by the point map that is in use.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        bugs: BugReports,
        in_effect: ConfigurationsInEffect,
        choose_map: ChooseMap = lambda adapter, child: None,
    ) -> None:
        self._bugs = bugs
        self._adapter = adapter
        self._in_effect = in_effect
        self._choose_map = choose_map

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups that are read of a child, and how often."""
        self._choose_map(self._adapter, child)
        groups = self._adapter.poll_groups(child)
        configuration = self._in_effect.of(child.key)
        if configuration is NOTHING_CONFIGURED:
            return groups
        return configuration.poll_groups(groups, self.metrics(child))

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the planned cost of reading these children at these intervals."""
        reads = self._adapter.planned_reads(children)
        configured = {
            child.address: self.poll_groups(child)
            for child in children
            if self._in_effect.of(child.key) is not NOTHING_CONFIGURED
        }
        return tuple(adjust_planned_reads(reads, configured)) if configured else tuple(reads)

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of each poll group, as far as the adapter tells them."""
        try:
            return self._adapter.metrics(child)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs the knowledge of what can be left out
            self._bugs.record(f"the metrics of {child.name} are unknown", error)
            return {}
