"""Open connections to the SQLite file, and say how SQLite fails.

The only file that imports sqlite3.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

SqliteError: Final = (sqlite3.Error, UnicodeDecodeError)
"""How SQLite fails. It quotes a damaged schema in its message, and Python cannot read that where it is not UTF-8."""

WRITER_TIMEOUT_SECONDS: Final = 10.0
READER_TIMEOUT_SECONDS: Final = 2.0
"""How long each waits for another writer."""


@dataclass(frozen=True, slots=True)
class SetAsideRow:
    """A row that cannot be read or sent, and was taken out of its table (`gateway/state/database/set_aside.py`)."""

    table: str
    why: str


class Transaction(sqlite3.Connection):
    """The connection, as the work inside a transaction gets it. A text that is not UTF-8 comes as `bytes`."""

    is_read_only = False
    set_aside: Sequence[SetAsideRow] = ()
    """The rows that this transaction has set aside."""


class Reader(Transaction):
    """A connection that changes nothing."""

    is_read_only = True


def _text(written: bytes) -> str | bytes:
    # by default, one damaged text makes the whole query fail
    try:
        return str(written, "utf-8")
    except UnicodeDecodeError:
        return written


def connect(path: Path) -> Transaction:
    """Open a file to work on it; no transaction begins by itself.

    Raises:
        SqliteError: it cannot be opened.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=WRITER_TIMEOUT_SECONDS, factory=Transaction
    )
    connection.text_factory = _text
    return connection


def connect_reader(path: Path, *, with_log: bool = True) -> Reader:
    """Open a file to look at it.

    Args:
        path: the file, without symlinks.
        with_log: read also what is only in its log. Otherwise the file is taken as it is, and nothing beside it is touched.

    Raises:
        SqliteError: it cannot be opened.
    """
    # SQLite creates its log files for a reader, too: they would belong to this user, and the gateway may be unable to write them
    mode = "mode=ro" if with_log and Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=READER_TIMEOUT_SECONDS, factory=Reader)
    connection.text_factory = _text
    return connection


def in_transaction(connection: Transaction, work: Callable[[Transaction], T]) -> T:
    """Return the result of the work, all of whose changes are made, or none where it raises.

    Raises:
        SqliteError: the file refuses it.
    """
    if connection.in_transaction:  # an earlier one could not even be undone
        connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(*SqliteError):
            connection.execute("ROLLBACK")
        raise
    return result


def is_refusal(error: Exception) -> bool:
    """Return whether SQLite does not take the values of one row: the schema forbids them."""
    return isinstance(error, sqlite3.IntegrityError | sqlite3.DataError)


def is_disk_failure(error: Exception) -> bool:
    """Return whether the disk does not take or give what it should: it is full, read-only, or fails."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def is_busy(error: Exception) -> bool:
    """Return whether another process has held the file for too long."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_damage(error: Exception) -> bool:
    """Return whether SQLite says that the content of the file is damaged, or not its own."""
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lowest byte is the error; the others say more about it
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
