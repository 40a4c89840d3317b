"""Run asyncio programs in simulated time: when nothing is ready to run, the clock jumps to the next timer instead of waiting.

    def test_ten_minutes_of_polling():
        async def main():
            async with line_with_units() as line:
                await asyncio.sleep(600)
                assert line.violations == []

        simulated(main())

Ten minutes of a bus take about as long as its transactions take to compute. Everything that uses the clock of the running loop is
simulated: `asyncio.sleep`, `asyncio.timeout`, `call_later`, `loop.time()`. `time.monotonic()` and `datetime.now()` are not.

A folder of tests runs in simulated time if its `conftest.py` contains

    def pytest_asyncio_loop_factories(config, item):
        return {"simulated": SimulatedLoop}
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

DEADLOCK_SECONDS = 1.0
"""Real seconds without an event after which a program that waits only for sockets counts as one that waits for ever."""


class NothingWillHappen(RuntimeError):
    """Every task waits, no timer is set, and no event from outside has come that could end the wait."""


def simulated(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from second 0 on in simulated time and return its result, as `asyncio.run` does in real time.

    While work runs in an executor, as every transaction of the gateway's store does, the clock stands still, so that it never
    overtakes anything outside the loop.

    Raises:
        NothingWillHappen: the program waits for something that cannot come.
    """
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time, beginning at second 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    @property
    def _clock_resolution(self) -> float:
        """Return the time by which the base class runs timers early: the shortest that can be added to the time.

        Whoever finds that its time has not come waits again, and the clock moves only when a wait is longer than this.
        """
        return math.ulp(self.time())

    @_clock_resolution.setter
    def _clock_resolution(self, _of_the_real_clock: float) -> None:
        pass

    def time(self) -> float:
        """Return the simulated time."""
        return self._jumping.now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ANN401 - as the base class has it
        """Run a function in another thread; the clock stands still until it returns."""
        work = super().run_in_executor(executor, func, *args)
        self._jumping.running_elsewhere += 1
        work.add_done_callback(self._record_end)
        return work

    def _record_end(self, work: asyncio.Future[Any]) -> None:
        self._jumping.running_elsewhere -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that returns real events at once, and without any lets the timeout pass in simulated time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.running_elsewhere = 0
        """How many calls run in other threads; the end of each is a real event."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self.running_elsewhere:
            return super().select(None)
        if timeout is None:
            return self._wait_for_outside()
        self.now += timeout
        return []

    def _wait_for_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(DEADLOCK_SECONDS)
        if not events:
            raise NothingWillHappen("every task waits, no timer is set and nothing happens outside: this would wait for ever")
        return events
