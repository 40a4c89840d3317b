"""Say what a person has to look at about a child, besides the state of its registration. Pure."""

from __future__ import annotations

from gateway.state.registry import Registry


def alarms_of(registry: Registry, key: str) -> list[str]:
    """Return what a person has to look at about a child, each as a sentence with what to do."""
    record = registry.children.get(key)
    return [
        f"The cloud has it twice: {device.device_id} {device.why}. Delete that one in the portal;"
        f" {'the other one' if record is None else record.device_id} is in use."
        for device in registry.unused_devices.values()
        if device.child == key and device.access_key is None
    ]
