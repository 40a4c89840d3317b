"""Summarise the children: one line for each in the list, and all details of a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from gateway.causes import Cause
from gateway.cloud.child_records import DELETED
from gateway.field.children.availability import ChildAvailability
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice, IdentityKind, Reach
from gateway.runtime.parts import FieldParts
from gateway.state.child_alarms import alarms_of, all_alarms
from gateway.state.records import ChildRecord
from gateway.state.registry import Registry
from gateway.status.model import encode_id
from gateway.status.snapshot import ChildDetails, ChildStatus, ChildSummary, child_status

IDENTITY_KINDS: Mapping[str, str] = {
    IdentityKind.SERIAL_NUMBER: "serial number",
    IdentityKind.MAC: "MAC address",
    IdentityKind.FINGERPRINT: "a constant in the device that no other device here has",
    IdentityKind.PLACE: "its bus and address, because nothing in the device distinguishes it from an identical one",
}

CLOUD_STATUSES = (ChildStatus.REFUSED, ChildStatus.HELD, ChildStatus.UNREGISTERED, ChildStatus.UNMOVED, ChildStatus.DELETED)
"""The statuses that come from the registration in the cloud, not from the bus."""

CAUSES_IN_CLOUD: Mapping[ChildStatus, Cause] = {
    ChildStatus.REFUSED: Cause.REFUSED_BY_CLOUD,
    ChildStatus.HELD: Cause.HELD,
    ChildStatus.UNREGISTERED: Cause.NOT_REGISTERED,
    ChildStatus.UNMOVED: Cause.NOT_REGISTERED,
    ChildStatus.DELETED: Cause.DELETED_IN_CLOUD,
}

ASKED_SOON = "its bus works again; it is asked in its turn"

SILENT_FOR_LONG = timedelta(days=7)
"""After this silence a person is told how to retire a child."""


class ChildSummaries:
    """Summaries of the children; that of a child that has not changed is reused."""

    def __init__(self, registry: Registry, field: FieldParts) -> None:
        self._registry = registry
        self._field = field
        self._summaries: dict[str, tuple[ChildRecord, ChildAvailability, ChildSummary]] = {}

    def all(self, at: datetime) -> tuple[ChildSummary, ...]:
        """Return the summaries of all children at this moment."""
        for key in self._summaries.keys() - self._registry.children.keys():
            del self._summaries[key]
        alarms = all_alarms(self._registry)
        return tuple(self._summary(record, at, alarms.get(key, ())) for key, record in self._registry.children.items())

    def details(self, key: str) -> ChildDetails | None:
        """Return everything that is known about one child, `None` when there is no such child."""
        record = self._registry.children.get(key)
        if record is None:
            return None
        child, is_registered = record.child, record.state.is_in_cloud
        availability = self._field.availability.of(key)
        supervisor = self._supervisor_of(child)
        polling = None if supervisor is None else supervisor.child_status(key)
        line = self._summary(record, datetime.now(UTC), alarms_of(self._registry, key))
        is_cloud = line.standing in CLOUD_STATUSES
        reason = self._field.monitor.why_no_values(key) or availability.reason
        return ChildDetails(
            line=line,
            identity_kind=_identity_kind(key),
            evidence=dict(self._field.intake.evidence_of(key)),
            manufacturer=child.manufacturer,
            model=child.model,
            serial_number=child.serial_number,
            mac=child.mac,
            firmware_version=child.firmware_version,
            profile=child.profile,
            family=child.family,
            model_id=child.model_id,
            sub_model=child.sub_model,
            device_id=record.device_id,
            can_take_commands=not is_registered or record.access_key is not None,
            registration=record.state,
            registered_since=record.since if is_registered else None,
            reach=availability.reach,
            next_step=None if is_cloud or reason is None else reason.next_step,
            tries=availability.misses,
            load=polling.load if polling is not None else 0.0,
            is_slow=polling.is_slow if polling is not None else False,
            remarks=(*(() if polling is None else polling.remarks), *self._field.in_effect.remarks(key)),
        )

    def _summary(self, record: ChildRecord, at: datetime, alarms_of_registry: Sequence[str]) -> ChildSummary:
        key, availability = record.child.key, self._field.availability.of(record.child.key)
        known = self._summaries.get(key)
        if known is not None and known[0] is record and known[1] is availability:
            summary = known[2]
        else:
            last_answer = None if availability.reach is Reach.REACHABLE else self._field.monitor.last_answer(key)
            summary = _child_summary(record, availability, last_answer)
            self._summaries[key] = record, availability, summary
        if alarms := [*alarms_of_registry, *self._field.intake.alarms_of(key), *_long_silence(key, availability, at)]:
            summary = summary.model_copy(update={"alarms": tuple(alarms)})
        if summary.standing is ChildStatus.FINE and (reason := self._field.monitor.why_no_values(key)) is not None:
            return summary.model_copy(update={"why": reason.text, "cause": reason.cause})
        supervisor = self._supervisor_of(record.child)
        if availability.reach is not Reach.SILENT or supervisor is None:
            return summary
        if availability.is_of_bus and supervisor.outage is None and summary.stems_from is not None:
            return summary.model_copy(update={"why": ASKED_SOON, "cause": Cause.UNKNOWN})
        wait_seconds = supervisor.next_try_seconds(key)
        next_try_at = None if wait_seconds is None else at + timedelta(seconds=wait_seconds)
        return summary.model_copy(update={"next_try_at": next_try_at})

    def _supervisor_of(self, child: ChildDevice) -> Supervisor | None:
        return self._field.fleet.supervisors.get((child.adapter, child.bus))


def _child_summary(record: ChildRecord, availability: ChildAvailability, last_answer: datetime | None) -> ChildSummary:
    child = record.child
    is_from_before = availability.reach is not availability.last_reach
    shown_reach = Reach.SILENT if availability.last_reach is Reach.SILENT else availability.reach
    status = child_status(record.state, shown_reach)
    is_cloud_status = status in CLOUD_STATUSES
    bus_id = encode_id(child.adapter, child.bus)
    return ChildSummary(
        id=encode_id(child.key),
        key=child.key,
        name=child.name,
        found_as=child.found_as,
        entry=child.adapter,
        bus=child.bus,
        bus_id=bus_id,
        address=child.address,
        kind=_maker_and_model(child.manufacturer, child.model),
        family=child.family,
        serial_number=child.serial_number,
        standing=status,
        since=record.since if is_cloud_status else None if status is ChildStatus.UNASKED else availability.since,
        answered_at=last_answer,
        is_from_before=is_from_before and not is_cloud_status,
        why=record.problem if is_cloud_status else availability.why,
        cause=_cause(status, availability, record.problem),
        stems_from=bus_id if status is ChildStatus.SILENT and availability.is_of_bus and not is_from_before else None,
    )


def _cause(status: ChildStatus, availability: ChildAvailability, problem: str | None) -> Cause | None:
    if status is ChildStatus.SILENT and availability.reason is not None:
        return availability.reason.cause
    if status is ChildStatus.UNREGISTERED and (problem or "").startswith(DELETED):  # and it is registered again in a while
        return Cause.DELETED_IN_CLOUD
    return CAUSES_IN_CLOUD.get(status)


def _long_silence(key: str, availability: ChildAvailability, at: datetime) -> list[str]:
    """Return what to do about a child that has been silent for so long that it may be gone for good."""
    if availability.last_reach is not Reach.SILENT or availability.since is None or at - availability.since < SILENT_FOR_LONG:
        return []
    days = (at - availability.since).days
    return [f"It has not answered for {days} days. If it is gone for good: xyte-gateway children retire {key}"]


def _maker_and_model(maker: str | None, model: str | None) -> str | None:
    """Return maker and model; the maker only once where the model begins with it."""
    if maker and model and model.casefold().startswith(maker.casefold()):
        return model
    return " ".join(filter(None, (maker, model))) or None


def _identity_kind(key: str) -> str:
    """Return the basis of a child's identity in words."""
    kind = key.partition(":")[0]
    return IDENTITY_KINDS.get(kind, kind)
