"""Send the last messages before the gateway stops: what waits, and that the gateway and its children are offline now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.cloud.delivery import Delivery
from gateway.cloud.live_samples import ENTRY_FRAME_BYTES
from gateway.errors import HubRejected, HubUnreachable, StoreError
from gateway.hub import CHILDREN_PER_CALL, MESSAGE_BYTES, Credentials, Hub, TelemetryMessage, TelemetryResponse
from gateway.models import Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import Outbox, QueuedSample
from gateway.state.registry import Registry
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

BACKLOG_SECONDS = 1.0
"""How long samples are sent that wait before the last one of their child: the status of the children must not wait for them."""

CALLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _LastMessage:
    """The last message of one child, and the sample that it contains, if any."""

    device_id: str
    message: TelemetryMessage
    queued: QueuedSample | None

    @property
    def size_bytes(self) -> int:
        return ENTRY_FRAME_BYTES + (self.queued.size_bytes if self.queued is not None else 0)


class LastMessages:
    """Sends what is left when the loops have ended. What cannot be sent in time is kept for the next start."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        delivery: Delivery,
        *,
        now: Callable[[], datetime | None] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._delivery = delivery

    async def send(self, parent: Credentials, offline: Collection[str] | None) -> None:
        """Send what waits, then that the gateway is offline and these children are.

        The last sample of a child and its new status are one message, so that each sample is sent once.

        Args:
            parent: the gateway's credentials.
            offline: the children that the cloud shows as online, by key; `None` to leave the status of the children as it is.
        """
        try:
            await self._send_backlog(parent, down_to_last=offline is not None)
            await self._hub.send_telemetry(parent, TelemetryMessage(status=Status.OFFLINE, values={}, at=self._now()))
            if offline is not None:
                await self._send_offline(parent, offline)
        except (HubUnreachable, HubRejected, StoreError) as error:
            log.info("not everything could be sent before the end, the rest is kept: %s", error)

    async def _send_backlog(self, parent: Credentials, *, down_to_last: bool) -> None:
        """Send the samples that wait, for a moment: all of them, or until no child has more than its last one."""
        ends_at = loop_time() + BACKLOG_SECONDS
        while loop_time() < ends_at and (not down_to_last or await self._outbox.has_several_of_a_child()):
            if not await self._delivery.send_oldest(parent):
                return

    async def _send_offline(self, parent: Credentials, offline: Collection[str]) -> None:
        children = self._children(parent)
        last_samples = await self._outbox.last_samples(children) if self._outbox.depth <= len(children) else {}
        messages = [
            _last_message(device_id, last_samples.get(key), at=self._now(), is_introduced=self._delivery.is_introduced(device_id))
            for key, device_id in children.items()
            if key in offline or key in last_samples
        ]
        at_once = asyncio.Semaphore(CALLS_AT_ONCE)

        async def send(part: Sequence[_LastMessage]) -> None:
            async with at_once:
                responses = await self._hub.send_child_telemetries(parent, {one.device_id: one.message for one in part})
            taken = (one for one in part if isinstance(responses.get(one.device_id), TelemetryResponse))
            await self._outbox.confirm(one.queued for one in taken if one.queued is not None)

        results = await asyncio.gather(*(send(part) for part in _parts(messages)), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                raise error

    def _children(self, parent: Credentials) -> Mapping[str, str]:
        """Return the ids of the children that are registered under this parent, by key."""
        return {
            key: record.device_id
            for key, record in self._registry.children.items()
            if record.state is ChildState.REGISTERED and record.parent_id == parent.device_id and record.device_id is not None
        }


def _last_message(device_id: str, queued: QueuedSample | None, *, at: datetime | None, is_introduced: bool) -> _LastMessage:
    if queued is None:
        return _LastMessage(device_id, TelemetryMessage(status=Status.OFFLINE, values={}, at=at), None)
    sample = queued.sample
    message = TelemetryMessage(status=Status.OFFLINE, values=sample.values, at=sample.at, override=not is_introduced)
    return _LastMessage(device_id, message, queued)


def _parts(messages: Sequence[_LastMessage]) -> Iterator[list[_LastMessage]]:
    """Yield the messages in parts that each fit into one call."""
    part: list[_LastMessage] = []
    room = MESSAGE_BYTES - 1024
    for one in messages:
        if part and (len(part) >= CHILDREN_PER_CALL or one.size_bytes > room):
            yield part
            part, room = [], MESSAGE_BYTES - 1024
        part.append(one)
        room -= one.size_bytes
    if part:
        yield part
