"""Restore a backup that is uploaded on the page: check it, say what it would replace, and build the gateway anew with it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

from gateway.errors import StoreError
from gateway.runtime.restart import Restart
from gateway.state.parts import StateParts
from gateway.state.recovery.uploaded_backups import (
    CheckedBackup,
    check_upload,
    confirm_upload,
    create_upload,
    discard_upload,
    uploaded_file,
)
from gateway.status.maintenance_view import RestorePlan

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 900.0
"""A file that was checked can be confirmed for so long."""
FREE_BYTES: Final = 64 << 20
"""So much stays free on the disk while a file is uploaded and restored."""
BACKUP_TAKES_PLACE: Final = "a backup takes the place of its store"
NOT_CHECKED: Final = "the file was checked too long ago, or another one since; upload it again"


class Restores:
    """Implements `gateway.status.maintenance_view.RestoreView`.

    Args:
        state: the state of the gateway; its store is the one that would be replaced.
        restart: builds the gateway anew.
        most_bytes: a larger upload is refused.
    """

    def __init__(self, state: StateParts, restart: Restart, *, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._state = state
        self._store = state.store.path
        self._restart = restart
        self._one = asyncio.Lock()
        self._plan: RestorePlan | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def check(self, chunks: AsyncIterator[bytes], passphrase: str) -> RestorePlan:
        """Take the content of a file, check it, and return what a restore would replace.

        Raises:
            StoreError: it cannot be restored; the text says why.
        """
        if self._one.locked():
            raise StoreError("another file is being checked")
        async with self._one:
            self._forget()
            try:
                await self._take(chunks)
                checked = await asyncio.to_thread(check_upload, self._store, passphrase)
            except BaseException:
                await asyncio.to_thread(discard_upload, self._store)
                raise
            plan = self._plan = self._plan_of(checked)
            self._expiry = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._discard)
            return plan

    async def restore(self, token: str) -> None:
        """Build the gateway anew with the file that was checked.

        Raises:
            StoreError: there is none with this token.
        """
        plan = self._plan
        if plan is None or self._one.locked() or not secrets.compare_digest(plan.token.encode(), token.encode()):
            raise StoreError(NOT_CHECKED)
        async with self._one:
            self._forget()
            await asyncio.to_thread(confirm_upload, self._store)
        log.warning("a backup of %s with %d children is restored, as confirmed on the page", plan.serial_number, plan.children)
        asyncio.get_running_loop().call_later(0.5, self._restart.begin_anew, BACKUP_TAKES_PLACE)  # after the response was sent

    def cancel(self) -> None:
        """Discard the file that was checked."""
        if not self._one.locked():
            self._discard()

    async def _take(self, chunks: AsyncIterator[bytes]) -> None:
        size = 0
        try:
            file = await asyncio.to_thread(create_upload, self._store)
            try:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.most_bytes:
                        raise StoreError(f"the file has more than {self.most_bytes >> 20} MB, which is more than is taken here")
                    await asyncio.to_thread(self._write, file, chunk)
            finally:
                file.close()
            if size == 0:
                raise StoreError("no file was chosen")
            # its content is beside the store twice before it takes the place of that
            if await asyncio.to_thread(self._free_bytes) < 2 * size + FREE_BYTES:
                raise StoreError(f"the disk of the store has no room to check a file of {size >> 20} MB")
        except (TimeoutError, ConnectionError):  # of the browser, and no fault of the disk
            raise
        except OSError as error:
            raise StoreError(f"the file cannot be stored: {error.strerror}") from error

    def _write(self, file: BinaryIO, chunk: bytes) -> None:
        if self._free_bytes() < FREE_BYTES:
            raise StoreError("the disk of the store is too full for this file")
        file.write(chunk)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(uploaded_file(self._store).parent).free

    def _plan_of(self, checked: CheckedBackup) -> RestorePlan:
        registry = self._state.registry
        gateway, content = registry.gateway, checked.content
        added = [record.child.name for key, record in registry.children.items() if key not in checked.children]
        return RestorePlan(
            token=secrets.token_urlsafe(16),
            serial_number=content.serial_number,
            children=content.children,
            samples=content.samples,
            own_serial_number=None if gateway is None else gateway.serial_number,
            own_children=len(registry.children),
            waiting=self._state.outbox.depth,
            added=tuple(sorted(added)),
        )

    def _forget(self) -> None:
        self._plan = None
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _discard(self) -> None:
        self._forget()
        discard_upload(self._store)
