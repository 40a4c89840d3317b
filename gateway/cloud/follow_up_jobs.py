"""Do what the responses to telemetry ask for: answer waiting commands, and check children that the hub may have deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from gateway.cloud.child_registrar import ChildRegistrar
from gateway.cloud.delivery import Delivery
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.cloud.revocation import KeyState
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

NO_COMMANDS = "this version of the gateway does not carry out commands yet"

COMMANDS_AT_ONCE = 50
"""The most commands of one device that are answered before other jobs have their turn."""


class FollowUpJobs:
    """Runs the jobs beside the telemetry, so that it never waits for them; a job that fails is repeated."""

    def __init__(
        self, hub: Hub, registry: Registry, registrar: ChildRegistrar, delivery: Delivery, *, calls: GuardedCalls
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._registrar = registrar
        self._delivery = delivery
        self._calls = calls
        self._devices_with_commands: set[str] = set()
        self._doubted_children: dict[str, float] = {}  # child -> loop time of its check
        self._added = asyncio.Event()

    def answer_commands_of(self, device_id: str) -> None:
        """Answer the waiting commands of a device soon."""
        self._devices_with_commands.add(device_id)
        self._added.set()

    def check_child(self, child: str) -> None:
        """Check soon whether the hub still knows a child."""
        self._doubted_children.setdefault(child, 0.0)
        self._added.set()

    def clear(self) -> None:
        """Drop all jobs: the gateway is registered again."""
        self._devices_with_commands.clear()
        self._doubted_children.clear()

    async def run(self, parent: Credentials) -> None:
        """Do the jobs until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        while True:
            self._added.clear()
            child = self._take_due_child()
            if child is not None and not await self._is_done(parent, partial(self._check_child, parent, child)):
                self._doubted_children.setdefault(child, 0.0)
            device_id = self._devices_with_commands.pop() if self._devices_with_commands else None
            if device_id is not None and not await self._is_done(parent, partial(self._reject_commands, parent, device_id)):
                self._devices_with_commands.add(device_id)
            if child is None and device_id is None:
                await self._wait_for_job()

    async def _is_done(self, parent: Credentials, job: Callable[[], Awaitable[None]]) -> bool:
        async def do_job() -> bool:
            await job()
            return True

        return await self._calls.run(parent, CallKind.FOLLOW_UP, do_job, otherwise=False)

    def _take_due_child(self) -> str | None:
        now = loop_time()
        due = next((child for child, at in self._doubted_children.items() if at <= now), None)
        if due is not None:
            del self._doubted_children[due]
        return due

    async def _wait_for_job(self) -> None:
        next_at = min(self._doubted_children.values(), default=None)
        try:
            async with asyncio.timeout(None if next_at is None else max(next_at - loop_time(), 0)):
                await self._added.wait()
        except TimeoutError:
            pass

    async def _check_child(self, parent: Credentials, key: str) -> None:
        record = self._registry.children[key]
        if record.state is not ChildState.REGISTERED or record.parent_id != parent.device_id:
            return
        key_state = await self._registrar.check_child(parent, key)
        credentials = record.credentials(parent)
        if key_state is KeyState.DOUBTED:
            self._doubted_children[key] = self._registrar.check_again_at(key)
        elif key_state is KeyState.ACCEPTED and credentials is not None:
            self._delivery.log_rejection(key, "the bulk call is rejected, but the child's own key is accepted")
            await self._delivery.send_singly(credentials, key)
        elif key_state is KeyState.UNCLEAR:
            self._delivery.log_rejection(key, "the bulk call is rejected, without a sign that the child is deleted")

    async def _reject_commands(self, parent: Credentials, device_id: str) -> None:
        device = self._credentials_of(parent, device_id)
        if device is None:
            self._delivery.log_rejection(device_id, "a command waits, but its access key was lost, so it cannot be answered")
            return
        try:
            answered: set[int | str] = set()
            for _ in range(COMMANDS_AT_ONCE):
                command = await self._hub.get_command(device)
                if command is None or command.id in answered:
                    return
                answered.add(command.id)
                log.warning("%s: the command %r is answered as failed: %s", device_id, command.name, NO_COMMANDS)
                await self._hub.update_command(device, command.id, "failed", NO_COMMANDS)
        except HubUnauthorised:
            if device_id == parent.device_id:
                raise
            record = self._registry.by_device_id(device_id)
            if record is not None:
                self._doubted_children.setdefault(record.child.key, 0.0)
        except HubRejected as error:
            log.info("%s: the command could not be answered: %s", device_id, error)

    def _credentials_of(self, parent: Credentials, device_id: str) -> Credentials | None:
        if device_id == parent.device_id:
            return parent
        record = self._registry.by_device_id(device_id)
        return record.credentials(parent) if record is not None else None
