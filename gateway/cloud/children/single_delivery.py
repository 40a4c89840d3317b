"""Send the samples of children that the cloud has not moved yet, each with the child's own key, so that none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from gateway.cloud.delivery import Delivery
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected
from gateway.hub import Credentials
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry

CALLS_PER_ROUND = 60
"""The most calls in one telemetry interval: each counts against the customer's rate limit. The other samples are kept."""


class SingleDelivery:
    """Sends beside the bulk calls, which the cloud accepts only for children under the present parent."""

    def __init__(
        self,
        registry: Registry,
        delivery: Delivery,
        *,
        calls: GuardedCalls,
        every: timedelta,
        on_doubt: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._delivery = delivery
        self._calls = calls
        self._on_doubt = on_doubt
        self._every_seconds = every.total_seconds()
        self._sent_last = ""  # the child after which the next round begins

    def set_interval(self, every: timedelta) -> None:
        """Send at this interval, from the next round on."""
        self._every_seconds = every.total_seconds()

    async def run(self, parent: Credentials) -> None:
        """Send until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        while True:
            await self._calls.run(parent, CallKind.SINGLE_TELEMETRY, lambda: self._send_round(parent), otherwise=False)
            await asyncio.sleep(self._every_seconds)

    async def _send_round(self, parent: Credentials) -> bool:
        """Send what waits, one child after the other; return whether the hub was called."""
        calls = 0
        for key in self._in_turn():
            record = self._registry.children.get(key)
            credentials = record.credentials(parent) if record is not None and record.state is ChildState.UNMOVED else None
            if credentials is not None:
                self._sent_last = key  # before the call: a child that fails does not hold up the others
                calls += await self._send(credentials, key, at_most=CALLS_PER_ROUND - calls)
            if calls >= CALLS_PER_ROUND:
                break
        return calls > 0

    async def _send(self, credentials: Credentials, key: str, *, at_most: int) -> int:
        try:
            return await self._delivery.send_singly(credentials, key, at_most=at_most)
        except HubRejected:
            self._on_doubt(key)
            return 1

    def _in_turn(self) -> list[str]:
        keys = [key for key, record in self._registry.children.items() if record.state is ChildState.UNMOVED]
        start = keys.index(self._sent_last) + 1 if self._sent_last in keys else 0
        return [*keys[start:], *keys[:start]]
