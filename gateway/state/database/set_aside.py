"""Set rows of the store aside that cannot be read or sent: copied with the reason, removed from their table, counted, bounded.

A row is set aside in the transaction that met it. `Store` counts and logs them once that transaction has ended.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from gateway import strict_json
from gateway.state.database.columns import Unusable
from gateway.state.database.sqlite import SetAsideRow, Transaction

T = TypeVar("T")

MOST_PASSES = 20
"""How often a query is repeated after it met damaged rows, so that a limit counts usable ones."""

MOST_ROWS = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""So much is kept of the rows that were set aside; beyond it, the oldest are removed. Their number still counts."""

MOST_ROW_BYTES = 64 * 1024
"""A longer row is cut: what is kept is for a person who looks for the cause."""

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a function raises that reads a damaged row."""


@dataclass(frozen=True, slots=True)
class Mending(Generic[T]):
    """How to go on with a damaged row of which most can be used."""

    make: Callable[..., T]
    """Returns what the row says, with something harmless in the place of what cannot be read; raises as a parser does."""
    write: Callable[[Transaction, T], None]
    """Writes that over the row."""


def read_rows(
    db: Transaction,
    table: str,
    columns: str,
    parse: Callable[..., T],
    rest: str = "",
    values: Sequence[object] = (),
    *,
    mending: Mending[T] | None = None,
    when_gone: Callable[..., None] = lambda *_: None,
) -> list[T]:
    """Return what the rows of a table say; those that cannot be read are set aside.

    Args:
        db: the transaction.
        table: the table, perhaps with an alias: `outbox AS o`.
        columns: the columns that `parse` is called with, one argument each.
        parse: returns what a row says; a text that is not UTF-8 comes as `bytes`.
        rest: what follows in the query: joins, conditions, order and limit.
        values: the parameters of the query.
        mending: how a damaged row is kept in use; without it, such a row is only set aside.
        when_gone: called with the transaction and the columns of each row that is not in use any more.
    """
    name, _, alias = table.partition(" AS ")
    query = f"SELECT {alias or name}.rowid, {columns} FROM {table} {rest}"  # noqa: S608 - our own text
    for _ in range(MOST_PASSES):
        read: list[T] = []
        has_damage = False
        for rowid, *row in db.execute(query, values).fetchall():
            try:
                read.append(parse(*row))
            except UNREADABLE as error:
                has_damage = True
                mended = _mended(db, mending, name, rowid, row, reason(error))
                read += mended
                if not mended:
                    when_gone(db, *row)
        if not has_damage or db.is_read_only:
            break
    return read


def _mended(db: Transaction, mending: Mending[T] | None, table: str, rowid: int, row: Sequence[object], why: str) -> list[T]:
    """Set a row aside, and return what it says where it can be mended."""
    made: list[T] = []
    if mending is not None:
        with contextlib.suppress(*UNREADABLE):
            made.append(mending.make(*row))
    set_aside(db, table, [(rowid, why)], are_kept=bool(made))
    if mending is not None and not db.is_read_only:
        for one in made:
            mending.write(db, one)
    return made


def set_aside(db: Transaction, table: str, rows: Iterable[tuple[int, str]], *, are_kept: bool = False) -> None:
    """Move rows to those that were set aside. In a store that is only looked at, they are left where they are.

    Args:
        db: the transaction.
        table: the table of the rows.
        rows: the `rowid` of each (that of `outbox` and `events` is `seq`), and why it cannot be used, for a person: never a
            value of the row.
        are_kept: only copy them, because most of them can be used and the caller mends the rest.
    """
    moved = [SetAsideRow(table, why) for rowid, why in rows if not db.is_read_only and _move(db, table, rowid, why, are_kept)]
    if moved:
        db.set_aside = (*db.set_aside, *moved)
        _bound(db)


def add_set_aside(db: Transaction, table: str, columns: Sequence[str], row: Sequence[object], why: str) -> None:
    """Record a row that never got into its table."""
    _write(db, table, columns, row, why)
    _bound(db)


def reason(error: Exception) -> str:
    """Return why a row cannot be read, without a value of it: it may be a secret."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()[:3])
    if isinstance(error, json.JSONDecodeError | Unusable):
        return str(error)
    return f"it has a value that is not possible there ({type(error).__name__})"


def _move(db: Transaction, table: str, rowid: int, why: str, is_kept: bool) -> bool:  # noqa: FBT001 - as in `set_aside`
    cursor = db.execute(f"SELECT * FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608 - one of our tables
    row = cursor.fetchone()
    if row is None:
        return False
    _write(db, table, [column[0] for column in cursor.description], row, why)
    if not is_kept:
        db.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608 - one of our tables
    return True


def _write(db: Transaction, table: str, columns: Sequence[str], row: Sequence[object], why: str) -> None:
    db.execute(
        "INSERT INTO set_aside_rows (table_name, content, why, at) VALUES (?, ?, ?, ?)",
        (table, _content(columns, row), why, datetime.now(UTC).isoformat()),
    )


def _content(names: Sequence[str], row: Sequence[object]) -> bytes:
    """Return a row as JSON, with bytes that are no text escaped, and cut."""
    cells = {
        name: cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell
        for name, cell in zip(names, row, strict=True)
    }  # fmt: skip
    return strict_json.dumps(cells).encode()[:MOST_ROW_BYTES]


def _bound(db: Transaction) -> None:
    """Remove the oldest rows beyond what is kept."""
    kept = bytes_kept = 0
    for seq, size in db.execute("SELECT seq, LENGTH(content) FROM set_aside_rows ORDER BY seq DESC").fetchall():
        kept, bytes_kept = kept + 1, bytes_kept + size
        if kept > MOST_ROWS or bytes_kept > MOST_BYTES:
            db.execute("DELETE FROM set_aside_rows WHERE seq <= ?", (seq,))
            return
