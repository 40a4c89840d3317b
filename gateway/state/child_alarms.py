"""Say what a person has to look at about a child, besides the state of its registration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.models import ChildDevice
from gateway.state.records import replacement_question
from gateway.state.registry import Registry


def exchanged_for(registry: Registry, key: str) -> ChildDevice | None:
    """Return the device that answers at the address of a child that is gone; `None` when none does."""
    return next((other.child for other in registry.children.values() if other.replaces == key), None)


def all_alarms(registry: Registry) -> Mapping[str, Sequence[str]]:
    """Return what a person has to look at, by child, in one walk over all; children without an alarm are left out."""
    keys = {record.replaces for record in registry.children.values() if record.replaces is not None}
    keys |= {device.child for device in registry.unused_devices.values()}
    return {key: alarms for key in keys if (alarms := alarms_of(registry, key))}


def alarms_of(registry: Registry, key: str) -> list[str]:
    """Return what a person has to look at about a child, each as a sentence with what to do."""
    record, alarms = registry.children.get(key), []
    new = exchanged_for(registry, key)
    if record is not None and new is not None:
        serial_number = f" (serial number {new.serial_number})" if new.serial_number is not None else ""
        question = replacement_question(record.child, new.key)
        alarms.append(f"{new.name}{serial_number} answers at its address, so commands are refused. {question}")
    for device in registry.unused_devices.values():
        if device.child == key and device.access_key is None:
            used = "the other one" if record is None else record.device_id
            alarms.append(f"The cloud has it twice: {device.device_id} {device.why}. Delete that one there; {used} is in use.")
    return alarms
