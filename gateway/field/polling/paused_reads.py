"""Keep reads that were paused for other children, until they continue or are closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Sequence
from typing import TypeAlias

from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.schedule import ReadTask
from gateway.models import Reading
from gateway.tasks import closed

ReadingBatches: TypeAlias = AsyncIterator[Sequence[Reading]]
"""What `Adapter.read` returns: the readings of one transaction after the other."""


class PausedReads:
    """The paused reads of one bus, at most one for each child."""

    def __init__(self, bugs: BugReports) -> None:
        self._bugs = bugs
        self._paused: dict[str, tuple[ReadTask, ReadingBatches]] = {}

    def keep(self, task: ReadTask, batches: ReadingBatches) -> None:
        """Keep a paused read."""
        self._paused[task.child] = task, batches

    async def resume(self, task: ReadTask) -> ReadingBatches | None:
        """Return the rest of this read, `None` if it was not paused; close the paused read of another task for the same child."""
        paused = self._paused.pop(task.child, None)
        if paused is None:
            return None
        paused_task, batches = paused
        if paused_task is task:
            return batches
        await self._close(batches)
        return None

    async def close_except(self, children: Container[str]) -> None:
        """Close the paused reads of all children but these."""
        for child in [child for child in self._paused if child not in children]:
            await self._close(self._paused.pop(child)[1])

    async def close_all(self) -> None:
        """Close every paused read."""
        await self.close_except(())

    async def _close(self, batches: ReadingBatches) -> None:
        try:
            await closed(batches)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: nobody waits for this read any more
            self._bugs.record("a read that was given up could not be closed", error)
