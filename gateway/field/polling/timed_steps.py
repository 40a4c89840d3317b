"""Run single steps of an adapter: measure how long each takes, and report a bus as failed when one hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.errors import BusUnavailable
from gateway.tasks import loop_time, raise_if_cancelled

T = TypeVar("T")
PurposeT = TypeVar("PurposeT")

STEP_SECONDS = 60.0
"""The longest that a single step of an adapter may take; after that it counts as hanging, and the bus is reopened."""


class TimedSteps(Generic[PurposeT]):
    """The steps that are running on one bus, at most one for each worker.

    Args:
        on_end: is called after each step, also after a failed one, with its purpose and the seconds that it took.
    """

    def __init__(self, on_end: Callable[[PurposeT, float], None]) -> None:
        self._on_end = on_end
        self._running: dict[asyncio.Task[object] | None, tuple[str, float]] = {}

    async def run(self, name: str, step: Awaitable[T], purpose: PurposeT) -> T:
        """Await one step and return its result; `name` appears in the error message if it hangs.

        A cancellation that the step swallowed is raised after it.
        """
        worker, began_at = asyncio.current_task(), loop_time()
        self._running[worker] = (name, began_at)
        try:
            result = await step
        finally:
            del self._running[worker]
            self._on_end(purpose, loop_time() - began_at)
        raise_if_cancelled()
        return result

    async def watch(self) -> None:
        """Raise `BusUnavailable` when a step hangs. One timer serves all steps: a timer each would cost more than many a step."""
        while True:
            await asyncio.sleep(STEP_SECONDS / 10)
            for name, since in self._running.values():
                if loop_time() - since > STEP_SECONDS:
                    raise BusUnavailable(f"{name} did not finish within {STEP_SECONDS:.0f} s")
