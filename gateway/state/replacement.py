"""Decide whether a device can go on as a child whose device is gone. Pure."""

from __future__ import annotations

from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry


def replacement(registry: Registry, old_key: str, new_key: str) -> ChildDevice | str:
    """Return the device that goes on as the child `old_key`, or why it cannot."""
    old, new = registry.children.get(old_key), registry.children.get(new_key)
    found = registry.found_devices.get(new_key)
    if old is None:
        return f"there is no child {old_key!r}"
    if new_key == old_key:
        return "a device cannot replace itself"
    if new is None and found is None:
        return f"no device {new_key!r} was found yet; `xyte-gateway children` lists them"
    if old.state is ChildState.HELD:
        return f"{old.child.name} is not registered itself: it may replace another device"
    if new is not None:
        device = new.child
    elif found is not None:
        device = found.found.as_child(adapter=found.adapter, bus=found.bus, model_id=old.child.model_id)
    if device.model_id != old.child.model_id:
        return (
            f"{device.name} belongs to another Xyte model ({device.model_id}) than {old.child.name} ({old.child.model_id}), and"
            f" the cloud cannot change the model of a device. Retire the old one and admit the new one: xyte-gateway children"
            f" retire {old_key}; xyte-gateway children admit {new_key}"
        )
    return device
