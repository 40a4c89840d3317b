"""Set rows of the store aside that cannot be read or sent: copied with the reason, removed from their table, counted, bounded.

A row is set aside in the transaction that met it. `Store` counts and logs them once that transaction has ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar, cast

from pydantic import ValidationError

from gateway.state.store import SetAsideRow, Transaction

T = TypeVar("T")

MOST_ROWS = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""So much is kept of the rows that were set aside; beyond it, the oldest are removed. Their number still counts."""

MOST_ROW_BYTES = 64 * 1024
"""A longer row is cut: what is kept is for a person who looks for the cause."""

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a function raises that reads a damaged row."""


def read_rows(
    db: Transaction, table: str, columns: str, parse: Callable[..., T], rest: str = "", values: Sequence[object] = ()
) -> list[T]:
    """Return what the rows of a table say; those that cannot be read are set aside.

    Args:
        db: the transaction.
        table: the table, or a join that begins with it: `outbox` or `outbox AS o JOIN ...`.
        columns: the columns that `parse` is called with, one argument each.
        parse: returns what a row says; a text that is not UTF-8 comes as `bytes`.
        rest: what follows in the query: conditions, order and limit.
        values: the parameters of the query.
    """
    name, _, alias = table.split(" JOIN ")[0].partition(" AS ")
    query = f"SELECT {alias.strip() or name}.rowid, {columns} FROM {table} {rest}"  # noqa: S608 - our own text
    read: list[T] = []
    unreadable: list[tuple[int, str]] = []
    for rowid, *row in db.execute(query, values).fetchall():
        try:
            read.append(parse(*row))
        except UNREADABLE as error:
            unreadable.append((rowid, reason(error)))
    set_aside(db, name, unreadable)
    return read


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


def reason(error: Exception) -> str:
    """Return why a row cannot be read, without a value of it: it may be a secret."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()[:3])
    if isinstance(error, json.JSONDecodeError | Unusable):
        return str(error)
    return f"it has a value that is not possible there ({type(error).__name__})"


class Unusable(ValueError):
    """A column has a value that cannot be its own; the text names the column and never quotes the value."""


def text(value: object, column: str) -> str:
    """Return the text of a column that always has one."""
    if isinstance(value, bytes):
        raise Unusable(f"{column} is not UTF-8")
    if not isinstance(value, str):
        raise Unusable(f"{column} is no text")
    return value


def optional_text(value: object, column: str) -> str | None:
    """Return the text of a column that may be empty."""
    return None if value is None else text(value, column)


def moment(value: object, column: str) -> datetime:
    """Return the time of a column that always has one."""
    try:
        at = datetime.fromisoformat(text(value, column))
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable(f"{column} is no time") from None
    if at.tzinfo is None:
        raise Unusable(f"{column} has no time zone")
    return at


def optional_moment(value: object, column: str) -> datetime | None:
    """Return the time of a column that may be empty."""
    return None if value is None else moment(value, column)


def number(value: object, column: str) -> int:
    """Return the whole number of a column that always has one."""
    if not isinstance(value, int):
        raise Unusable(f"{column} is no whole number")
    return value


def optional_number(value: object, column: str) -> int | None:
    """Return the whole number of a column that may be empty."""
    return None if value is None else number(value, column)


def json_value(value: object, column: str) -> object:
    """Return what the JSON of a column says."""
    written = text(value, column)
    try:
        read = json.loads(written, parse_constant=_refuse)
        if "\\u" in written:
            json.dumps(read, ensure_ascii=False).encode()  # fails for half a character, which no message can contain
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise Unusable(f"{column} is no usable JSON: {what}") from None
    return cast("object", read)


def json_object(value: object, column: str) -> dict[str, object]:
    """Return the object that the JSON of a column is."""
    read = json_value(value, column)
    if not isinstance(read, dict):
        raise Unusable(f"{column} is no JSON object")
    return read


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # `NaN` and `Infinity` are no JSON


def _move(db: Transaction, table: str, rowid: int, why: str, is_kept: bool) -> bool:  # noqa: FBT001 - as in `set_aside`
    cursor = db.execute(f"SELECT * FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608 - one of our tables
    row = cursor.fetchone()
    if row is None:
        return False
    content = _content([column[0] for column in cursor.description], row)
    now = datetime.now(UTC).isoformat()
    db.execute("INSERT INTO set_aside_rows (table_name, content, why, at) VALUES (?, ?, ?, ?)", (table, content, why, now))
    if not is_kept:
        db.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608 - one of our tables
    return True


def _content(names: Sequence[str], row: Sequence[object]) -> bytes:
    """Return a row as JSON, with bytes that are no text escaped, and cut."""
    cells = {
        name: cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell
        for name, cell in zip(names, row, strict=True)
    }  # fmt: skip
    return json.dumps(cells).encode()[:MOST_ROW_BYTES]


def _bound(db: Transaction) -> None:
    """Remove the oldest rows beyond what is kept."""
    kept = bytes_kept = 0
    for seq, size in db.execute("SELECT seq, LENGTH(content) FROM set_aside_rows ORDER BY seq DESC").fetchall():
        kept, bytes_kept = kept + 1, bytes_kept + size
        if kept > MOST_ROWS or bytes_kept > MOST_BYTES:
            db.execute("DELETE FROM set_aside_rows WHERE seq <= ?", (seq,))
            return
