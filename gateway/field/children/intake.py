"""What becomes of a device that was met: a new child, a known one that moved, a twin, or one that is not taken on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from gateway.config.settings import Policy
from gateway.field.children.admission import Declined, admit
from gateway.field.children.availability import Availability
from gateway.models import ChildDevice, Found, IdentityKind, Reach
from gateway.state.records import ChildRecord, Decision
from gateway.state.registry import Registry

log = logging.getLogger(__name__)


SAID_BY_ITSELF = ("profile", "family", "sub_model", "firmware_version", "serial_number", "mac", "manufacturer", "model")
"""What a child is known by and does not say each time it is met: an advertisement holds less than a conversation."""


class DeviceIntake:
    """Where supervisors bring what they met."""

    def __init__(self, registry: Registry, availability: Availability, *, policy: Policy, models: Mapping[str, str]) -> None:
        self._registry = registry
        self._availability = availability
        self._policy = policy
        self._models = models
        self._evidence: dict[str, Mapping[str, str]] = {}
        self._twins: set[tuple[str, str, str]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def take_in(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        """Return the child that this device is, known or new; `None` when it is not taken on. What is learned is stored."""
        async with self._one_at_a_time:  # a search and an ear may meet the same device in the same moment
            return await self._take_in(entry, bus, found)

    async def _take_in(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        known = self._registry.children.get(found.identity.key)
        if known is None and self.may_be_known_child(entry, bus, found):
            return None
        if known is not None and self._is_twin(known, entry, bus, found):
            return None
        decision = Decision.ADMIT if known else self._decision(found.identity.key)
        verdict = admit(found, adapter=entry, bus=bus, policy=self._policy, models=self._models, decision=decision)
        if isinstance(verdict, Declined):
            if known is None:
                await self._decline(entry, bus, found, verdict.why)
                return None
            verdict = replace(known.child, adapter=entry, bus=bus, address=found.address)
        if known is not None:
            verdict = _remembering(known.child, verdict)
        if known is None:
            log.info("%s: found %s at %s: a new child (%s)", bus, found.name, found.address, found.identity.key)
        elif (known.child.bus, known.child.address) != (bus, found.address):
            log.info("%s: %s moved here from %s %s", bus, found.name, known.child.bus, known.child.address)
        if found.evidence:
            self._evidence[verdict.key] = found.evidence
        return (await self._registry.admit(verdict)).child

    def evidence_of(self, child: str) -> Mapping[str, str]:
        """Return what this child was last recognised by: what was asked, and what it answered. Empty until it is met."""
        return self._evidence.get(child, {})

    async def admit_approved(self) -> None:
        """Take on what a person has admitted since it was found."""
        for met in list(self._registry.found_devices.values()):
            if met.decision is Decision.ADMIT:
                await self.take_in(met.adapter, met.bus, met.found)

    def may_be_known_child(self, entry: str, bus: str, found: Found) -> bool:
        """Whether this may be a child that only failed to say who it is.

        It has nothing but its place, and at this place lives a child that has more: a lost answer is likelier than a swap.
        """
        if found.identity.kind is not IdentityKind.PLACE:
            return False
        place = (entry, bus, found.address)
        return any(
            (record.child.adapter, record.child.bus, record.child.address) == place
            and not record.child.key.startswith(f"{IdentityKind.PLACE}:")
            for record in self._registry.children.values()
        )

    def _decision(self, key: str) -> Decision | None:
        met = self._registry.found_devices.get(key)
        return met.decision if met else None

    def _is_twin(self, known: ChildRecord, entry: str, bus: str, found: Found) -> bool:
        """Two devices with one identity, or one on two buses: the one that is being read keeps it."""
        child = known.child
        moved = (child.adapter, child.bus, child.address) != (entry, bus, found.address)
        if not moved or self._availability.of(child.key).reach is not Reach.REACHABLE:
            return False
        if found.identity.kind is IdentityKind.MAC and (child.adapter, child.address) == (entry, found.address):
            return True  # no twin, but the device itself, which two radios hear: it stays with the first
        place = (child.key, bus, found.address)
        if place not in self._twins:
            self._twins.add(place)
            log.warning(
                "%s: the device at %s gives the same identity (%s) as %s at %s %s, which answers; it is left out",
                *(bus, found.address, child.key, child.name, child.bus, child.address),
            )
        return True

    async def _decline(self, entry: str, bus: str, found: Found, why: str) -> None:
        before = self._registry.found_devices.get(found.identity.key)
        if before is None or before.why != why:
            log.info("%s: found %s at %s, no child: %s", bus, found.name, found.address, why)
        await self._registry.add_found(entry, bus, found, why)


def _remembering(before: ChildDevice, now: ChildDevice) -> ChildDevice:
    """Return the child as it is now; what the same device does not say of itself this time it has not unsaid."""
    if before.profile is not None and now.profile not in (None, before.profile):
        return now  # it is read by another profile, which knows other things of it
    unsaid = [field for field in SAID_BY_ITSELF if getattr(now, field) is None]
    return replace(now, **{field: getattr(before, field) for field in unsaid})
