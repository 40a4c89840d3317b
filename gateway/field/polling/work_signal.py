"""Wake the workers of a bus that have nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.state.registry import Registry


class WorkSignal:
    """A signal that there may be something to do: a change in the registry, or a request to the bus."""

    def __init__(self, registry: Registry) -> None:
        self._changed = registry.changed

    async def notify(self) -> None:
        """Wake all waiting workers, so that they check their condition."""
        async with self._changed:
            self._changed.notify_all()

    async def wait(self, has_work: Callable[[], bool], *, at_most_seconds: float) -> None:
        """Wait until the condition holds or the time is over."""
        try:
            async with asyncio.timeout(at_most_seconds), self._changed:
                await self._changed.wait_for(has_work)
        except TimeoutError:
            pass
