"""Tell the cloud to open no incidents for the gateway and its children, or to open them again, as the configuration says."""

from __future__ import annotations

import asyncio
import logging

from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.state.incidents import Incidents
from gateway.state.writes import retry_until_stored

log = logging.getLogger(__name__)

SETTING = "incidents.suspend_creation"
"""The cloud setting that stops the creation of incidents (device API reference, section 8.4)."""

LOOK_SECONDS = 60.0
"""Between two looks for children that are new in the cloud."""

PACE_SECONDS = 1.0
"""Between two calls: it is one call for each device, once, and not urgent."""


class IncidentSuspension:
    """Runs beside the telemetry until it is cancelled; makes no call for a device whose setting is as it should be.

    Args:
        hub: the cloud.
        devices: the gateway and its children.
        incidents: whether they are wanted, and for which devices they were suspended.
        calls: the guarded calls of the session.
    """

    def __init__(self, hub: Hub, devices: CloudDevices, incidents: Incidents, *, calls: GuardedCalls) -> None:
        self._hub = hub
        self._devices = devices
        self._incidents = incidents
        self._calls = calls
        self._refused: set[str] = set()

    async def run(self, parent: Credentials) -> None:
        """Set what differs until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        is_suspended = not self._incidents.are_wanted
        suspended = await retry_until_stored(self._incidents.suspended_devices, what="the devices without incidents")
        while is_suspended or suspended:
            for device_id in (parent.device_id, *self._devices.children_in_cloud()):
                if (device_id in suspended) != is_suspended and device_id not in self._refused:
                    await self._set(parent, device_id, suspended, is_suspended=is_suspended)
                    await asyncio.sleep(PACE_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def _set(self, parent: Credentials, device_id: str, suspended: set[str], *, is_suspended: bool) -> None:
        async def call() -> bool:
            device = self._devices.credentials_of(parent, device_id)
            if device is None:
                return False
            try:
                await self._hub.set_cloud_settings(device, SETTING, is_suspended)
            except HubUnauthorised:
                self._devices.key_refused(parent, device_id)
                return True
            except HubRejected as error:
                self._refused.add(device_id)
                name = self._devices.name_of(self._devices.child_of(parent, device_id))
                log.warning("%s: the cloud does not take the setting %s: %s", name, SETTING, error)
                return True
            await self._incidents.save_suspension(device_id, is_suspended=is_suspended)
            (suspended.add if is_suspended else suspended.discard)(device_id)
            return True

        await self._calls.run(parent, CallKind.INCIDENTS, call, otherwise=False)
