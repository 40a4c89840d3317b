"""Open the SQLite file that holds all state, bring it to the newest schema, and run transactions on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self, TypeVar

from gateway.errors import StoreDamaged, StoreError
from gateway.state.database.file_exchange import undo_interrupted
from gateway.state.database.integrity import check_content, check_is_file, has_log, mark_suspect
from gateway.state.database.preparation import (
    connect_store,
    keep_private,
    migrate,
    refuse_newer,
    rows_set_aside,
    set_sync,
    store_error,
)
from gateway.state.database.single_instance import StoreLock, real_path, refuse_other_name
from gateway.state.database.sqlite import (
    SetAsideRow,
    SqliteError,
    Transaction,
    connect_reader,
    in_transaction,
    is_damage,
    is_disk_failure,
)
from gateway.state.database.store_file import StoreFile
from gateway.state.schema import NEWEST_VERSION

__all__ = ["SetAsideRow", "Store", "Transaction", "read_store"]

log = logging.getLogger(__name__)

T = TypeVar("T")

PUT_BACK_EVERY_SECONDS = 5.0
"""How often it is tried to put back a file that is gone, where that fails: each try writes the whole content."""

SETTLED_AFTER_SECONDS = 10.0
"""Whatever has removed the file may do so again: the gateway counts as ready once the file has stayed for so long."""


CALM_SECONDS: Final = 70.0
"""A full disk takes a small write now and then. Samples are put in at least once in this time, unless configured otherwise."""


class Store:
    """The SQLite file; every transaction runs in one thread of its own, one after the other.

    `exclusive=True` locks it for as long as it is open, so that no second gateway works on it, under whatever path. With
    `syncs_samples=False`, a power cut may cost the last transactions that allow it.
    """

    def __init__(self, path: Path, *, exclusive: bool = False, syncs_samples: bool = True) -> None:
        self.path = path
        self._exclusive = exclusive
        self._syncs_samples = syncs_samples
        self._lock = StoreLock(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._connection: Transaction | None = None
        self._tables_told: set[str] = set()
        self._file: StoreFile | None = None
        self._put_back_at = 0.0
        self._lost_file: str | None = None
        self._is_content_lost = False
        self._settled_at = 0.0
        self.put_backs: list[str] = []
        """What was done about a file that somebody removed or replaced, for whoever tells it."""
        self.problem: str | None = None
        """Why nothing is stored, or not everything; `None` once the store takes everything again."""
        self.calm_seconds = CALM_SECONDS
        """How long a disk that failed must have taken everything, before it counts as working."""
        self._calm_at = 0.0
        self.is_damaged = asyncio.Event()
        """Set once a damaged page was met: the store has to be opened anew, which copies what can be read of it."""
        self.rows_set_aside = 0
        """How many rows could not be read or sent since the store was created."""
        self.set_aside_lately = 0
        """How many of them nobody has told the cloud yet."""

    async def __aenter__(self) -> Self:
        """Open the file, create it if it is missing, and bring it to the newest schema.

        Raises:
            StoreError: the folder cannot be used, or the file is no store, damaged, from a newer gateway, or in use.
        """
        try:
            await self._run(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def transact(self, work: Callable[[Transaction], T], *, may_be_lost: bool = False) -> T:
        """Run `work` as one transaction: durable when this returns, undone when `work` raises.

        Args:
            work: what to do.
            may_be_lost: a power cut may undo it, where the store does not sync samples; a later transaction that is durable
                makes it durable, too.

        Raises:
            StoreError: SQLite failed: disk full, file damaged, I/O error.
        """
        try:
            return await self._run(lambda: self._transact_as(work, may_be_lost=may_be_lost))
        except StoreDamaged:
            self.is_damaged.set()
            await self._run(lambda: mark_suspect(self.path))
            raise

    async def check_writable(self) -> None:
        """Write a value that is already there, to see whether the store can be written.

        Raises:
            StoreError: nothing can be stored.
        """
        await self.transact(lambda db: db.execute(f"PRAGMA user_version = {NEWEST_VERSION}"))
        if self.problem is not None and time.monotonic() < self._calm_at:
            raise StoreError(f"{self.path}: {self.problem} (it takes small writes, which a full disk does now and then)")
        self.problem = None

    async def check_file(self) -> None:
        """Look whether the file is still there, and put it back if it is not; each transaction does so, too.

        Raises:
            StoreError: it is not, and cannot be put back.
        """
        await self._run(self._ensure_file)

    @property
    def unsettled(self) -> str | None:
        """What somebody did to the file lately, until it has stayed for a while; `None` for nothing."""
        return self._lost_file if time.monotonic() < self._settled_at else None

    async def checkpoint(self) -> None:
        """Bring what is in the log into the file, so that a copy of the file alone has it, as far as no reader is in the way.

        Raises:
            StoreError: as `transact`.
        """
        await self._run(self._checkpoint)

    async def data_version(self) -> int:
        """Return a number that changes when another process has written to the file (SQLite's `data_version`).

        Raises:
            StoreError: as `transact`.
        """
        return await self._run(self._read_data_version)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _connected(self) -> Transaction:
        if self._connection is None:
            raise StoreError(f"{self.path} is not open")
        return self._connection

    def _read_data_version(self) -> int:
        try:
            return int(self._connected().execute("PRAGMA data_version").fetchone()[0])
        except SqliteError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _checkpoint(self) -> None:
        self._ensure_file()
        try:
            self._connected().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except SqliteError as error:
            raise store_error(error)(f"{self.path}: {error}") from error
        if self._file is not None:
            self._file.written()

    def _transact_as(self, work: Callable[[Transaction], T], *, may_be_lost: bool) -> T:
        if self._syncs_samples or not may_be_lost:
            return self._transact(work)
        self._ensure_file()
        set_sync(self._connected(), is_full=False)
        try:
            return self._transact(work)
        finally:
            set_sync(self._connected(), is_full=True)

    def _transact(self, work: Callable[[Transaction], T]) -> T:
        self._ensure_file()
        connection = self._connected()
        written = connection.total_changes
        connection.set_aside = ()
        try:
            result = in_transaction(connection, work)
        except SqliteError as error:
            self.problem = str(error)
            if is_disk_failure(error):
                self._calm_at = time.monotonic() + self.calm_seconds
            raise store_error(error)(f"{self.path}: {error}") from error
        if connection.total_changes != written and time.monotonic() >= self._calm_at:
            self.problem = None
        self._tell_of(connection.set_aside)
        if self._file is not None:
            if self._file.change(is_ours=True) is None:
                self._file.written()
            with contextlib.suppress(StoreError):  # what was stored is in the connection, and is put back with all the rest
                self._ensure_file()
        return result

    def _ensure_file(self) -> None:
        """Put the file back if somebody has removed, replaced or cut it."""
        if self._file is None or (change := self._file.change()) is None:
            return
        text = f"{self.path} {change} while the gateway runs"
        if self._lost_file != text:
            log.error("store: %s; it is put back", text)
            self._lost_file, self._put_back_at, self._is_content_lost = text, 0.0, False
        self._settled_at = time.monotonic() + SETTLED_AFTER_SECONDS
        if time.monotonic() < self._put_back_at:
            raise (StoreDamaged if self._is_content_lost else StoreError)(self.problem or text)
        self._put_back_at = time.monotonic() + PUT_BACK_EVERY_SECONDS
        try:
            kept = self._put_back(self._file)
        except StoreDamaged as error:
            self.problem = f"{text}, and cannot be put back: {error}"
            self._is_content_lost = True
            raise StoreDamaged(self.problem) from error
        except (OSError, *SqliteError, StoreError) as error:
            self.problem = f"{text}, and it cannot be put back: {error}"
            raise StoreError(self.problem) from error
        self.problem, self._put_back_at = None, 0.0
        foreign = "" if kept is None else f". The file that was in its place is kept as {kept.name}"
        told = f"{text}; it was put back with all its content{foreign}"
        log.warning("store: %s", told)
        self.put_backs.append(told)

    def _put_back(self, file: StoreFile) -> Path | None:
        kept = None
        if self._connection is not None:
            try:
                kept = file.write_anew(self._connection, self._lock)
            except SqliteError as error:
                if is_damage(error):
                    raise StoreDamaged(str(error)) from error
                raise
            former, self._connection = self._connection, None
            with contextlib.suppress(*SqliteError):  # it belongs to a file that is none any more
                former.close()
            file.remove_log()
        elif not self._lock.has(self.path):  # the copy was written, could not be opened, and is gone as well
            raise StoreDamaged("its content is not known any more")
        self._connection = connect_store(self.path)
        self._file = StoreFile(self.path)
        return kept

    def _tell_of(self, rows: Sequence[SetAsideRow]) -> None:
        """Count rows that were set aside, and log the first of each table."""
        self.rows_set_aside += len(rows)
        self.set_aside_lately += len(rows)
        for row in rows:
            if row.table not in self._tables_told:
                self._tables_told.add(row.table)
                log.error(
                    "store: a row of %s cannot be used and was set aside: %s. Others of it are not logged", row.table, row.why
                )

    def _open(self) -> None:
        try:
            check_is_file(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._exclusive:
                self._lock.acquire_folder()
                undo_interrupted(self.path)
            keep_private(self.path)
            if self._exclusive:
                self._lock.acquire()
            else:
                refuse_other_name(self.path)
            was_killed = has_log(self.path)
            self._connection = connect_store(self.path)
            if self._exclusive:
                check_content(self._connection, self.path, was_killed=was_killed)
            migrate(self._connection, self.path)
            self.rows_set_aside = rows_set_aside(self._connection)
            if self._exclusive:
                self._file = StoreFile(self.path)
        except OSError as error:
            text = f"{self.path}: {error.strerror}. Name a file in a folder that the gateway may write to: [store] path"
            raise StoreError(text) from error
        except SqliteError as error:
            fix = "Restore a backup, or move it away to start anew"
            if is_disk_failure(error):
                fix = "Free space on its disk, or replace the disk; the store itself may be whole"
            text = f"{self.path} cannot be used as the store: {error}. {fix}"
            raise store_error(error)(text) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()


def read_store(path: Path, query: Callable[[Transaction], T]) -> T:
    """Return the result of `query` on a store that is neither created nor changed, also while a gateway uses it. May block.

    Raises:
        StoreError: the file cannot be read, is no store, or is from a newer gateway.
    """
    path = real_path(path)  # the log files are beside the file itself, not beside a symlink
    check_is_file(path)
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            refuse_newer(connection, path)
            return query(connection)
    except SqliteError as error:
        raise StoreError(f"{path} cannot be used as the store: {error}") from error
