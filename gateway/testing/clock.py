"""Simulated time for asyncio: when nothing is ready to run, the clock jumps to the next timer instead of waiting for it.

    def test_ten_minutes_of_polling():
        async def main():
            async with line_with_units() as line:
                await asyncio.sleep(600)
                assert line.violations == []

        simulated(main())

Ten minutes of a bus take about as long as its transactions take to compute. Everything that goes by the running loop's clock
takes part: `asyncio.sleep`, `asyncio.timeout`, `call_later`, `loop.time()`. What does not, such as `time.monotonic()` and
`datetime.now()`, goes on as ever.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

DEADLOCK_SECONDS = 1.0
"""Real seconds after which a program that waits for nothing but sockets is told that nothing will ever happen."""


class NothingWillHappen(RuntimeError):
    """Every task waits, no timer runs, and nothing outside is under way that could end the wait."""


def simulated(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from second 0 on in simulated time and return its result, as `asyncio.run` does in real time.

    While work is under way in an executor, as every transaction of the gateway's store is, time stands still, so that nothing
    outside the loop can be overtaken by the clock.

    Raises:
        NothingWillHappen: the program waits for something that cannot come.
    """
    with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
        return runner.run(main)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of its selector."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-12  # the base class takes timers that are so close to now for due

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ANN401 - as the base class has it
        work = super().run_in_executor(executor, func, *args)
        self._jumping.under_way += 1
        work.add_done_callback(self._is_back)
        return work

    def _is_back(self, work: asyncio.Future[Any]) -> None:
        self._jumping.under_way -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for real events without waiting, and where there are none lets the time that was to be waited pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.under_way = 0
        """Pieces of work in other threads, whose end is a real event."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self.under_way:
            return super().select(None)
        if timeout is None:
            return self._something_outside()
        self.now += timeout
        return []

    def _something_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(DEADLOCK_SECONDS)
        if not events:
            raise NothingWillHappen("every task waits, no timer runs and nothing outside is under way: this would wait for ever")
        return events
