"""Keep track of the children on one bus: which they are, and whether each of them is polled or only listened to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from gateway.adapter import Adapter
from gateway.field.children.intake import DeviceIntake
from gateway.field.children.silence import SilenceDetector
from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.configured_intervals import ConfiguredIntervals
from gateway.field.polling.schedule import Schedule
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.models import ChildDevice, Found
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry
from gateway.tasks import loop_time


class BusChildren(Mapping[str, ChildDevice]):
    """The children on one bus by key, as the registry has them.

    A child that is polled is in the schedule; one that is only listened to is in `silence`.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        entry: str,
        bugs: BugReports,
        *,
        registry: Registry,
        intake: DeviceIntake,
        monitor: ChildMonitor,
        schedule: Schedule,
        intervals: ConfiguredIntervals,
    ) -> None:
        self.silence = SilenceDetector()
        """The children that are only listened to."""
        self.intervals = intervals
        """How often the children that are polled are read."""
        self.version = 0
        """Increases with each child that is added, removed or changed."""
        self._adapter = adapter
        self._entry = entry
        self._bugs = bugs
        self._registry = registry
        self._intake = intake
        self._monitor = monitor
        self._schedule = schedule
        self._children: dict[str, ChildDevice] = {}
        self._revision = -1

    def __getitem__(self, key: str) -> ChildDevice:
        return self._children[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._children)

    def __len__(self) -> int:
        return len(self._children)

    @property
    def are_outdated(self) -> bool:
        """Whether the registry has changed since it was last followed."""
        return self._registry.revision != self._revision

    def follow_registry(self) -> None:
        """Apply what has changed in the registry: add, update and remove children."""
        changed = self._registry.changed_since(self._revision)
        self._revision = self._registry.revision
        for key in changed:
            before, child = self._children.get(key), self._on_this_bus(key)
            if child == before:
                continue
            self.version += 1
            if child is None:
                self._remove(key)
            else:
                self._put(child, is_new=before is None)

    def has_missed(self) -> bool:
        """Return whether a device was found that could not be stored, since this was asked last."""
        return self._intake.has_missed(self._entry, self._adapter.bus)

    async def take_in(self, found: Found) -> None:
        """Take in a device that was found on this bus; if it is a child, it has just answered."""
        child = await self._intake.take_in(self._entry, self._adapter.bus, found)
        if child is None:
            return
        self.follow_registry()
        if child.key not in self._children:
            return  # deleted in the cloud, and to be left so
        displaced = self._registry.children[child.key].replaces
        if displaced is not None and self._monitor.is_reachable(displaced):
            self._schedule.recheck_soon(displaced, loop_time())  # it cannot be there as well
        if not self._monitor.is_reachable(child.key):
            self._schedule.identified(child.key, loop_time())
        self._monitor.record_answer(child)

    def is_identified(self, key: str) -> bool:
        """Return whether it is known that this child is at its address: it answers, or is only listened to."""
        return key in self.silence or self._monitor.is_reachable(key)

    def may_include(self, found: Found) -> bool:
        """Return whether a found device may be a known child on this bus that failed to report its identity."""
        return self._intake.may_be_known_child(self._entry, self._adapter.bus, found)

    def _on_this_bus(self, key: str) -> ChildDevice | None:
        record = self._registry.children.get(key)
        if record is None or record.state is ChildState.DELETED:
            return None
        child = record.child
        return child if (child.adapter, child.bus) == (self._entry, self._adapter.bus) else None

    def _put(self, child: ChildDevice, *, is_new: bool) -> None:
        key, now = child.key, loop_time()
        self._children[key] = child
        limit = self._silence_limit(child)
        if limit is not None:
            self.silence.expect(key, limit.total_seconds(), now)
            self._schedule.remove(key)
            return
        self.silence.forget(key)
        self._schedule.add(key, now)
        if not is_new and self._monitor.is_reachable(key):
            self._schedule.identified(key, now)

    def _remove(self, key: str) -> None:
        del self._children[key]
        self._schedule.remove(key)
        self.silence.forget(key)
        record = self._registry.children.get(key)
        if record is None or record.state is ChildState.DELETED:  # else it moved to another bus, which goes on with it
            self._monitor.forget(key)

    def _silence_limit(self, child: ChildDevice) -> timedelta | None:
        """Return how long a child that is only listened to may be silent; `None` for one that is polled."""
        try:
            return self._adapter.may_be_quiet(child)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: the child is polled like any other
            self._bugs.record(f"it does not report how long {child.name} may be silent", error)
            return None
