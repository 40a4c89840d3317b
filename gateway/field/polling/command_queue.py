"""Commands that wait for their bus: the first in line, each with exactly one outcome."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass

from gateway.errors import BusUnavailable, CommandRejected, DeviceUnreachable
from gateway.models import Command

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class QueuedCommand:
    """A command for one child, and where its outcome is awaited."""

    child: str
    """The child's local key."""
    command: Command
    until: float
    """The loop's time from which on it must not be begun any more: a command that fires late is worse than one that does not."""
    outcome: asyncio.Future[str | None]

    async def settle(self, carried_out: Awaitable[str | None]) -> None:
        """Await the adapter's work and pass its outcome on, whatever it is.

        Raises:
            BusUnavailable: the bus was lost meanwhile; the outcome says that it is not known whether the child obeyed.
        """
        try:
            done = await carried_out
        except (CommandRejected, DeviceUnreachable) as error:
            self.fail(error)
        except (BusUnavailable, asyncio.CancelledError):
            self.fail(CommandRejected("the bus was lost while it was carried out; whether the device obeyed is not known"))
            raise
        except Exception as error:  # here a stranger's adapter meets us: its bug costs this command, nothing else
            log.exception("%s: a bug in its adapter, carrying out %s", self.child, self.command.name)
            self.fail(CommandRejected(f"its adapter failed: {type(error).__name__}: {error}"))
        else:
            if not self.outcome.done():
                self.outcome.set_result(done)

    def fail(self, error: Exception) -> None:
        """Pass on why it was not carried out, if anybody still wants to know."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class CommandQueue:
    """The commands of one bus in the order in which they were given."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedCommand] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def give(self, child: str, command: Command, *, until: float) -> QueuedCommand:
        """Put a command in line."""
        order = QueuedCommand(child, command, until, asyncio.get_running_loop().create_future())
        self._waiting.append(order)
        return order

    def take(self, now: float) -> QueuedCommand | None:
        """Return the next command that somebody still waits for; those whose time is over are refused."""
        while self._waiting:
            order = self._waiting.popleft()
            if order.outcome.done():
                continue
            if order.until > now:
                return order
            order.fail(CommandRejected("its time was over before the bus was free; nothing was sent"))
        return None

    def expire(self, now: float) -> None:
        """Refuse the commands whose time is over, as while the bus is not open."""
        waiting, self._waiting = self._waiting, deque()
        for order in waiting:
            if order.until > now:
                self._waiting.append(order)
            else:
                order.fail(CommandRejected("its time was over before the bus was open; nothing was sent"))
