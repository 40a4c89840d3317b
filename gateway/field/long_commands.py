"""Define commands that take longer than one turn of their bus, such as a firmware update: they run as steps.

A long command runs beside the bus and asks it for one step after the other; the bus takes them in the gaps between its other
work. Between two steps the command calls its `Checkpoint`: the text is reported to the cloud as `in_progress`, and a command
that was cancelled there stops. After a crash it is started again with the same command, and resumes by its own records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol, TypeAlias, TypeVar

from gateway.adapter import Adapter
from gateway.errors import OutcomeUnknown
from gateway.models import Checkpoint, ChildDevice, Command, CommandResult
from gateway.tasks import closed_after

T = TypeVar("T")

STEP_WITHIN = timedelta(minutes=5)
"""How long a step waits for a bus that is closed or busy."""


class ChildBus(Protocol):
    """The bus of a child, wherever the child is: it follows one that moves to another bus."""

    async def step(self, work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]], *, within: timedelta = STEP_WITHIN) -> T:
        """Have the bus do one step when it has a gap, and return its result; see `Supervisor.step`.

        The step takes some seconds at most, since the bus serves nobody else meanwhile.

        Raises:
            CommandRejected: the step was not taken; the text says why.
            BusLost: the bus was lost during the step.
            OutcomeUnknown: the adapter failed, or does not know what the device did.
            DeviceUnreachable: the child did not answer.
        """


LongCommand: TypeAlias = Callable[[ChildBus, Checkpoint], Awaitable[CommandResult | str | None]]
"""Carries out one long command and returns its result; what it raises is its outcome, as for `Adapter.execute`."""

FindLongCommand: TypeAlias = Callable[[ChildDevice, Command], LongCommand | None]
"""Returns how a checked command of a child is carried out in steps; `None` for one that its adapter carries out at once."""


def no_long_commands(child: ChildDevice, command: Command) -> LongCommand | None:
    """Have every command carried out at once."""
    return None


async def run_steps(
    bus: ChildBus,
    steps: Callable[[Adapter[Any], ChildDevice], AsyncIterator[str | CommandResult]],
    checkpoint: Checkpoint,
    *,
    within: timedelta = STEP_WITHIN,
) -> CommandResult:
    """Carry out the steps of an async iterator, each as one step of the bus, and return its result.

    The iterator yields a text for a person after each step, and its `CommandResult` at the end. It is closed when the command is
    stopped: its `finally` leaves the device in a working state.

    Raises:
        CommandStopped: it was cancelled between two steps.
        OutcomeUnknown: it ended without a result; also as `ChildBus.step`.
    """
    iterator = await bus.step(_started(steps), within=within)
    async with closed_after(iterator):
        while (progress := await bus.step(lambda _adapter, _child: anext(iterator, None), within=within)) is not None:
            if isinstance(progress, CommandResult):
                return progress
            checkpoint(progress)
    raise OutcomeUnknown("it ended without a result")


def _started(
    steps: Callable[[Adapter[Any], ChildDevice], AsyncIterator[T]],
) -> Callable[[Adapter[Any], ChildDevice], Awaitable[AsyncIterator[T]]]:
    async def start(adapter: Adapter[Any], child: ChildDevice) -> AsyncIterator[T]:
        return steps(adapter, child)

    return start
