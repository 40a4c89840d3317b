"""Carry out what the page offers for maintenance: diagnostics, backup and restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.runtime.diagnostics.contents import DumpCollector
from gateway.runtime.restart import NOT_STARTED_AGAIN, Restart
from gateway.state.history.timeline import EventKind
from gateway.state.recovery.backups import write_backup
from gateway.status.maintenance_view import BackupFile, Bundle
from gateway.status.requester_context import with_asker

ASKED_FOR: Final = "a restart was asked for on the page or by its API"

log = logging.getLogger(__name__)


class Maintenance:
    """Implements `gateway.status.maintenance_view.MaintenanceView`.

    Args:
        store: the store of the gateway.
        collector: collects what helps to find a fault.
        restart: asks for the restart.
        record: records an event in the timeline.
    """

    def __init__(
        self, store: Path, collector: DumpCollector, restart: Restart, *, record: Callable[[EventKind, str], None]
    ) -> None:
        self._store = store
        self._collector = collector
        self._restart = restart
        self._record = record
        self._one_bundle = asyncio.Lock()
        self._one_backup = asyncio.Lock()

    @property
    def restart_problem(self) -> str | None:
        """Why the gateway cannot be restarted from here; `None` when it can."""
        return None if self._restart.started_by is not None else NOT_STARTED_AGAIN

    def restart(self) -> None:
        """End the process in order, so that what started it starts it again."""
        log.warning(ASKED_FOR)
        self._record(EventKind.RESTART, with_asker(ASKED_FOR))
        self._restart.request(ASKED_FOR)

    async def bundle(self) -> Bundle:
        """Collect what helps to find a fault."""
        async with self._one_bundle:  # it asks doctor and reads a lot
            dump = await self._collector.collect()
        return Bundle(name=dump.name, content=dump.content, texts=dump.texts)

    @asynccontextmanager
    async def backup(self, passphrase: str) -> AsyncIterator[BackupFile]:
        """Write an encrypted backup, which is removed at the end of the block.

        Raises:
            StoreError: it cannot be written.
        """
        at = datetime.now(UTC)
        target = self._store.with_name(f"{self._store.name}.download")
        async with self._one_backup:  # each takes as much room on the disk as the store
            try:
                content = await asyncio.to_thread(write_backup, self._store, target, passphrase, may_replace=True)
                size = (await asyncio.to_thread(target.stat)).st_size
                log.warning("a backup was made for a download: %d children, %d samples", content.children, content.samples)
                self._record(EventKind.BACKUP_MADE, with_asker("a backup was made for a download"))
                yield BackupFile(path=target, name=f"xyte-gateway-{at:%Y%m%dT%H%M%SZ}.backup", size=size)
            finally:
                with suppress(OSError):
                    target.unlink(missing_ok=True)
