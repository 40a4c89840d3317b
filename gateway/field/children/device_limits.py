"""Limit how many devices become children and how many strangers are kept, in all and for each entry of the configuration."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.adapter_settings import AdapterSettings
from gateway.config.settings import AdmissionSection
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

SPARE_SHARE = 0.05
"""At the limit so many strangers are forgotten at once: a flood of new ones costs no search of the oldest for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """The limits of the configuration."""

    most_children: int
    most_found_devices: int
    children_of: Mapping[str, int] = field(default_factory=dict)
    """By entry, for those that have a limit of their own."""
    found_devices_of: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, section: AdmissionSection, entries: Iterable[AdapterSettings] = ()) -> DeviceLimits:
        """Return the limits of a configuration."""
        entries = list(entries)
        return cls(
            most_children=section.most_children,
            most_found_devices=section.most_found_devices,
            children_of={one.entry: one.most_children for one in entries if one.most_children is not None},
            found_devices_of={one.entry: one.most_found_devices for one in entries if one.most_found_devices is not None},
        )


class LimitedDevices:
    """Knows whether there is room for one more child, and which strangers are forgotten for a new one.

    Args:
        registry: knows the children and the found devices.
        limits: the limits.
    """

    def __init__(self, registry: Registry, limits: DeviceLimits) -> None:
        self._registry = registry
        self._limits = limits
        self._seen: dict[str, None] = {}  # the strangers, those that were not found for longest first
        self._flooded: set[str | None] = set()
        self._full: dict[str | None, str] = {}

    def use(self, limits: DeviceLimits) -> None:
        """Go on with these limits."""
        self._limits = limits
        self._flooded.clear()
        self._full.clear()

    @property
    def notices(self) -> list[str]:
        """What the operator has to know: which limits keep devices from becoming children, or have strangers forgotten."""
        self._full = {entry: text for entry, text in self._full.items() if self._children_left(entry) <= 0}
        return [*self._full.values(), *(self._flood_text(entry) for entry in sorted(self._flooded, key=str))]

    def refusal(self, entry: str) -> str | None:
        """Return why no further device of this entry can become a child; `None` when one can."""
        for limited in (None, entry):
            if self._children_left(limited) <= 0:
                text = self._full_text(limited)
                if limited not in self._full:
                    log.warning("%s", text)
                self._full[limited] = text
                return text
        return None

    def is_flooded(self, entry: str) -> bool:
        """Whether so many strangers are found that older ones are forgotten: then not each of them is worth a line in the log."""
        return None in self._flooded or entry in self._flooded

    async def make_room(self, entry: str, key: str) -> bool:
        """Forget the strangers that were not found for longest, where there are too many for a new one.

        Those about which a person has decided, or to which a person has given a name, stay. Return whether there is room.
        """
        if key not in self._registry.found_devices and not await self._has_room(entry):
            return False
        self._seen.pop(key, None)
        self._seen[key] = None
        return True

    async def _has_room(self, entry: str) -> bool:
        strangers = self._registry.found_devices
        for limited in (None, entry):
            most = self._limits.most_found_devices if limited is None else self._limits.found_devices_of.get(entry)
            if most is None:
                continue
            here = [one for one, device in strangers.items() if limited in (None, device.adapter)]
            if len(here) < most:
                continue
            if limited not in self._flooded:
                self._flooded.add(limited)
                log.warning("%s", self._flood_text(limited))
            if not await self._forget_oldest(here, len(here) - most + max(1, int(most * SPARE_SHARE))):
                return False
        return True

    async def _forget_oldest(self, here: list[str], surplus: int) -> bool:
        strangers = self._registry.found_devices
        order = {one: place for place, one in enumerate(self._seen)}
        free = [one for one in here if strangers[one].decision is None and strangers[one].given_name is None]
        oldest = sorted(free, key=lambda one: (order.get(one, -1), strangers[one].at))[:surplus]
        await self._registry.forget_strangers(oldest)
        for one in oldest:
            self._seen.pop(one, None)
        for one in self._seen.keys() - strangers.keys():
            del self._seen[one]  # those that became children
        return bool(oldest)

    def _children_left(self, entry: str | None) -> int:
        children = self._registry.children.values()
        if entry is None:
            return self._limits.most_children - len(children)
        most = self._limits.children_of.get(entry)
        return 1 if most is None else most - sum(record.child.adapter == entry for record in children)

    def _full_text(self, entry: str | None) -> str:
        if entry is None:
            most, key = self._limits.most_children, "most_children under [admission]"
        else:
            most, key = self._limits.children_of[entry], f"most_children of the entry {entry}"
        where = "" if entry is None else f" on {entry}"
        return (
            f"there are {most} children{where}, as many as are allowed, so no further device becomes one. Raise {key}, or retire"
            " children that are gone: xyte-gateway children retire"
        )

    def _flood_text(self, entry: str | None) -> str:
        if entry is None:
            most, key = self._limits.most_found_devices, "most_found_devices under [admission]"
        else:
            most, key = self._limits.found_devices_of.get(entry, 0), f"most_found_devices of the entry {entry}"
        where = "" if entry is None else f" on {entry}"
        return (
            f"more than {most} devices were found{where} that are no children, so those that were not found for longest are"
            f" forgotten, and new ones are not logged. To keep more: {key}"
        )
