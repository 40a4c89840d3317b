"""The steps that an adapter is asked to take: each is timed and paid for, and given up on when it hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.errors import BusUnavailable
from gateway.tasks import loop_time

T = TypeVar("T")
PayerT = TypeVar("PayerT")

STEP_SECONDS = 60.0
"""No single step of an adapter takes longer; one that does hangs, and its adapter is started over."""


class TimedSteps(Generic[PayerT]):
    """The steps that are under way on one bus, one for each worker.

    Args:
        paid: is told after each step for whom it was, and how many seconds of the bus it took.
    """

    def __init__(self, paid: Callable[[PayerT, float], None]) -> None:
        self._paid = paid
        self._under_way: dict[asyncio.Task[object] | None, tuple[str, float]] = {}

    async def take(self, what: str, step: Awaitable[T], payer: PayerT) -> T:
        """Await one step; `what` names it to a person if it hangs.

        A cancellation that the step has swallowed is raised after it: `asyncio.wait_for` of Python 3.11 swallows one that comes
        together with its answer, and libraries use it.
        """
        worker, begun = asyncio.current_task(), loop_time()
        self._under_way[worker] = (what, begun)
        try:
            outcome = await step
        finally:
            del self._under_way[worker]
            self._paid(payer, loop_time() - begun)
        if worker is not None and worker.cancelling():
            raise asyncio.CancelledError
        return outcome

    async def watch(self) -> None:
        """Raise `BusUnavailable` when a step hangs. One timer serves them all: one each would cost more than many a step."""
        while True:
            await asyncio.sleep(STEP_SECONDS / 10)
            for what, since in self._under_way.values():
                if loop_time() - since > STEP_SECONDS:
                    raise BusUnavailable(f"{what} did not come back within {STEP_SECONDS:.0f} s")
