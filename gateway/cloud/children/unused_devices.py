"""Delete devices in the cloud that the gateway does not use, each with its own key; forget those that a person has deleted."""

from __future__ import annotations

import logging
from datetime import timedelta

from gateway.errors import HubRejected
from gateway.hub import Credentials, Hub
from gateway.state.records import UnusedDevice
from gateway.state.registry import Registry
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

REFUSED_AGAIN_AFTER = timedelta(hours=1)
"""The retry interval of a deletion that the cloud refuses."""

LOOK_EVERY = timedelta(hours=1)
"""How often it is looked whether a person has deleted a device without a key."""


class UnusedDevices:
    """Deletes what is not used. A deletion whose response is lost is repeated: one that is done already counts as done."""

    def __init__(self, hub: Hub, registry: Registry) -> None:
        self._hub = hub
        self._registry = registry
        self._not_before: dict[str, float] = {}  # device id -> loop time

    async def delete_next(self, parent: Credentials) -> bool:
        """Delete one device, or look once whether those without a key are gone; return `False` when nothing was due.

        Raises:
            HubUnreachable: it is deleted later.
        """
        now = loop_time()
        due = [one for one in self._registry.unused_devices.values() if self._due_at(one, now) <= now]
        if not due:
            return False
        credentials = due[0].credentials(parent)
        if credentials is None:
            await self._look(parent, [one for one in due if one.access_key is None])
        else:
            await self._delete(credentials, due[0])
        return True

    async def _delete(self, credentials: Credentials, device: UnusedDevice) -> None:
        try:
            await self._hub.delete_device(credentials)
        except HubRejected as error:
            self._postpone(device, REFUSED_AGAIN_AFTER)
            log.warning("%s: the cloud does not delete %s (%s); it is tried every hour", device.name, device.device_id, error)
            return
        await self._registry.remove_unused_device(device.device_id)
        log.info("%s: %s, which %s, is deleted in the cloud", device.name, device.device_id, device.why)

    async def _look(self, parent: Credentials, devices: list[UnusedDevice]) -> None:
        ids = {one.device_id for one in await self._hub.get_children(parent)}
        for device in devices:
            if device.device_id in ids:
                self._postpone(device, LOOK_EVERY)
            else:
                await self._registry.remove_unused_device(device.device_id)

    def _due_at(self, device: UnusedDevice, now: float) -> float:
        first_at = now if device.access_key is not None else now + LOOK_EVERY.total_seconds()  # it was listed a moment ago
        return self._not_before.setdefault(device.device_id, first_at)

    def _postpone(self, device: UnusedDevice, delay: timedelta) -> None:
        self._not_before[device.device_id] = loop_time() + delay.total_seconds()
