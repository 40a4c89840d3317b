"""Keep track of the commands that wait for their bus or are being carried out, one for each device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.errors import CommandStopped
from gateway.models import CommandResult
from gateway.state.command_ledger import LedgerEntry
from gateway.tasks import loop_time


@dataclass(slots=True, eq=False)
class RunningCommand:
    """A command that waits for its bus, is being carried out, or is read back after a restart."""

    entry: LedgerEntry
    offered_at: float
    """The loop time when the cloud was last known to offer it."""
    task: asyncio.Task[CommandResult | None] | None = None
    progress: str | None = None
    """How far a long command is; `None` for one that cannot be stopped once it has started."""
    has_progress: asyncio.Event = field(default_factory=asyncio.Event)
    """Set from the first step of a long command on."""
    is_cancelled: bool = False
    """The cloud does not offer it any more."""
    interruption: str | None = None
    """What interrupted it after it had started: it is finished now."""

    @property
    def has_ended(self) -> bool:
        """Whether its execution is over."""
        return self.task is not None and self.task.done()

    @property
    def can_be_stopped(self) -> bool:
        """Whether it can still be kept from doing anything more."""
        return self.entry.started_at is None or self.progress is not None

    def cancel(self) -> None:
        """Cancel a command that has not started yet; one that has started goes on to the next point where it can stop."""
        self.is_cancelled = True
        if self.entry.started_at is None and self.task is not None:
            self.task.cancel()

    def checkpoint(self, progress: str) -> None:
        """See `gateway.models.Checkpoint`."""
        self.progress = progress
        self.has_progress.set()
        if self.is_cancelled:
            raise CommandStopped(f"it was cancelled in the cloud, and stopped after: {progress}")


class RunningCommands:
    """The running command of each device, by the device's id."""

    def __init__(self) -> None:
        self._running: dict[str, RunningCommand] = {}

    def __contains__(self, device_id: object) -> bool:
        return device_id in self._running

    def __iter__(self) -> Iterator[RunningCommand]:
        return iter([*self._running.values()])

    def of(self, device_id: str) -> RunningCommand | None:
        """Return the command of a device; `None` when none is running."""
        return self._running.get(device_id)

    def includes(self, entry: LedgerEntry) -> bool:
        """Return whether this very command is running."""
        running = self._running.get(entry.device_id)
        return running is not None and running.entry.key == entry.key

    def add(self, entry: LedgerEntry) -> RunningCommand:
        """Add a command that the cloud offers now."""
        running = self._running[entry.device_id] = RunningCommand(entry, loop_time())
        return running

    def remove(self, entry: LedgerEntry) -> None:
        """Remove a command that has ended."""
        if self.includes(entry):
            del self._running[entry.device_id]

    def clear(self) -> None:
        """Forget all of them: the gateway was registered again."""
        self._running.clear()
