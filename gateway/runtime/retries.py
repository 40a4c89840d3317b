"""Try again at once what the gateway would try again later, because a person asks for it; seldom enough to do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Hashable
from typing import Final

from gateway.causes import Reason
from gateway.field.fleet import Fleet
from gateway.plain_numbers import duration_text
from gateway.runtime.parts import CloudParts, FieldParts
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry
from gateway.status.retry_view import TryOutcome
from gateway.tasks import loop_time

CLOUD_EVERY_SECONDS: Final = 15.0
"""Between two attempts at the cloud: each call counts against the limit of the account (device API reference, section 14)."""

FIELD_EVERY_SECONDS: Final = 3.0
"""Between two attempts at one bus or child."""

MOST_SECONDS: Final = 20.0
"""A person waits no longer than this for the outcome; the attempt goes on."""

MOST_REMEMBERED: Final = 10_000


class Retries:
    """Implements `gateway.status.retry_view.RetryView`."""

    def __init__(self, registry: Registry, field: FieldParts, cloud: CloudParts) -> None:
        self._registry = registry
        self._fleet: Fleet = field.fleet
        self._field = field
        self._cloud = cloud
        self._tried_at: dict[Hashable, float] = {}

    async def try_cloud(self) -> TryOutcome:
        """Call the cloud, or register with it."""
        if (too_soon := self._too_soon("cloud", CLOUD_EVERY_SECONDS)) is not None:
            return too_soon
        return await _outcome(self._cloud.session.try_now(), "the cloud answers")

    async def try_bus(self, entry: str, bus: str) -> TryOutcome:
        """Open a bus that does not work."""
        supervisor = self._fleet.supervisors.get((entry, bus))
        if supervisor is None:
            return TryOutcome(works=False, text=f"{bus} has not appeared since the start, so there is nothing to open")
        if supervisor.outage is None:
            return TryOutcome(works=True, text=f"{bus} is open")
        if (too_soon := self._too_soon((entry, bus), FIELD_EVERY_SECONDS)) is not None:
            return too_soon
        return await _outcome(supervisor.try_now(), f"{bus} is open now, and its devices are asked")

    async def try_child(self, key: str) -> TryOutcome:
        """Ask a silent child, or register one that the cloud refused."""
        record = self._registry.children.get(key)
        if record is None:
            return TryOutcome(works=False, text="there is no such child any more")
        child = record.child
        if record.state is ChildState.REFUSED:
            if (too_soon := self._too_soon("cloud", CLOUD_EVERY_SECONDS)) is not None:
                return too_soon
            self._cloud.session.try_child(key)
            return TryOutcome(works=False, text=f"{child.name} is registered again now; its page shows what the cloud says")
        supervisor = self._fleet.supervisors.get((child.adapter, child.bus))
        if supervisor is None or supervisor.outage is not None:
            return await self.try_bus(child.adapter, child.bus)
        if (too_soon := self._too_soon(key, FIELD_EVERY_SECONDS)) is not None:
            return too_soon
        return await _outcome(supervisor.try_child(key), f"{child.name} answers, and is read now")

    def _too_soon(self, what: Hashable, every_seconds: float) -> TryOutcome | None:
        """Count an attempt; return what to say where the last one is too recent."""
        now = loop_time()
        wait_seconds = self._tried_at.get(what, -every_seconds) + every_seconds - now
        if wait_seconds > 0:
            text = f"it was tried a moment ago; try again in {duration_text(max(wait_seconds, 1))}"
            return TryOutcome(works=False, text=text, wait_seconds=wait_seconds)
        if len(self._tried_at) >= MOST_REMEMBERED:
            self._tried_at.clear()
        self._tried_at[what] = now
        return None


async def _outcome(attempt: Awaitable[Reason | None], works: str) -> TryOutcome:
    try:
        async with asyncio.timeout(MOST_SECONDS):
            reason = await attempt
    except TimeoutError:
        return TryOutcome(works=False, text=f"there is no outcome within {MOST_SECONDS:.0f} s; the attempt goes on")
    return TryOutcome(works=True, text=works) if reason is None else TryOutcome(works=False, text=reason.text.rstrip(".?!"))
