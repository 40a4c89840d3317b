"""Send the gateway's own telemetry at its interval, and the children's samples as soon as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from gateway.cloud.backlog_drain import BacklogPace
from gateway.cloud.delivery import Delivery
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub, TelemetryMessage
from gateway.models import Status, Value
from gateway.state.outbox import Outbox
from gateway.tasks import loop_time

GATHER_SECONDS = 0.15
"""Samples of several children that arrive within this time go in one call."""

LOSS_GAP_SECONDS = 5.0
"""Samples that are lost have the gateway's own telemetry sent at once, but no sooner than this after the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTelemetry:
    """The gateway's own telemetry."""

    read: Callable[[], Mapping[str, Value]]
    """Return the present values."""
    every: timedelta
    now: Callable[[], datetime | None] = lambda: datetime.now(UTC)
    """Return the right time; `None` while it is not known: the message then has that of the server."""
    has_fault: Callable[[], bool] = lambda: False
    """Return whether the gateway itself has a fault: the cloud then shows all its children as disconnected (section 4.5)."""


class TelemetryLoop:
    """Sends telemetry until it is cancelled; one round is one interval of the gateway's own telemetry."""

    def __init__(
        self,
        hub: Hub,
        outbox: Outbox,
        delivery: Delivery,
        enrolment: Enrolment,
        *,
        calls: GuardedCalls,
        own_telemetry: OwnTelemetry,
    ) -> None:
        self._hub = hub
        self._outbox = outbox
        self._delivery = delivery
        self._enrolment = enrolment
        self._calls = calls
        self._own_telemetry = own_telemetry
        self._pace = BacklogPace(calls.rate_control)
        self._every_seconds = own_telemetry.every.total_seconds()
        self._sent_at = -LOSS_GAP_SECONDS  # loop time of the gateway's own telemetry
        self._lost = outbox.lost
        self._is_wanted = False

    def set_interval(self, every: timedelta) -> None:
        """Send the gateway's own telemetry at this interval from now on."""
        self._every_seconds = every.total_seconds()
        self._outbox.arrived.set()

    def send_own_soon(self) -> None:
        """Send the gateway's own telemetry next, which shows whether the hub answers."""
        self._is_wanted = True
        self._outbox.arrived.set()

    async def run(self, parent: Credentials) -> None:
        """Send until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        own_at = loop_time()
        while True:
            self._outbox.arrived.clear()
            every_seconds = self._every_seconds
            own_at = min(own_at, loop_time() + every_seconds)
            if self._outbox.lost != self._lost:  # the cloud learns of losses before the backlog that they come from
                own_at = min(own_at, self._sent_at + LOSS_GAP_SECONDS)
            if self._is_wanted:
                self._is_wanted, own_at = False, loop_time()
            if loop_time() >= own_at:
                self._delivery.begin_round()
                await self._calls.run(parent, CallKind.TELEMETRY, lambda: self._send_own(parent), otherwise=None)
                own_at += every_seconds
                if (now := loop_time()) >= own_at:  # the call had to wait: the missed ones are not sent late
                    own_at = now + every_seconds
            backlog_at = self._pace.next_at()
            send = partial(self._send_samples, parent, with_backlog=backlog_at <= loop_time())
            if not await self._calls.run(parent, CallKind.TELEMETRY, send, otherwise=True):
                is_held_back = self._delivery.drain.is_under_way and not send.keywords["with_backlog"]
                await self._wait_for_samples(until=min(own_at, backlog_at) if is_held_back else own_at)

    async def _send_samples(self, parent: Credentials, *, with_backlog: bool) -> bool:
        """Send some of what waits, at a pace that the hub takes; return whether it was called."""
        is_called = await self._delivery.send_next(parent, with_backlog=with_backlog)
        if is_called and self._delivery.drain.is_under_way:
            self._pace.called()
        return is_called

    async def _wait_for_samples(self, *, until: float) -> None:
        """Wait until a sample arrives, and then for the samples that arrive just after it: each call counts (section 18)."""
        try:
            async with asyncio.timeout(max(until - loop_time(), 0)):
                await self._outbox.arrived.wait()
                await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass

    async def _send_own(self, parent: Credentials) -> None:
        self._sent_at, self._lost = loop_time(), self._outbox.lost
        message = TelemetryMessage(
            status=Status.ERROR if self._own_telemetry.has_fault() else Status.ONLINE,
            values=self._own_telemetry.read(),
            at=self._own_telemetry.now(),
            override=not self._delivery.is_introduced(parent.device_id),
        )
        try:
            response = await self._hub.send_telemetry(parent, message)
        except HubUnauthorised:
            raise
        except HubRejected as error:
            self._delivery.log_rejection("the gateway itself", error.error)
            self._calls.revocation.telemetry_rejected(error)
            return
        self._calls.revocation.reset()
        self._delivery.accepted(parent.device_id, response)
        await self._enrolment.send_changes(parent)
