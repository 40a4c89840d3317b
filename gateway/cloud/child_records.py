"""Compute the records of a child's registration: the call to make, and the record after each outcome. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from gateway.cloud.protocol.values import semantic_version
from gateway.hub import ChildRegistration, Credentials, DeviceUpdate, ListedChild
from gateway.state.child_states import ChildEvent, next_child_state
from gateway.state.records import ChildRecord

MARKER = "gateway_marker"
"""The key in a child's `details` whose value is unique to one registration attempt."""

KEY_LOST = (
    "the cloud has it, but its access key was lost with a response that never arrived: telemetry goes on, commands and"
    " configuration cannot. Delete it in the portal, and it is registered again within a quarter of an hour"
)

KEY_LOST_WITH_STORE = (
    "the cloud has it, but its access key was lost with the store: telemetry goes on, commands and configuration cannot. Delete"
    " it in the portal, and it is registered again within a quarter of an hour"
)

DELETED = "deleted in the cloud"


def registration_of(record: ChildRecord, *, with_sub_model: bool = True) -> ChildRegistration:
    """Return the data that Register Child Device sends for a child."""
    child = record.child
    return ChildRegistration(
        model_id=child.model_id,
        firmware_version=semantic_version(child.firmware_version),
        serial_number=child.serial_number,  # left out where the device has none (section 18): none is invented
        mac=child.mac,
        name=child.name,
        sub_model=child.sub_model if with_sub_model else None,
        details=_details_of(record),
    )


def _details_of(record: ChildRecord, **more: object) -> dict[str, object]:
    """Return all details of a child: the hub may replace those that it has (section 17.28)."""
    child = record.child
    facts: Mapping[str, object] = {
        "manufacturer": child.manufacturer,
        "model": child.model,
        "profile": child.profile,
        "adapter": child.adapter,
        "bus": child.bus,
        "address": child.address,
        **more,
    }
    return {**{name: fact for name, fact in facts.items() if fact is not None}, MARKER: record.marker}


def is_same_device(record: ChildRecord, listed: ListedChild) -> bool:
    """Return whether a listed device without a marker can be this child: by serial number or, without one, by name."""
    serial_number = record.child.serial_number
    if serial_number is None:
        return listed.serial_number is None and listed.name == record.child.name
    return listed.serial_number == serial_number


def is_certainly_same_device(record: ChildRecord, listed: ListedChild) -> bool:
    """Return whether a listed device is this child, whatever its marker: by serial number or, without one, by name and place."""
    child = record.child
    if not is_same_device(record, listed):
        return False
    place = {"adapter": child.adapter, "bus": child.bus, "address": child.address}
    return child.serial_number is not None or all(listed.details.get(name) == value for name, value in place.items())


def update_of(record: ChildRecord) -> DeviceUpdate:
    """Return the data that Update Device sends for a child.

    The serial number and the MAC of a device are fixed by its registration; those that became known later are in its details.
    """
    child = record.child
    return DeviceUpdate(
        name=child.name,
        firmware_version=semantic_version(child.firmware_version),
        sub_model=child.sub_model,
        details=_details_of(record, serial_number=child.serial_number, mac=child.mac),
    )


def registering(record: ChildRecord, parent: Credentials) -> ChildRecord:
    """Return the record to store before Register Child Device is called."""
    return replace(
        record, state=next_child_state(record.state, ChildEvent.CALL_STARTED), since=datetime.now(UTC), parent_id=parent.device_id
    )


def not_registered(record: ChildRecord, event: ChildEvent) -> ChildRecord:
    """Return the record of a child whose call registered nothing."""
    return replace(record, state=next_child_state(record.state, event))


def registered(record: ChildRecord, parent: Credentials, credentials: Credentials, *, needs_update: bool) -> ChildRecord:
    """Return the record of a child with its new credentials."""
    return replace(
        record,
        state=next_child_state(record.state, ChildEvent.KEY_RECEIVED),
        device_id=credentials.device_id,
        access_key=credentials.access_key,
        hub_url=credentials.hub_url if credentials.hub_url != parent.hub_url else None,
        needs_update=needs_update,
        problem=None,
        since=datetime.now(UTC),
    )


def registered_without_key(record: ChildRecord, parent: Credentials, listed: ListedChild) -> ChildRecord:
    """Return the record of a child that the cloud registered with a call whose response was lost."""
    return replace(
        record,
        state=next_child_state(record.state, ChildEvent.LISTED),
        device_id=listed.device_id,
        access_key=None,
        parent_id=parent.device_id,
        problem=KEY_LOST,
        since=datetime.now(UTC),
    )


def refused(record: ChildRecord, problem: str) -> ChildRecord:
    """Return the record of a child that the hub refused to register."""
    return replace(record, state=next_child_state(record.state, ChildEvent.REFUSED), problem=problem, since=datetime.now(UTC))


def unregistered(record: ChildRecord, event: ChildEvent, *, problem: str | None = None) -> ChildRecord:
    """Return the record of a child that the cloud no longer knows, with a new marker."""
    state = next_child_state(record.state, event)
    return ChildRecord(child=record.child, state=state, marker=str(uuid4()), problem=problem, since=datetime.now(UTC))
