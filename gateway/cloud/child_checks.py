"""Check the children that the hub may have deleted, beside the telemetry."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

from gateway.cloud.child_registrar import ChildRegistrar
from gateway.cloud.delivery import Delivery
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.cloud.revocation import KeyState
from gateway.errors import HubRejected
from gateway.hub import Credentials
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry
from gateway.tasks import loop_time, wait_until


class ChildChecks:
    """Runs the checks beside the telemetry, so that it never waits for them; a check that fails is repeated."""

    def __init__(self, registry: Registry, registrar: ChildRegistrar, delivery: Delivery, *, calls: GuardedCalls) -> None:
        self._registry = registry
        self._registrar = registrar
        self._delivery = delivery
        self._calls = calls
        self._doubted_children: dict[str, float] = {}  # child -> loop time of its check
        self._added = asyncio.Event()

    def check_child(self, child: str) -> None:
        """Check soon whether the hub still knows a child."""
        self._doubted_children.setdefault(child, 0.0)
        self._added.set()

    def clear(self) -> None:
        """Drop all checks: the gateway is registered again."""
        self._doubted_children.clear()

    async def run(self, parent: Credentials) -> None:
        """Check until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        while True:
            self._added.clear()
            child = self._take_due_child()
            if child is None:
                await wait_until(self._added, min(self._doubted_children.values(), default=None))
            elif not await self._is_done(parent, child):
                self._doubted_children.setdefault(child, 0.0)

    async def _is_done(self, parent: Credentials, child: str) -> bool:
        return await self._calls.succeeds(parent, CallKind.CHILD_CHECK, partial(self._check_child, parent, child))

    def _take_due_child(self) -> str | None:
        now = loop_time()
        due = next((child for child, at in self._doubted_children.items() if at <= now), None)
        if due is not None:
            del self._doubted_children[due]
        return due

    async def _check_child(self, parent: Credentials, key: str) -> None:
        record = self._registry.children.get(key)
        if record is None:
            return  # a person has removed it
        if record.state is ChildState.REGISTERED:
            if record.parent_id != parent.device_id:
                return  # its key is checked before it is moved
        elif record.state is not ChildState.UNMOVED:
            return
        key_state = await self._registrar.check_child(parent, key)
        credentials = record.credentials(parent)
        if key_state is KeyState.DOUBTED:
            self._doubted_children[key] = self._registrar.check_again_at(key)
        elif key_state is KeyState.ACCEPTED and credentials is not None:
            self._delivery.log_rejection(key, "the bulk call is rejected, but the child's own key is accepted")
            with contextlib.suppress(HubRejected):  # the next bulk call shows it again
                await self._delivery.send_singly(credentials, key)
        elif key_state is KeyState.UNCLEAR:
            self._delivery.log_rejection(key, "the bulk call is rejected, without a sign that the child is deleted")
