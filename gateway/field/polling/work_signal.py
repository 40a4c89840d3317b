"""Wake the workers of a bus that have nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.state.registry import Registry


class WorkSignal:
    """A signal that there may be something to do: a change in the registry, or a request to the bus."""

    def __init__(self, registry: Registry) -> None:
        self._changed = registry.changed
        self._wakes = 0

    async def wake(self) -> None:
        """Have all waiting workers look again at what is due."""
        self._wakes += 1
        await self.notify()

    async def notify(self) -> None:
        """Wake all waiting workers, so that they check their condition."""
        async with self._changed:
            self._changed.notify_all()

    async def wait(self, has_work: Callable[[], bool], *, at_most_seconds: float) -> None:
        """Wait until the condition holds, somebody wakes the workers, or the time is over."""
        wakes = self._wakes
        try:
            async with asyncio.timeout(at_most_seconds), self._changed:
                await self._changed.wait_for(lambda: has_work() or self._wakes != wakes)
        except TimeoutError:
            pass
