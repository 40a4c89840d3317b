"""Show the last frames between the gateway and a device, as its adapter keeps them, also while the device is silent."""

from __future__ import annotations

from gateway.field.fleet import Fleet
from gateway.models import ChildDevice
from gateway.recent_frames import RecordedFrame
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
            frames = supervisor.adapter.recorded_frames(device.address)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs its frames alone
            return Frames(problem=f"its adapter failed: {type(error).__name__}")
        is_of_bus = bool(frames) and all(frame.address is None for frame in frames)
        return Frames(frames=tuple(map(_shown, frames)), is_of_bus=is_of_bus)

    def _device(self, key: str) -> ChildDevice | None:
        if (record := self._registry.children.get(key)) is not None:
            return record.child
        found = self._registry.found_devices.get(key)
        return None if found is None else found.found.as_child(adapter=found.adapter, bus=found.bus)


def _shown(frame: RecordedFrame) -> Frame:
    return Frame(
        at=frame.clock,
        time=frame.at,
        direction={">": "sent", "<": "received"}.get(frame.direction or ""),
        bytes=frame.text,
        text=frame.characters,
        meaning=frame.meaning,
        is_wrong=frame.is_wrong,
    )
