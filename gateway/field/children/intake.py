"""Turn a found device into a child: a new one, a known one that moved, or none, with the reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from gateway.config.settings import AdmissionSection, Policy
from gateway.errors import StoreError
from gateway.field.children.admission import ANY_FAMILY, Declined, admit
from gateway.field.children.availability import Availability
from gateway.field.children.device_limits import DeviceLimits, LimitedDevices
from gateway.field.children.duplicates import Duplicates
from gateway.models import ChildDevice, Found, IdentityKind, Reach
from gateway.state.child_states import ChildState
from gateway.state.events import ReportEvent
from gateway.state.records import ChildRecord, Decision, replacement_question
from gateway.state.registry import Registry
from gateway.tasks import loop_time

log = logging.getLogger(__name__)


TELL_AGAIN_SECONDS = 600.0
"""A disk that fails now and then would fill the log with one line for each found device."""

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
        limits: DeviceLimits | None = None,
        report_event: ReportEvent = lambda child, name, category, text: None,
    ) -> None:
        self._registry = registry
        self._availability = availability
        self._policy = policy
        self._models = models
        self._limited = LimitedDevices(registry, limits if limits is not None else DeviceLimits.of(AdmissionSection()))
        self._evidence: dict[str, Mapping[str, str]] = {}
        self._duplicates = Duplicates(report_event)
        self._report_event = report_event
        self._logged_models: set[tuple[str, str]] = set()
        self._given_models: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()
        self._tell_again_at = 0.0
        self._missed_on: set[tuple[str, str]] = set()

    async def use_policy(self, policy: Policy, models: Mapping[str, str], limits: DeviceLimits) -> None:
        """Decide by this policy, these models and limits from now on, also about the devices that were found before."""
        self._policy, self._models = policy, models
        self._limited.use(limits)
        for device in list(self._registry.found_devices.values()):
            await self.take_in(device.adapter, device.bus, device.found)

    def has_missed(self, entry: str, bus: str) -> bool:
        """Return whether the store failed for a device of this bus since this was asked last: it has to be found again."""
        has_missed = (entry, bus) in self._missed_on
        self._missed_on.discard((entry, bus))
        return has_missed

    async def take_in(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        """Return the child that this device is, known or new; `None` when it does not become one.

        While the store fails, no device becomes a child, and those that are known go on as they are.
        """
        async with self._one_at_a_time:  # discovery and an unprompted message may find the same device at the same moment
            try:
                child = await self._take_in(entry, bus, found)
            except StoreError as error:
                self._missed_on.add((entry, bus))
                if loop_time() >= self._tell_again_at:
                    self._tell_again_at = loop_time() + TELL_AGAIN_SECONDS
                    log.error("%s: %s cannot be stored, so it becomes no child yet: %s", bus, found.name, error)  # noqa: TRY400 - a full disk is no bug
                known = self._registry.children.get(found.identity.key)
                is_here = known is not None and _place(known.child) == (entry, bus, found.address)
                return known.child if known is not None and is_here else None
            return child

    async def _take_in(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        known = self._registry.children.get(found.identity.key)
        if known is None and self.may_be_known_child(entry, bus, found):
            return None
        if known is not None and self._is_duplicate(known, entry, bus, found):
            return None
        displaced = self._displaced_by(entry, bus, found)
        child = self._admitted(known, entry, bus, found)
        if (
            known is None
            and isinstance(child, ChildDevice)
            and not (displaced is not None and _is_better_identity(displaced, child))
        ):
            full = self._limited.refusal(entry)
            child = child if full is None else Declined(full)
        if isinstance(child, Declined):
            question = (
                ""
                if displaced is None
                else f". It answers at the address of {displaced.name}. {replacement_question(displaced, found.identity.key)}"
            )
            await self._decline(entry, bus, found, f"{child.why}{question}")
            return None
        if found.evidence:
            self._evidence[child.key] = found.evidence
        if known is None and displaced is not None and _is_better_identity(displaced, child):
            return await self._go_on_as(displaced, child)
        record = await self._registry.admit(child, displaced=displaced)
        self._report_change(None if known is None else known.child, record.child)
        self._report_exchange(known, record.child, displaced)
        self._log_kept_model(record, child)
        await self._release_place(record)
        return record.child

    def _report_change(self, before: ChildDevice | None, child: ChildDevice) -> None:
        """Report a new child, as an event of the gateway, or one that moved, as an event of its own."""
        if before is None:
            log.info("%s: found %s at %s: a new child (%s)", child.bus, child.name, child.address, child.key)
            self._report_event(None, "device_admitted", "device", f"{child.name} at {child.bus} {child.address}")
        elif (before.bus, before.address) != (child.bus, child.address):
            log.info("%s: %s moved here from %s %s", child.bus, child.name, before.bus, before.address)
            text = f"from {before.bus} {before.address} to {child.bus} {child.address}"
            self._report_event(child.key, "device_moved", "device", text)

    def _report_exchange(self, known: ChildRecord | None, child: ChildDevice, displaced: ChildDevice | None) -> None:
        """Log and report once that a child has the address of another one."""
        if displaced is None or (known is not None and known.replaces == displaced.key):
            return
        text = (
            f"{child.name} (serial number {child.serial_number or 'unknown'}) answers at its address {child.bus} {child.address}"
        )
        question = replacement_question(displaced, child.key)
        log.warning("%s: %s. Commands to it are refused. %s", displaced.name, text, question)
        self._report_event(displaced.key, "device_exchanged", "device", text)

    def _log_kept_model(self, record: ChildRecord, child: ChildDevice) -> None:
        """Log once that a registered child cannot change its model."""
        kept = record.child.model_id
        if kept != child.model_id and (child.key, child.model_id) not in self._logged_models:
            self._logged_models.add((child.key, child.model_id))
            log.warning(
                "%s: stays registered under the model %s, since the cloud cannot change the model of a device to %s. To register"
                " it under that one: xyte-gateway children retire %s, then xyte-gateway children admit %s",
                *(record.child.name, kept, child.model_id, child.key, child.key),
            )

    def _log_missing_model(self, child: ChildDevice, found: Found, why: str) -> None:
        """Log once that a child is of another family than it was registered as, and that this family has no model."""
        seen = (child.key, found.family or "")
        if found.family != child.family and not found.is_generic and seen not in self._logged_models:
            self._logged_models.add(seen)
            log.warning(
                "%s: it is known as %s now, and stays registered under the model %s, since the cloud cannot change the model of"
                " a device. To register it anew: %s",
                *(child.name, found.family, child.model_id, why),
            )

    async def _go_on_as(self, known: ChildDevice, child: ChildDevice) -> ChildDevice:
        """Let a child that was known by its place alone go on under the identity that its device reports now."""
        log.info("%s: %s now reports who it is (%s); it stays the same child", child.bus, known.name, child.key)
        return (await self._registry.replace(known.key, child, unused=None)).child

    async def _release_place(self, record: ChildRecord) -> None:
        """End the question about a child that was thought to be gone: it was found."""
        for other in list(self._registry.children.values()):
            if other.replaces == record.child.key:
                is_back = _place(other.child) == _place(record.child)
                await self._registry.save_child(other.given_way(record.child) if is_back else other.released())

    @property
    def notices(self) -> list[str]:
        """What the operator has to know about the number of devices."""
        return self._limited.notices

    def alarms_of(self, child: str) -> list[str]:
        """Return what a person has to look at about the identity of a child."""
        return self._duplicates.alarms_of(child)

    def evidence_of(self, child: str) -> Mapping[str, str]:
        """Return how this child was last recognised: each question and its answer. Empty until it is found."""
        return self._evidence.get(child, {})

    def restore_evidence(self, child: str, evidence: Mapping[str, str]) -> None:
        """Know how this child was recognised before the start, until it is found again."""
        if evidence:
            self._evidence.setdefault(child, evidence)

    async def admit_approved(self, *, model_ids: Mapping[str, str] | None = None) -> None:
        """Admit the devices that an operator has approved since they were found.

        `model_ids` are the Xyte models that an operator gives for devices, by their keys; they are kept with the children.
        """
        self._given_models |= model_ids or {}
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
            record.child.address == found.address
            and _place(record.child) == place
            and not record.child.key.startswith(f"{IdentityKind.PLACE}:")
            for record in self._registry.children.values()
        )

    def _displaced_by(self, entry: str, bus: str, found: Found) -> ChildDevice | None:
        """Return the child of the cloud at whose address another device was found; `None` when the address was free."""
        place, key = (entry, bus, found.address), found.identity.key
        for record in self._registry.children.values():
            child = record.child
            if child.address != found.address or _place(child) != place or child.key == key:
                continue  # the address first: a radio hears hundreds of strangers a second, among thousands of children
            is_in_cloud = record.state.is_in_cloud or record.state is ChildState.REGISTERING
            if is_in_cloud and record.replaces != key:
                return child
        return None

    def _admitted(self, known: ChildRecord | None, entry: str, bus: str, found: Found) -> ChildDevice | Declined:
        """Return the child as the device describes it now; a known child stays one even if it would be declined now."""
        decision = Decision.ADMIT if known is not None else self._decision(found.identity.key)
        given = self._given_models.get(found.identity.key)
        models = self._models if known is not None or given is None else {ANY_FAMILY: given}
        child = admit(found, adapter=entry, bus=bus, policy=self._policy, models=models, decision=decision)
        if known is None:
            return child
        self._given_models.pop(known.child.key, None)
        if isinstance(child, Declined) and found.profile is not None:  # it has a model, which the cloud cannot change anyway
            self._log_missing_model(known.child, found, child.why)
            child = found.as_child(adapter=entry, bus=bus, model_id=known.child.model_id)
        if isinstance(child, Declined) or _is_less_specific(found, known.child):
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
        self._duplicates.record(child, bus, found.address)
        return True

    async def _decline(self, entry: str, bus: str, found: Found, why: str) -> None:
        before = self._registry.found_devices.get(found.identity.key)
        if before is not None and before.is_retired and before.decision is Decision.IGNORE:
            why = before.why
        has_room = await self._limited.make_room(entry, found.identity.key)
        if before is None or before.why != why:
            level = logging.DEBUG if self._limited.is_flooded(entry) else logging.INFO
            log.log(level, "%s: found %s at %s, not a child: %s", bus, found.name, found.address, why)
        if has_room:
            await self._registry.add_found(entry, bus, found, why)


def _place(child: ChildDevice) -> tuple[str, str, str]:
    return child.adapter, child.bus, child.address


def _is_better_identity(known: ChildDevice, child: ChildDevice) -> bool:
    """Return whether a device at the place of a child that is known by its place alone is that child."""
    is_by_place = known.key.startswith(f"{IdentityKind.PLACE}:") and not child.key.startswith(f"{IdentityKind.PLACE}:")
    return is_by_place and known.profile == child.profile


def _is_less_specific(found: Found, known: ChildDevice) -> bool:
    """Return whether the device was found only by a format of many makers although more is known of it."""
    return found.is_generic and known.profile is not None and known.profile != found.profile


def _with_kept_fields(before: ChildDevice, now: ChildDevice) -> ChildDevice:
    """Return the child as it is now, with earlier values where the same device reports none this time."""
    if before.profile is not None and now.profile not in (None, before.profile):
        return now  # it is read with another profile, which reports other fields
    missing = [field for field in KEPT_FIELDS if getattr(now, field) is None]
    return replace(now, **{field: getattr(before, field) for field in missing})
