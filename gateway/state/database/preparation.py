"""Prepare the file of the store: private to its owner, connected, and brought to the newest schema."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path
from typing import Final

from gateway.errors import StoreDamaged, StoreError, StoreNewer
from gateway.state.database.integrity import check_tables, check_version
from gateway.state.database.single_instance import real_path
from gateway.state.database.snapshots import keep_snapshot
from gateway.state.database.sqlite import SqliteError, Transaction, connect, is_damage, is_refusal
from gateway.state.schema import NEWEST_VERSION, migrations_after

log = logging.getLogger(__name__)

LOG_BYTES: Final = 16 * 1024 * 1024
"""How large the log stays on the disk after it was large: a reader that holds the store for long lets it grow."""


def connect_store(path: Path) -> Transaction:
    """Return a connection to the file that syncs each transaction, and keeps the log small."""
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    set_sync(connection, is_full=True)  # a lost access key cannot be requested again
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


def set_sync(connection: Transaction, *, is_full: bool) -> None:
    """Let transactions wait for the disk, or not."""
    with contextlib.suppress(*SqliteError):  # it fails in the next transaction as well, which tells it
        connection.execute(f"PRAGMA synchronous = {'FULL' if is_full else 'NORMAL'}")


def store_error(error: Exception) -> type[StoreError]:
    """Return which error an error of SQLite is for whoever uses the store."""
    return StoreDamaged if is_damage(error) else StoreError


def keep_private(path: Path) -> None:
    """Create the file if it is missing, and let nobody but its owner read it."""
    # only a new file is opened here: to close one that SQLite has open in this process would drop SQLite's locks
    with contextlib.suppress(FileExistsError):
        os.close(os.open(real_path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    status = path.stat()
    if status.st_nlink > 1:
        log.warning(
            "store: %s has %d names (hard links); SQLite's log belongs to one of them: always use the same one",
            path,
            status.st_nlink,
        )
    if stat.S_IMODE(status.st_mode) != 0o600:
        log.warning("store: other users could read %s; its mode is now 0600", path)
        path.chmod(0o600)


def rows_set_aside(connection: Transaction) -> int:
    """Return how many rows were set aside since the store was created, also those that are not kept any more."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'set_aside_rows'").fetchone()
    return 0 if row is None else int(row[0])


def migrate(connection: Transaction, path: Path) -> None:
    """Bring the store to the newest schema, after a snapshot of it.

    Raises:
        StoreError: it is damaged, or from a newer gateway.
    """
    before = refuse_newer(connection, path)
    check_version(connection, path, before)
    if 0 < before < NEWEST_VERSION:
        keep_snapshot(connection, path, NEWEST_VERSION)
    for version, script in migrations_after(before):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version}; COMMIT;")
        except SqliteError as error:
            if is_refusal(error):  # a row has a value that its column cannot have: a copy leaves that row alone out
                raise StoreDamaged(f"{path} is damaged: it cannot be brought to schema {version}: {error}") from error
            raise
    check_tables(connection, path)
    if before != NEWEST_VERSION:  # a copy of the file alone is of the new version, too
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def refuse_newer(connection: Transaction, path: Path) -> int:
    """Return the version of the store's schema, if this gateway knows it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > NEWEST_VERSION:
        raise StoreNewer(
            f"{path} was written by a newer gateway (schema {version}; this one knows {NEWEST_VERSION}). Update the gateway"
        )
    return version
