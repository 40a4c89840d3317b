"""Record in the timeline which devices were found, admitted, ignored, renamed and retired, by whatever process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.records import Decision
from gateway.state.registry import Registry

LOOK_EVERY_SECONDS = 1.0
"""Changes within this time are looked at together."""

OF_PEOPLE: Final = frozenset({EventKind.ADMITTED, EventKind.IGNORED, EventKind.RENAMED, EventKind.RETIRED})
"""What people ask for, so that the timeline names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was known of a device."""

    name: str
    bus: tuple[str, str]
    address: str
    is_child: bool
    is_ignored: bool = False
    why: str = ""
    """Why it is no child."""


class DeviceEvents:
    """Compares the devices of the registry with those that it knew before.

    Args:
        timeline: gets the differences.
        registry: the devices; what it has now is no news.
    """

    def __init__(self, timeline: Timeline, registry: Registry) -> None:
        self._timeline = timeline
        self._registry = registry
        self._known = _devices(registry)
        self._revision = registry.revision

    async def run(self) -> None:
        """Record differences until cancelled."""
        while True:
            await self._registry.wait_for_change(self._revision)
            self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def look(self) -> None:
        """Record what has changed since the last look."""
        self._revision = self._registry.revision
        before, self._known = self._known, _devices(self._registry)
        for key, device in self._known.items():
            if before.get(key) != device:
                self._record_change(key, before.get(key), device)
        for key in before.keys() - self._known.keys():
            gone = before[key]
            if gone.is_child:
                self._record(EventKind.RETIRED, "is no child of this gateway any more", key, gone)

    def _record_change(self, key: str, before: _Known | None, now: _Known) -> None:
        place = f"at {now.bus[1]}, address {now.address}"
        if now.is_child and (before is None or not before.is_child):
            self._record(EventKind.ADMITTED, f"is a child of this gateway now, {place}", key, now)
        elif before is None:
            self._record(EventKind.FOUND, f"was found {place}. It is no child: {now.why}", key, now)
        elif before.is_child and not now.is_child:
            self._record(EventKind.RETIRED, "is no child of this gateway any more", key, now)
        if before is not None and before.is_ignored != now.is_ignored and not now.is_child:
            words = "is ignored from now on" if now.is_ignored else "is not ignored any more"
            self._record(EventKind.IGNORED, words, key, now)
        if before is not None and before.name != now.name:
            self._record(EventKind.RENAMED, f"was called {before.name} before", key, now)

    def _record(self, kind: EventKind, what: str, key: str, device: _Known) -> None:
        asker = self._timeline.askers.of(key) if kind in OF_PEOPLE else None
        words = what if asker is None else f"{what}, {asker}"
        self._timeline.record(kind, words, child=key, bus=device.bus, device=device.name)


def _devices(registry: Registry) -> dict[str, _Known]:
    known = {
        key: _Known(
            name=found.name,
            bus=(found.adapter, found.bus),
            address=found.found.address,
            is_child=False,
            is_ignored=found.decision is Decision.IGNORE,
            why=found.why,
        )
        for key, found in registry.found_devices.items()
    }
    for key, record in registry.children.items():
        child = record.child
        known[key] = _Known(name=child.name, bus=(child.adapter, child.bus), address=child.address, is_child=True)
    return known
