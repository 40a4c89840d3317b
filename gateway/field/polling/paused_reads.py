"""Readings that gave way to others half-way, to be gone on with or closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

from gateway.field.polling.schedule import Read
from gateway.models import Reading
from gateway.tasks import closed_after

Blocks: TypeAlias = AsyncIterator[Sequence[Reading]]


class PausedReads:
    """At most one for each child."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[Read, Blocks]] = {}

    def keep(self, task: Read, blocks: Blocks) -> None:
        """Put a reading aside."""
        self._begun[task.child] = task, blocks

    async def resume(self, task: Read) -> Blocks | None:
        """Return what was put aside of this very task; close what is left of another one."""
        kept = self._begun.pop(task.child, None)
        if kept is None:
            return None
        begun, blocks = kept
        if begun is task:
            return blocks
        async with closed_after(blocks):
            return None

    async def close(self) -> None:
        """Close everything that will not be gone on with."""
        while self._begun:
            _, (_, blocks) = self._begun.popitem()
            async with closed_after(blocks):
                pass
