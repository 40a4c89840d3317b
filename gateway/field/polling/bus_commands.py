"""Execute commands on the children of one bus, ahead of all other work on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

from gateway.adapter import Adapter
from gateway.errors import CommandRejected
from gateway.field.polling.bus_children import BusChildren
from gateway.field.polling.command_queue import CommandQueue, QueuedCommand
from gateway.field.polling.schedule import Task
from gateway.field.polling.timed_steps import TimedSteps
from gateway.field.polling.work_signal import WorkSignal
from gateway.models import Command, CommandResult
from gateway.tasks import loop_time

BusSteps: TypeAlias = TimedSteps[Task | QueuedCommand]
"""The running steps of a bus, each for a scheduled task or a command."""


class BusCommands:
    """The commands that wait for one bus, and their execution."""

    def __init__(self, adapter: Adapter[Any], children: BusChildren, steps: BusSteps, signal: WorkSignal) -> None:
        self._adapter = adapter
        self._children = children
        self._steps = steps
        self._signal = signal
        self._queue = CommandQueue()

    def __len__(self) -> int:
        return len(self._queue)

    async def execute(
        self,
        child: str,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> CommandResult:
        """Queue a command, have a worker execute it next, and return its result.

        It starts within the given time or not at all. `before_start` is awaited right before the adapter gets it.

        Raises:
            CommandRejected: it was not executed, or not completely; the text says why.
            OutcomeUnknown: it was sent, and whether the child carried it out is unknown.
            DeviceUnreachable: the child did not answer; whether it carried the command out is unknown.
        """
        queued = self._queue.add(child, command, start_before=loop_time() + within.total_seconds(), before_start=before_start)
        expiry = asyncio.get_running_loop().call_at(queued.start_before, lambda: self._queue.expire(queued.start_before))
        try:
            await self._signal.notify()
            return await queued.outcome
        finally:
            expiry.cancel()
            queued.outcome.cancel()  # a caller that was cancelled before it awaited the outcome must not have it executed

    async def run_next(self, now: float) -> bool:
        """Execute the next command; return `False` when there is none."""
        queued = self._queue.take(now)
        if queued is None:
            return False
        child = self._children.get(queued.child)
        if child is None:
            queued.fail(CommandRejected(f"there is no {queued.child} on {self._adapter.bus}"))
        elif await queued.prepare():
            await queued.settle(self._steps.run("a command", self._adapter.execute(child, queued.command), queued))
        return True
