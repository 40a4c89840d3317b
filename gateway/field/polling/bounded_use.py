"""Use a bus once so that the use ends for certain: what an adapter does not end in time is left running, told and counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from gateway.causes import Cause
from gateway.errors import BusUnavailable
from gateway.field.guard.guarded_adapter import GuardedAdapter
from gateway.tasks import END_SECONDS, end_tasks, error_of, loop_time, run_together

log = logging.getLogger(__name__)

STOP_SECONDS = 1.5
"""The same as `END_SECONDS` where the gateway or the entry is stopped: the process has 8 s in all."""

MOST_LEFT = 3
"""With so many former uses of a bus still running it is not opened again: each of them keeps memory, and maybe the port."""


class AdapterStuck(BusUnavailable):
    """The adapter does not end when it is cancelled, and was left running."""

    def __init__(self, text: str) -> None:
        super().__init__(text, cause=Cause.ADAPTER_BUG)


class BoundedUse:
    """The uses of one bus, one after the other.

    Args:
        adapter: the adapter, which knows what it does at the moment.
        on_left: is called with the reason when the adapter was left running.
    """

    def __init__(self, adapter: GuardedAdapter, *, on_left: Callable[[str], None]) -> None:
        self._adapter = adapter
        self._on_left = on_left
        self._left: dict[asyncio.Task[Any], float] = {}
        self._limit: asyncio.TimerHandle | None = None
        self._exceeded: asyncio.Future[str] | None = None
        self._stuck: str | None = None

    @property
    def remark(self) -> str | None:
        """What an operator should know about earlier uses that still run; `None` when all have ended."""
        return f"its adapter still does what it was told to end: {', '.join(self._running())}" if self._left else None

    async def run(self, use: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run one use of the bus in a task of its own, and give it up where it does not end in time.

        Raises:
            AdapterStuck: it was given up, or too many earlier uses still run.
        """
        if len(self._left) >= MOST_LEFT:
            raise AdapterStuck(
                f"it is not opened again before one of {len(self._left)} earlier uses has ended, which its adapter does not do:"
                f" {', '.join(self._running())}. Restart the gateway, and report this to the author of the adapter"
            )
        self._stuck, self._exceeded = None, asyncio.get_running_loop().create_future()
        using = asyncio.create_task(use())
        try:
            ended: set[asyncio.Future[Any]] = {using, self._exceeded}
            await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._leave(await end_tasks({using}, within_seconds=2 * END_SECONDS))
            raise
        finally:
            self.end_phase()
        if using.done():
            self._raise_error_of(using)
            return
        why = f"it could not be {self._exceeded.result()}"
        self._leave(await end_tasks({using}, within_seconds=0))
        raise AdapterStuck(f"{why}: {self._stuck or 'its adapter did not end in time'}")

    def start_phase(self, done: str, seconds: float) -> None:
        """Begin a part of the use that has to be over within some seconds, such as `closed within 5 s`."""
        self.end_phase()
        if self._exceeded is not None:
            self._limit = asyncio.get_running_loop().call_later(seconds, self._exceed, f"{done} within {seconds:.0f} s")

    def end_phase(self) -> None:
        """Record that the part is over."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    async def work(self, works: Mapping[str, Coroutine[Any, Any, None]]) -> None:
        """Do works on the open bus, and end all when one fails or the use is cancelled."""
        await run_together(works, end_seconds=_end_seconds, on_slow_end=self._tell_slow_end, on_left=self._leave)

    def _raise_error_of(self, using: asyncio.Task[None]) -> None:
        error = error_of(using)
        if error is None:
            return
        if self._stuck is not None and not isinstance(error, AdapterStuck):
            why = str(error) if isinstance(error, BusUnavailable) else f"its adapter failed with {type(error).__name__}"
            raise AdapterStuck(f"{why}; besides, {self._stuck}") from error
        raise error

    def _exceed(self, what: str) -> None:
        if self._exceeded is not None and not self._exceeded.done():
            self._exceeded.set_result(what)

    def _tell_slow_end(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        log.warning("%s: its adapter does not end when it is cancelled: %s", self._adapter.bus, self._calls_of(tasks))

    def _leave(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        if not tasks:
            return
        for task in tasks:
            self._left[task] = loop_time()
            task.add_done_callback(self._record_end)
        self._stuck = f"its adapter does not end when it is cancelled: {self._calls_of(tasks)}. It was left running"
        log.error("%s: %s", self._adapter.bus, self._stuck)
        self._on_left(self._stuck)

    def _record_end(self, task: asyncio.Task[Any]) -> None:
        left_at = self._left.pop(task, None)
        if not task.cancelled():
            task.exception()  # it comes too late for anybody
        if left_at is not None:
            log.info("%s: what its adapter was told to end has ended, %.0f s later", self._adapter.bus, loop_time() - left_at)

    def _running(self) -> list[str]:
        return [self._adapter.running_call(task) or task.get_name() for task in self._left]

    def _calls_of(self, tasks: Collection[asyncio.Task[Any]]) -> str:
        return ", ".join(sorted(self._adapter.running_call(task) or task.get_name() for task in tasks))


def _end_seconds() -> float:
    """Return how long the works of a use may take to end: less where the use itself was cancelled."""
    task = asyncio.current_task()
    return STOP_SECONDS if task is not None and task.cancelling() else END_SECONDS
