"""Record in the timeline which devices stop answering and answer again, and which buses; a lost bus is one event."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from gateway.field.children.availability import AvailabilityChange
from gateway.field.polling.bus_health import BusOutage
from gateway.models import Reach
from gateway.plain_numbers import duration_text
from gateway.runtime.parts import FieldParts
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.registry import Registry

LOOK_EVERY_SECONDS: Final = 1.0
LOST_AFTER_TRIES: Final = 2
"""A bus that can be opened at the second attempt was not lost."""

_Bus = tuple[str, str]


class FieldEvents:
    """Records what devices and buses do.

    Args:
        timeline: gets the events.
        registry: how many children a bus has.
        field: the buses, and which children answer; what it knows now is no news.
    """

    def __init__(self, timeline: Timeline, registry: Registry, field: FieldParts) -> None:
        self._timeline = timeline
        self._registry = registry
        self._field = field
        availability = field.availability
        self._silent = {key for key in registry.children if availability.of(key).last_reach is Reach.SILENT}
        self._lost: dict[_Bus, datetime | None] = {}
        """The buses whose loss was recorded, and since when they are lost."""
        self._unseen = set[_Bus]()
        """Those that were lost before the start, and of which this run knows nothing yet."""
        field.monitor.add_listener(self._note)

    async def load(self) -> None:
        """Find out which buses were lost before the start."""
        latest = await self._timeline.latest_of_subjects([EventKind.BUS_LOST, EventKind.BUS_BACK])
        for event in latest.values():
            if event.kind is EventKind.BUS_LOST and event.entry is not None and event.bus is not None:
                self._lost.setdefault((event.entry, event.bus), event.at)
                self._unseen.add((event.entry, event.bus))

    async def run(self) -> None:
        """Look at the buses until cancelled."""
        await self.load()
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def look(self) -> None:
        """Record the buses that were lost, or are in service again, since the last look."""
        for bus, supervisor in self._field.fleet.supervisors.items():
            outage = supervisor.outage
            if bus in self._unseen and (outage is not None or self._has_answering_child(bus)):
                self._unseen.discard(bus)
            if outage is not None and bus not in self._lost and outage.tries >= LOST_AFTER_TRIES:
                self._record_loss(bus, outage)
            elif outage is None and bus in self._lost and bus not in self._unseen:
                self._record_return(bus, self._lost.pop(bus))

    def _record_loss(self, bus: _Bus, outage: BusOutage) -> None:
        self._lost[bus] = outage.since
        text = f"{outage.reason.phrase}: {self._children_of(bus)}"
        self._timeline.record(EventKind.BUS_LOST, text, bus=bus, at=outage.since, subject=_subject(bus))

    def _record_return(self, bus: _Bus, since: datetime | None) -> None:
        seconds = 0.0 if since is None else (datetime.now(UTC) - since).total_seconds()
        after = f" after {duration_text(seconds)}" if seconds > 0 else ""
        self._timeline.record(
            EventKind.BUS_BACK, f"is in service again{after}: {self._children_of(bus)}", bus=bus, subject=_subject(bus)
        )

    def _has_answering_child(self, bus: _Bus) -> bool:
        children = ((key, record.child) for key, record in self._registry.children.items())
        return any((child.adapter, child.bus) == bus and self._field.monitor.is_reachable(key) for key, child in children)

    def _children_of(self, bus: _Bus) -> str:
        counted = Counter((record.child.adapter, record.child.bus) for record in self._registry.children.values())
        return f"{counted[bus]} {'child' if counted[bus] == 1 else 'children'}"

    def _note(self, change: AvailabilityChange) -> None:
        """Record a change of one child; those that go and come with their bus are in the events of the bus."""
        if change.reach is Reach.SILENT:
            self._silent.add(change.child)
            if not change.is_of_bus and not change.is_continued:
                self._timeline.record(EventKind.WENT, f"does not answer: {change.why}", child=change.child, at=change.at)
        elif change.child in self._silent:
            self._silent.discard(change.child)
            if not change.is_of_bus:
                self._timeline.record(EventKind.CAME, "answers again", child=change.child, at=change.at)


def _subject(bus: _Bus) -> str:
    return f"bus:{bus[0]}/{bus[1]}"
