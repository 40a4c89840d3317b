"""Turn a found device into a child: a new one, a known one that moved, or none, with the reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from gateway.config.settings import Policy
from gateway.field.children.admission import Declined, admit
from gateway.field.children.availability import Availability
from gateway.models import ChildDevice, Found, IdentityKind, Reach
from gateway.state.events import ReportEvent
from gateway.state.records import ChildRecord, Decision
from gateway.state.registry import Registry

log = logging.getLogger(__name__)


KEPT_FIELDS = ("profile", "family", "sub_model", "firmware_version", "serial_number", "mac", "manufacturer", "model")
"""What stays known of a child when a device does not report it this time: an advertisement contains less than a connection."""


class DeviceIntake:
    """Takes in found devices from every bus, and stores what is learned from them."""

    def __init__(
        self,
        registry: Registry,
        availability: Availability,
        *,
        policy: Policy,
        models: Mapping[str, str],
        report_event: ReportEvent = lambda child, name, category, text: None,
    ) -> None:
        self._registry = registry
        self._availability = availability
        self._policy = policy
        self._models = models
        self._report_event = report_event
        self._evidence: dict[str, Mapping[str, str]] = {}
        self._reported_duplicates: set[tuple[str, str, str]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def use_policy(self, policy: Policy, models: Mapping[str, str]) -> None:
        """Decide by this policy and these models from now on, also about the devices that were found before."""
        self._policy, self._models = policy, models
        for device in list(self._registry.found_devices.values()):
            await self.take_in(device.adapter, device.bus, device.found)

    async def take_in(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        """Return the child that this device is, known or new; `None` when it does not become one."""
        async with self._one_at_a_time:  # discovery and an unprompted message may find the same device at the same moment
            return await self._take_in(entry, bus, found)

    async def _take_in(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        known = self._registry.children.get(found.identity.key)
        if known is None and self.may_be_known_child(entry, bus, found):
            return None
        if known is not None and self._is_duplicate(known, entry, bus, found):
            return None
        child = self._admitted(known, entry, bus, found)
        if isinstance(child, Declined):
            await self._decline(entry, bus, found, child.why)
            return None
        if found.evidence:
            self._evidence[child.key] = found.evidence
        admitted = (await self._registry.admit(child)).child
        self._report_change(None if known is None else known.child, admitted)
        return admitted

    def _report_change(self, before: ChildDevice | None, child: ChildDevice) -> None:
        """Report a new child, as an event of the gateway, or one that moved, as an event of its own."""
        if before is None:
            log.info("%s: found %s at %s: a new child (%s)", child.bus, child.name, child.address, child.key)
            self._report_event(None, "device_admitted", "device", f"{child.name} at {child.bus} {child.address}")
        elif (before.bus, before.address) != (child.bus, child.address):
            log.info("%s: %s moved here from %s %s", child.bus, child.name, before.bus, before.address)
            text = f"from {before.bus} {before.address} to {child.bus} {child.address}"
            self._report_event(child.key, "device_moved", "device", text)

    def evidence_of(self, child: str) -> Mapping[str, str]:
        """Return how this child was last recognised: each question and its answer. Empty until it is found."""
        return self._evidence.get(child, {})

    async def admit_approved(self) -> None:
        """Admit the devices that an operator has approved since they were found."""
        for device in list(self._registry.found_devices.values()):
            if device.decision is Decision.ADMIT:
                await self.take_in(device.adapter, device.bus, device.found)

    def may_be_known_child(self, entry: str, bus: str, found: Found) -> bool:
        """Return whether this may be a known child that failed to report its identity.

        It has no identity but its place, and the child at this place has a better one: a lost answer is likelier than a swap.
        """
        if found.identity.kind is not IdentityKind.PLACE:
            return False
        place = (entry, bus, found.address)
        return any(
            (record.child.adapter, record.child.bus, record.child.address) == place
            and not record.child.key.startswith(f"{IdentityKind.PLACE}:")
            for record in self._registry.children.values()
        )

    def _admitted(self, known: ChildRecord | None, entry: str, bus: str, found: Found) -> ChildDevice | Declined:
        """Return the child as the device describes it now; a known child stays one even if it would be declined now."""
        decision = Decision.ADMIT if known is not None else self._decision(found.identity.key)
        child = admit(found, adapter=entry, bus=bus, policy=self._policy, models=self._models, decision=decision)
        if known is None:
            return child
        if isinstance(child, Declined):
            child = replace(known.child, adapter=entry, bus=bus, address=found.address)
        return _with_kept_fields(known.child, child)

    def _decision(self, key: str) -> Decision | None:
        device = self._registry.found_devices.get(key)
        return None if device is None else device.decision

    def _is_duplicate(self, known: ChildRecord, entry: str, bus: str, found: Found) -> bool:
        """Return whether another device, or another bus, already has this identity: the device that answers keeps it."""
        child = known.child
        moved = (child.adapter, child.bus, child.address) != (entry, bus, found.address)
        if not moved or self._availability.of(child.key).reach is not Reach.REACHABLE:
            return False
        if found.identity.kind is IdentityKind.MAC and (child.adapter, child.address) == (entry, found.address):
            return True  # the same device, received by a second radio: it stays with the first
        place = (child.key, bus, found.address)
        if place not in self._reported_duplicates:
            self._reported_duplicates.add(place)
            log.warning(
                "%s: the device at %s has the same identity (%s) as %s at %s %s, which answers; it is ignored",
                *(bus, found.address, child.key, child.name, child.bus, child.address),
            )
        return True

    async def _decline(self, entry: str, bus: str, found: Found, why: str) -> None:
        before = self._registry.found_devices.get(found.identity.key)
        if before is None or before.why != why:
            log.info("%s: found %s at %s, not a child: %s", bus, found.name, found.address, why)
        await self._registry.add_found(entry, bus, found, why)


def _with_kept_fields(before: ChildDevice, now: ChildDevice) -> ChildDevice:
    """Return the child as it is now, with earlier values where the same device reports none this time."""
    if before.profile is not None and now.profile not in (None, before.profile):
        return now  # it is read with another profile, which reports other fields
    missing = [field for field in KEPT_FIELDS if getattr(now, field) is None]
    return replace(now, **{field: getattr(before, field) for field in missing})
