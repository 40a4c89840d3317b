"""Ask the cloud whether it still offers a command that waits or is being carried out in steps."""

from __future__ import annotations

import asyncio

from gateway.cloud.commands.running import RunningCommand
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubBusy, HubError, HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.tasks import loop_time

ASKED_AFTER_SECONDS = 5.0
"""A command that waited for longer than this since the cloud last offered it is asked for again before it starts."""

ANSWER_SECONDS = 2.0
"""How long the start of a command waits for the answer: its bus waits meanwhile."""


class OfferCheck:
    """Finds out whether a command was cancelled: the cloud then offers it no longer (device API reference, section 18).

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        calls: the guarded calls of the session.
    """

    def __init__(self, hub: Hub, devices: CloudDevices, *, calls: GuardedCalls) -> None:
        self._hub = hub
        self._devices = devices
        self._calls = calls

    async def is_gone(self, parent: Credentials, running: RunningCommand) -> bool:
        """Return whether a command that has waited is offered no longer; `False` where the cloud does not answer in time."""
        waited_seconds = loop_time() - running.offered_at
        if waited_seconds <= ASKED_AFTER_SECONDS or self._calls.rate_control.seconds_left(CallKind.COMMANDS) > 0:
            return False
        device = self._devices.credentials_of(parent, running.entry.device_id)
        if device is None:
            return True  # it was deleted in the cloud
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                offer = await self._hub.get_command(device)
        except HubBusy as error:  # it asks for fewer calls of every kind
            self._calls.rate_control.failed(CallKind.COMMANDS, error)
            return False
        except (HubError, TimeoutError):  # the loops that fetch and report meet the same error and handle it
            return False
        return offer is None or offer.id != running.entry.command_id

    async def cancel_if_gone(self, parent: Credentials, running: RunningCommand) -> None:
        """Cancel a command that can still be stopped, if the cloud offers it no longer.

        Raises:
            HubUnreachable: the cloud did not answer.
            HubUnauthorised: the key of the gateway itself was refused.
        """
        device_id = running.entry.device_id
        device = self._devices.credentials_of(parent, device_id)
        if not running.can_be_stopped:
            return
        if device is None:
            running.cancel()
            return
        try:
            offer = await self._hub.get_command(device)
        except HubUnauthorised:
            self._devices.key_refused(parent, device_id)
            return
        except HubRejected:
            return
        if offer is None or offer.id != running.entry.command_id:
            running.cancel()
        else:
            running.offered_at = loop_time()
