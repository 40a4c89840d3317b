"""Cache the snapshot of the gateway, so that any number of open pages costs one snapshot a second."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

from gateway.status.snapshot import Snapshot
from gateway.status.view import View
from gateway.tasks import loop_time

FRESH_SECONDS: Final = 1.0


class SnapshotCache:
    """The snapshot that all pages and API calls share."""

    def __init__(self, view: View, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._view = view
        self._fresh_seconds = fresh_seconds
        self._snapshot: Snapshot | None = None
        self._made_at = -inf
        self._invalidations = 0
        self._snapshot_lock = asyncio.Lock()
        self._store_problem: str | None = None
        self._store_tried_at = -inf
        self._store_lock = asyncio.Lock()

    async def snapshot(self) -> Snapshot:
        """Return the current state; a new snapshot is made when the last one is older than a second."""
        async with self._snapshot_lock:
            if self._snapshot is None or loop_time() - self._made_at >= self._fresh_seconds:
                before = self._invalidations
                self._snapshot = await self._view.snapshot()
                is_current = before == self._invalidations  # else it may show the state before the action
                self._made_at = loop_time() if is_current else -inf
            return self._snapshot

    async def store_problem(self) -> str | None:
        """Return why nothing can be stored; tried at most once a second, since each try writes to the disk."""
        async with self._store_lock:
            if loop_time() - self._store_tried_at >= self._fresh_seconds:
                self._store_problem = await self._view.store_problem()
                self._store_tried_at = loop_time()
            return self._store_problem

    def invalidate(self) -> None:
        """Have the next snapshot made again, because an action has changed the state."""
        self._invalidations += 1
        self._made_at = -inf
