"""Queue commands for one bus: each is executed in turn or fails in time, and has exactly one outcome."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.errors import BusUnavailable, CommandRejected, DeviceUnreachable, OutcomeUnknown, StoreError
from gateway.models import Command, CommandResult

log = logging.getLogger(__name__)

TOO_LATE = "the bus was not free in time; nothing was sent"


@dataclass(frozen=True, slots=True, eq=False)
class QueuedCommand:
    """A command for one child, and the future that gets its outcome."""

    child: str
    """The child's local key."""
    command: Command
    start_before: float
    """The loop time after which it must not start any more: a command that takes effect late is worse than one that fails."""
    outcome: asyncio.Future[CommandResult]
    before_start: Callable[[], Awaitable[None]] | None = None
    """Awaited right before the adapter gets the command; if it raises, the command is not executed."""

    async def prepare(self) -> bool:
        """Await `before_start`; return whether the command may be executed. Otherwise the outcome is set."""
        if self.before_start is not None:
            try:
                await self.before_start()
            except (CommandRejected, StoreError) as error:
                self.fail(CommandRejected(f"it was not executed: {error}"))
            except asyncio.CancelledError:
                self.fail(CommandRejected("the bus was lost before it started; nothing was sent"))
                raise
            except Exception as error:  # a bug of the caller costs this command, and not the bus
                log.exception("%s: a bug before executing %.100r", self.child, self.command.name)
                self.fail(CommandRejected(f"it was not executed: {type(error).__name__}"))
        return not self.outcome.done()

    async def settle(self, execution: Awaitable[CommandResult | str | None]) -> None:
        """Await the execution by the adapter and set the outcome, whatever it is.

        Raises:
            BusUnavailable: the bus was lost during execution; the outcome says that the effect on the device is unknown.
        """
        try:
            result = await execution
        except (CommandRejected, DeviceUnreachable, OutcomeUnknown) as error:
            self.fail(error)
        except (BusUnavailable, asyncio.CancelledError):
            self.fail(OutcomeUnknown("the bus was lost during execution; whether the device carried it out is unknown"))
            raise
        except Exception as error:  # code of a third-party adapter: its bug costs this command, nothing else
            log.exception("%s: a bug in its adapter while executing %.100r", self.child, self.command.name)
            self.fail(CommandRejected(f"its adapter failed: {type(error).__name__}: {error}"))
        else:
            if not self.outcome.done():
                self.outcome.set_result(result if isinstance(result, CommandResult) else CommandResult(message=result))

    def fail(self, error: Exception) -> None:
        """Set the outcome to an error, if it is still awaited."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class CommandQueue:
    """The commands of one bus in the order in which they arrived."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedCommand] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self,
        child: str,
        command: Command,
        *,
        start_before: float,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> QueuedCommand:
        """Append a command."""
        outcome: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        queued = QueuedCommand(child, command, start_before, outcome, before_start)
        self._waiting.append(queued)
        return queued

    def take(self, now: float) -> QueuedCommand | None:
        """Remove and return the next command that is still awaited; those that are too late fail."""
        while self._waiting:
            queued = self._waiting.popleft()
            if queued.outcome.done():
                continue
            if queued.start_before > now:
                return queued
            queued.fail(CommandRejected(TOO_LATE))
        return None

    def expire(self, now: float) -> None:
        """Fail the commands that are too late now, also while the bus is not open and nothing takes them."""
        waiting, self._waiting = self._waiting, deque()
        for queued in waiting:
            if queued.start_before > now:
                self._waiting.append(queued)
            else:
                queued.fail(CommandRejected(TOO_LATE))
