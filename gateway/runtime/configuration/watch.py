"""Compare buses and children that a configuration has touched with how they were before."""

from __future__ import annotations

from collections.abc import Collection

from gateway.models import Reach
from gateway.runtime.parts import FieldParts
from gateway.state.registry import Registry
from gateway.tasks import loop_time

PATIENCE_SECONDS = 30.0
"""A bus that is opened anew, and a child that missed a few reads, may be worse for so long."""


class BusWatch:
    """Remembers which buses and children worked when it was made.

    Args:
        field: the buses and the availability of the children.
        registry: knows which child is on which bus.
        buses: the buses that are touched, by entry and label.
        child: the only child that counts; `None` for all children on these buses.
    """

    def __init__(
        self, field: FieldParts, registry: Registry, buses: Collection[tuple[str, str]], *, child: str | None = None
    ) -> None:
        self._field = field
        self._registry = registry
        self._began_at = loop_time()
        self._buses = [bus for bus in sorted(buses) if self._bus_problem(bus) is None]
        self._children = [
            key
            for key, record in registry.children.items()
            if (record.child.adapter, record.child.bus) in buses
            and child in (None, key)
            and field.availability.of(key).reach is Reach.REACHABLE
        ]
        self._worse_since: dict[object, float] = {}

    def begin(self) -> None:
        """Record that the configuration is in effect now: see `gateway.cloud.configuration.target.Watch`."""
        self._began_at = loop_time()

    def problem(self, *, at_end: bool) -> str | None:
        """Return what is worse now: see `gateway.cloud.configuration.target.Watch`."""
        for bus in self._buses:
            problem = self._bus_problem(bus)
            if self._lasts(bus, problem is not None, at_end=at_end):
                return f"the bus {bus[1]} does not work: {problem}"
        for key in self._children:
            availability = self._field.availability.of(key)
            if self._lasts(key, availability.reach is not Reach.REACHABLE, at_end=at_end):
                return f"{self._registry.name_of(key) or key} does not answer: {availability.why or 'no reason is known'}"
            if at_end and self._is_stale(key):
                return f"{self._registry.name_of(key) or key} has not answered"
        return None

    def _lasts(self, what: object, is_worse: bool, *, at_end: bool) -> bool:  # noqa: FBT001 - the claim about `what`
        """Return whether something has been worse for long enough, or is worse in the end."""
        if not is_worse:
            self._worse_since.pop(what, None)
            return False
        since = self._worse_since.setdefault(what, loop_time())
        return at_end or loop_time() - since >= PATIENCE_SECONDS

    def _bus_problem(self, bus: tuple[str, str]) -> str | None:
        supervisor = self._field.fleet.supervisors.get(bus)
        return "it is gone" if supervisor is None else supervisor.problem

    def _is_stale(self, key: str) -> bool:
        """Return whether a child has not answered for as long as this watch lasts, and had in the same time before it."""
        answered_at = self._field.monitor.answered_at(key)
        lasted = loop_time() - self._began_at
        return answered_at is not None and self._began_at - lasted <= answered_at <= self._began_at
