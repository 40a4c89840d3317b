"""Register children one after the other, and wait for the next change of the registry."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway.cloud.child_registrar import ChildRegistrar
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.hub import Credentials
from gateway.state.child_states import ChildState
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.tasks import run_until


class RegistrationLoop:
    """Runs the steps of the child registrar until it is cancelled."""

    def __init__(self, registry: Registry, outbox: Outbox, registrar: ChildRegistrar, *, calls: GuardedCalls) -> None:
        self._registry = registry
        self._outbox = outbox
        self._registrar = registrar
        self._calls = calls
        self._retry = asyncio.Event()

    def retry_refused(self) -> None:
        """Retry at once the children that were refused or not moved: the reason may be gone."""
        self._registrar.retry_refused()
        self._retry.set()

    def retry(self, child: str) -> bool:
        """Retry a child at once that was refused; return whether it was."""
        record = self._registry.children.get(child)
        if record is None or record.state is not ChildState.REFUSED:
            return False
        self._registrar.retry(child)
        self._retry.set()
        return True

    async def run(self, parent: Credentials) -> None:
        """Register until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        announced_revision = self._registry.revision
        while True:
            revision = self._registry.revision
            self._retry.clear()
            wait = await self._calls.run(
                parent, CallKind.REGISTRATION, lambda: self._registrar.step(parent), otherwise=timedelta(0)
            )  # fmt: skip
            if wait > timedelta(0):
                if announced_revision != revision:
                    announced_revision = revision
                    self._outbox.arrived.set()  # samples may have waited for the registrations: now they go in few calls
                await run_until(self._retry, self._wait_for_change(revision, at_most=wait))

    async def _wait_for_change(self, revision: int, *, at_most: timedelta) -> None:
        try:
            async with asyncio.timeout(at_most.total_seconds()), self._registry.changed:
                await self._registry.changed.wait_for(lambda: self._registry.revision != revision)
        except TimeoutError:
            pass
