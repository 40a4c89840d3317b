"""One SQLite file: opened, migrated, transacted. The only file that knows the path, the pragmas and how SQLite fails."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from gateway.errors import StoreError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Transaction = sqlite3.Connection

MIGRATIONS = (
    """
    CREATE TABLE gateway (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        serial_number TEXT NOT NULL,
        mac TEXT,
        cloud_id TEXT,
        credentials TEXT,
        former_credentials TEXT,
        told TEXT
    ) STRICT;
    CREATE TABLE children (
        key TEXT PRIMARY KEY,
        device TEXT NOT NULL,
        state TEXT NOT NULL,
        marker TEXT NOT NULL UNIQUE,
        device_id TEXT UNIQUE,
        access_key TEXT,
        hub_url TEXT,
        parent_id TEXT,
        update_owed INTEGER NOT NULL DEFAULT 0,
        problem TEXT,
        since TEXT NOT NULL
    ) STRICT;
    CREATE TABLE met (
        key TEXT PRIMARY KEY,
        adapter TEXT NOT NULL,
        bus TEXT NOT NULL,
        found TEXT NOT NULL,
        why TEXT NOT NULL,
        decision TEXT,
        at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        child TEXT NOT NULL,
        at TEXT NOT NULL,
        status TEXT NOT NULL,
        payload TEXT NOT NULL
    ) STRICT;
    CREATE INDEX outbox_by_child ON outbox (child, seq);
    CREATE TABLE losses (
        child TEXT NOT NULL,
        why TEXT NOT NULL,
        first_at TEXT NOT NULL,
        last_at TEXT NOT NULL,
        samples INTEGER NOT NULL,
        PRIMARY KEY (child, why)
    ) STRICT;
    """,
    """
    CREATE TABLE notes (
        entry TEXT NOT NULL,
        name TEXT NOT NULL,
        said TEXT NOT NULL,
        PRIMARY KEY (entry, name)
    ) STRICT;
    """,
    """
    CREATE TABLE names (
        key TEXT PRIMARY KEY,
        name TEXT NOT NULL
    ) STRICT;
    """,
)
"""The schema's history: each entry is applied once, in order, and never edited after a release."""


LOOK_SECONDS = 2.0
"""So long who only looks waits for who writes."""


class Store:
    """The file, with one thread of its own in which every transaction runs, one after the other.

    `sole=True` holds a lock beside the file for as long as the store is open, so that no second gateway works on it.
    """

    def __init__(self, path: Path, *, sole: bool = False) -> None:
        self.path = path
        self._sole = sole
        self._lock_fd: int | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        self.problem: str | None = None
        """Why a transaction failed; `None` once another one has written something since."""

    async def __aenter__(self) -> Self:
        """Open the file, make it if need be, and bring it to the newest schema.

        Raises:
            StoreError: not a directory, no permission, not a store, damaged, from a newer gateway, or in use by another.
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

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction: durable when this returns, undone when `work` raises.

        Raises:
            StoreError: SQLite could not do it: disk full, file damaged, I/O error.
        """
        return await self._run(lambda: self._transact(work))

    async def try_writing(self) -> None:
        """Write something that changes nothing.

        Raises:
            StoreError: nothing can be stored.
        """
        await self.transact(lambda db: db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}"))
        self.problem = None

    async def changed_outside(self) -> int:
        """Return a number that differs from the one before if another process has written to the file since.

        Raises:
            StoreError: as `transact`.
        """
        return await self._run(self._data_version)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.path} is not open")
        return self._connection

    def _data_version(self) -> int:
        try:
            return int(self._connected().execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _transact(self, work: Callable[[Transaction], T]) -> T:
        connection = self._connected()
        written = connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self.problem = str(error)
            raise StoreError(f"{self.path}: {error}") from error
        if connection.total_changes != written:
            self.problem = None
        return result

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._sole:
                self._lock()
            _keep_private(self.path)
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # an access key that is lost is lost for good
            _migrate(self._connection, self.path)
        except OSError as error:
            text = f"{self.path}: {error.strerror}. Name a file in a directory that the gateway may write to: [store] path"
            raise StoreError(text) from error
        except sqlite3.Error as error:
            text = f"{self.path} cannot be used as the store: {error}. Put a backup in its place, or move it away to start anew"
            raise StoreError(text) from error

    def _lock(self) -> None:
        self._lock_fd = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._lock_fd, 32).decode() or "unknown"
            raise StoreError(f"{self.path} is in use by another gateway (pid {holder}). Stop that one first") from error
        os.truncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, str(os.getpid()).encode(), 0)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def look(path: Path, read: Callable[[Transaction], T]) -> T:
    """Return what `read` finds in a store, which is neither made nor changed, also while a gateway works on it. May wait.

    Raises:
        StoreError: it cannot be read, is none, or is from a newer gateway.
    """
    # SQLite would make the files of its log for a reader, too: whose they are then, the gateway might not be able to write to
    how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=LOOK_SECONDS)
        ) as connection:
            _refuse_newer(connection, path)
            return read(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used as the store: {error}") from error


async def to_its_end(work: Coroutine[Any, Any, T], *, within_seconds: float | None = None) -> T:
    """Await `work`; when whoever asked is cancelled meanwhile, let it end first, within so many seconds."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=within_seconds)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody wants to know any more, but asyncio wants somebody to have asked
        raise


def uncancelled(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a method that writes run to its end once it was called, so that the memory never differs from the disk."""

    @wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await to_its_end(method(*args, **kwargs))

    return run


async def until_stored(write: Callable[[], Awaitable[T]], *, what: str, again_after_seconds: float = 1.0) -> T:
    """Write until the store takes it: for what nobody can be asked for a second time, as an access key."""
    told = False
    while True:
        try:
            return await write()
        except StoreError as error:
            if not told:
                log.error("%s cannot be stored and is tried again until it is: %s", what, error)  # noqa: TRY400 - no bug of ours
            told = True
        await asyncio.sleep(again_after_seconds)


def _keep_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if stat.S_IMODE(path.stat().st_mode) != 0o600:
        log.warning("store: %s could be read by others; its mode is 0600 now", path)
        path.chmod(0o600)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _refuse_newer(connection, path)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema, if it is one that is known here."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        text = f"{path} was written by a newer gateway (schema {version}, this one knows {len(MIGRATIONS)}). Update the gateway"
        raise StoreError(text)
    return version
