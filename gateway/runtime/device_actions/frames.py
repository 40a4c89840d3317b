"""Show the last frames between the gateway and a device, as its adapter keeps them, also while the device is silent."""

from __future__ import annotations

from gateway.field.fleet import Fleet
from gateway.models import ChildDevice
from gateway.recent_frames import FrameLine, frame_line
from gateway.state.registry import Registry
from gateway.status.device_actions import Frame, Frames


class DeviceFrames:
    """The last frames.

    Args:
        registry: knows children and found devices.
        fleet: knows the buses.
    """

    def __init__(self, registry: Registry, fleet: Fleet) -> None:
        self._registry = registry
        self._fleet = fleet

    def frames_of(self, key: str) -> Frames | None:
        """Return the last frames of a device, of its whole bus where they name no addresses; `None` for an unknown device."""
        device = self._device(key)
        if device is None:
            return None
        supervisor = self._fleet.supervisors.get((device.adapter, device.bus))
        if supervisor is None:
            return Frames(problem=f"its bus {device.bus} does not exist (any more)")
        try:
            lines = [frame_line(line) for line in supervisor.adapter.recent_frames()]
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs its frames alone
            return Frames(problem=f"its adapter failed: {type(error).__name__}")
        has_addresses = any(line.address is not None for line in lines)
        own = [line for line in lines if line.address == device.address] if has_addresses else lines
        return Frames(frames=tuple(map(_frame, own)), is_of_bus=bool(own) and not has_addresses)

    def _device(self, key: str) -> ChildDevice | None:
        if (record := self._registry.children.get(key)) is not None:
            return record.child
        found = self._registry.found_devices.get(key)
        return None if found is None else found.found.as_child(adapter=found.adapter, bus=found.bus)


def _frame(line: FrameLine) -> Frame:
    direction = {">": "sent", "<": "received"}.get(line.direction or "")
    return Frame(at=line.at, direction=direction, bytes=line.text, text=line.characters)
