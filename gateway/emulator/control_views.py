"""Show the emulated cloud to tests and people: a device with everything about it, its commands, telemetry, and calls. Pure."""

from __future__ import annotations

from pydantic import TypeAdapter

from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device
from gateway.emulator.faults import KINDS, Fault, FaultQueue
from gateway.emulator.journal import AcceptedTelemetry, JournalEntry
from gateway.emulator.offline import shown_status

_DEVICE = TypeAdapter(Device)
_ENTRIES = TypeAdapter(list[JournalEntry])
_MESSAGES = TypeAdapter(list[AcceptedTelemetry])
_FAULTS = TypeAdapter(list[Fault])


def device_json(cloud: Cloud, device: Device, *, with_key: bool) -> dict[str, object]:
    """Return a device with everything about it, as customers see it at this moment."""
    now = cloud.clock()
    for command in device.commands:
        command.settle(now)
    shown: dict[str, object] = _DEVICE.dump_python(device, mode="json", exclude=None if with_key else {"access_key"})
    return {
        **shown,
        "space_data_version": device.space_data_version,
        "children": [child.id for child in cloud.children(device)],
        "shown_status": shown_status(cloud, device),
        "expired_licences": [licence.id for licence in device.licences if licence.is_expired(now)],
    }


def commands_json(cloud: Cloud, device: Device) -> object:
    """Return all commands ever queued for a device, with the states that customers see."""
    return device_json(cloud, device, with_key=False)["commands"]


def telemetry_json(cloud: Cloud, device_id: str) -> object:
    """Return the accepted telemetry messages of a device, deleted ones too."""
    return _MESSAGES.dump_python(cloud.journal.telemetry(device_id), mode="json")


def journal_json(cloud: Cloud, since: int) -> object:
    """Return the received calls after a number."""
    return _ENTRIES.dump_python(cloud.journal.entries(since), mode="json")


def faults_json(faults: FaultQueue) -> dict[str, object]:
    """Return the faults that are still active, and all kinds of faults."""
    return {"waiting": _FAULTS.dump_python(faults.active(), mode="json"), "kinds": KINDS}
