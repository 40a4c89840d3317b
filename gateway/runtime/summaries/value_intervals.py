"""Tell how often each value of a child is expected: by the poll group that reads it, or as its device was heard to send."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.field.fleet import Fleet
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice
from gateway.state.registry import Registry
from gateway.status.update_intervals import UNKNOWN_INTERVALS, UpdateIntervals


class ValueIntervals:
    """The intervals of the values of all children; the groups of metrics are asked for once for each set of poll groups.

    Args:
        registry: knows the children.
        fleet: knows the buses.
    """

    def __init__(self, registry: Registry, fleet: Fleet) -> None:
        self._registry = registry
        self._fleet = fleet
        self._groups: dict[str, tuple[Mapping[str, float], Mapping[str, str]]] = {}

    def of(self, key: str) -> UpdateIntervals:
        """Return the intervals of a child."""
        record = self._registry.children.get(key)
        supervisor = None if record is None else self._fleet.supervisors.get((record.child.adapter, record.child.bus))
        if record is None or supervisor is None:
            self._groups.pop(key, None)
            return UNKNOWN_INTERVALS
        every = supervisor.read_every(key)
        if not every:
            return UpdateIntervals(longest=supervisor.sends_every(key), is_unasked=True)
        stretch = supervisor.stretch
        by_metric = {name: every[group] * stretch for name, group in self._groups_of(record.child, every, supervisor).items()}
        return UpdateIntervals(longest=max(every.values()) * stretch, by_metric=by_metric)

    def _groups_of(self, child: ChildDevice, every: Mapping[str, float], supervisor: Supervisor) -> Mapping[str, str]:
        """Return the poll group of each metric, as far as the adapter tells."""
        known = self._groups.get(child.key)
        if known is not None and known[0] is every:
            return known[1]
        groups = {
            metric.name: group for group, metrics in supervisor.metrics(child).items() if group in every for metric in metrics
        }
        self._groups[child.key] = every, groups
        return groups
