"""Send the events of the gateway and its children: together, about one a minute for each device, within the daily limit."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.incidents.owner import Owner, owner_of
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubBusy, HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.state.events import TEXT_LENGTH, EventQueue, QueuedEvent
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

GATHER_SECONDS = 5.0
"""Events that are reported within this time are put together before the first of them is sent."""

SECONDS_BETWEEN_EVENTS = 60.0
"""Between two events of one device (device API reference, section 18)."""

PACE_SECONDS = 0.5
"""Between two events of different devices: every request counts, and events are never urgent."""


class EventLoop:
    """Runs beside the telemetry until it is cancelled.

    Args:
        hub: the cloud.
        registry: knows the children.
        devices: is told of a child whose key was refused.
        events: the events that wait.
        calls: the guarded calls of the session.
    """

    def __init__(self, hub: Hub, registry: Registry, devices: CloudDevices, events: EventQueue, *, calls: GuardedCalls) -> None:
        self._hub = hub
        self._registry = registry
        self._devices = devices
        self._events = events
        self._calls = calls
        self._not_before: dict[str, float] = {}  # device id -> loop time of its next event

    async def run(self, parent: Credentials) -> None:
        """Send until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        while True:
            self._events.arrived.clear()
            wait_seconds = await self._send_due(parent)
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._events.arrived.wait()
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                pass

    async def send_now(self, parent: Credentials) -> None:
        """Send the event of the gateway itself that waits longest, without waiting: the gateway stops.

        Raises:
            HubError: it is kept for the next start.
            StoreError: likewise.
        """
        await self._events.save()
        for event in await self._events.oldest_of_each():
            if event.child is None and not await self._events.wait_for_allowance(parent.device_id):
                await self._events.confirm(await self._send(Owner(parent), event), parent.device_id)

    async def _send_due(self, parent: Credentials) -> float | None:
        """Send what may be sent now; return in how many seconds the next one may, `None` for no waiting event."""
        next_at: list[float] = []
        for event in await retry_until_stored(self._events.oldest_of_each, what="the list of events"):
            owner = owner_of(self._registry, parent, event.child)
            if owner is None:
                next_at.append(loop_time() + SECONDS_BETWEEN_EVENTS)  # its child is not registered yet
            elif (at := await self._free_at(owner.device.device_id)) > loop_time():
                next_at.append(at)
            else:
                await self._call(parent, owner, event)
                next_at.append(loop_time() + SECONDS_BETWEEN_EVENTS)  # there may be another one of this device
                await asyncio.sleep(PACE_SECONDS)
        return max(min(next_at) - loop_time(), 0.0) if next_at else None

    async def _free_at(self, device_id: str) -> float:
        """Return the loop time from which the device may send its next event."""
        now = loop_time()
        self._not_before = {device: at for device, at in self._not_before.items() if at > now}
        wait = await retry_until_stored(lambda: self._events.wait_for_allowance(device_id), what="the allowance of events")
        return max(self._not_before.get(device_id, now), now + wait.total_seconds())

    async def _call(self, parent: Credentials, owner: Owner, event: QueuedEvent) -> None:
        device_id = owner.device.device_id
        self._not_before[device_id] = loop_time() + SECONDS_BETWEEN_EVENTS

        async def send() -> bool:
            try:
                sent = await self._send(owner, event)
            except HubUnauthorised:
                self._devices.key_refused(parent, device_id)
            else:  # without it, the event would be sent each minute while the store fails
                await retry_until_stored(partial(self._events.confirm, sent, device_id), what="that an event is sent")
            return True

        await self._calls.run(parent, CallKind.EVENTS, send, otherwise=False)

    async def _send(self, owner: Owner, event: QueuedEvent) -> QueuedEvent:
        """Send an event and return it as it was sent, also one that the cloud does not take."""
        event = await self._events.take(event)
        text = printable_line(owner.named(event.text), TEXT_LENGTH)
        try:
            await self._hub.add_event(
                owner.device, event.name, event.category, integers=(event.times,), strings=(text,), at=event.at
            )
        except HubUnauthorised:
            raise
        except HubBusy:  # perhaps its daily limit: the next try must not stop all other calls again soon
            await self._events.use_up_allowance(owner.device.device_id)
            raise
        except HubRejected as error:
            log.info("the cloud does not take the event %s (%s): %s", event.name, text, error)
        return event
