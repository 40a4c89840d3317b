"""Run single steps of an adapter: measure how long each takes, and report a bus as failed when one hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.causes import Cause
from gateway.errors import BusUnavailable
from gateway.tasks import loop_time, raise_if_cancelled

T = TypeVar("T")
PurposeT = TypeVar("PurposeT")

STEP_SECONDS = 60.0
"""The longest that a single step of an adapter may take; after that it counts as hanging, and the bus is reopened."""

STEPS_IN_A_ROW = 100
"""After so many steps, the event loop gets its turn in any case: an adapter may yield again and again without waiting."""


class TimedSteps(Generic[PurposeT]):
    """The steps that are running on one bus, at most one for each worker.

    Args:
        on_end: is called after each step, also after a failed one, with its purpose and the seconds that it took.
    """

    def __init__(self, on_end: Callable[[PurposeT, float], None]) -> None:
        self._on_end = on_end
        self._running: dict[asyncio.Task[object] | None, tuple[str, float]] = {}
        self._steps = 0

    async def run(self, name: str, step: Awaitable[T], purpose: PurposeT | None) -> T:
        """Await one step and return its result; `name` appears in the error message if it hangs.

        Without a purpose it is not charged, such as closing what was read.

        A cancellation that the step swallowed is raised after it. A step that does not really wait lets others run now and then.
        """
        worker, began_at = asyncio.current_task(), loop_time()
        self._running[worker] = (name, began_at)
        try:
            result = await step
        except Exception:
            raise_if_cancelled()
            raise
        finally:
            del self._running[worker]
            if purpose is not None:
                self._on_end(purpose, loop_time() - began_at)
        raise_if_cancelled()
        self._steps += 1
        if self._steps % STEPS_IN_A_ROW == 0:
            await asyncio.sleep(0)
        return result

    async def watch(self) -> None:
        """Raise `BusUnavailable` when a step hangs. One timer serves all steps: a timer each would cost more than many a step."""
        while True:
            await asyncio.sleep(STEP_SECONDS / 10)
            for name, since in self._running.values():
                if loop_time() - since > STEP_SECONDS:
                    raise BusUnavailable(f"{name} did not finish within {STEP_SECONDS:.0f} s", cause=Cause.ADAPTER_BUG)
