"""Copy rows from one store into another one, as far as they can be read and both have their tables and columns."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from gateway.state.database.schema_versions import types_of
from gateway.state.database.set_aside import MOST_ROWS
from gateway.state.database.sqlite import Reader, SqliteError, Transaction, connect, is_refusal

MOST_ATTEMPTS: Final = 10_000
"""In how many pieces a damaged table is read at most."""

FIRST_ROW, LAST_ROW = -(2**63), 2**63 - 1


class RefusedRow(NamedTuple):
    """A row that the other store does not take."""

    table: str
    columns: Sequence[str]
    cells: Sequence[object]


def size_of(real: Path) -> int:
    """Return how many bytes a store has, with its log."""
    return sum(file.stat().st_size for file in (real, real.with_name(f"{real.name}-wal")) if file.exists())


@contextmanager
def new_file(path: Path) -> Iterator[Transaction]:
    """Yield a connection to a new file that only its owner may read; it is on the disk afterwards."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(connect(path)) as target:
        target.execute("PRAGMA journal_mode = OFF")  # a copy that was interrupted is begun anew
        target.execute("PRAGMA synchronous = OFF")
        yield target
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_rows(
    source: Reader, tables: Mapping[str, Collection[str]], target: Transaction, *, most_rows: int
) -> tuple[dict[str, int], Sequence[RefusedRow]]:
    """Copy the rows of these tables and columns, and return how many were copied, by table, and the last that were not.

    Args:
        source: where they are.
        tables: the columns that can be read there, by table.
        target: where they are added; its triggers do not count them.
        most_rows: how many rows a table has at most.
    """
    triggers = target.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:  # what they would count is copied, too
        target.execute(f"DROP TRIGGER {name}")
    target.execute("BEGIN")
    rows: dict[str, int] = {}
    refused: deque[RefusedRow] = deque(maxlen=MOST_ROWS)
    for table, types in types_of(target).items():
        columns = [column for column in types if column in tables.get(table, ())]
        if columns:
            rows[table] = 0
            for row in islice(_rows(source, table, columns), most_rows):
                if _insert(target, table, {column: types[column] for column in columns}, row):
                    rows[table] += 1
                else:
                    refused.append(RefusedRow(table, columns, row))
    _continue_numbering(source, target)
    target.execute("COMMIT")
    for _, sql in triggers:
        target.execute(sql)
    return rows, refused


def _rows(source: Reader, table: str, columns: Sequence[str]) -> Iterator[Sequence[object]]:
    """Yield every row that can be read; what follows a damaged place is read in halves, and those in halves."""
    quoted = ", ".join(f'"{column}"' for column in columns)
    query = f"SELECT rowid, {quoted} FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ? ORDER BY rowid"  # noqa: S608 - names of ours
    unread = [(FIRST_ROW, LAST_ROW)]
    for _ in range(MOST_ATTEMPTS):
        if not unread:
            return
        first, last = unread.pop()
        try:
            for rowid, *row in source.execute(query, (first, last)):
                first = rowid + 1
                yield row
        except SqliteError:
            if first < last:
                middle = (first + last) // 2
                unread += [(middle + 1, last), (first, middle)]


def _insert(target: Transaction, table: str, types: Mapping[str, str], row: Sequence[object]) -> bool:
    # a text that is not UTF-8 comes as bytes, and stays a text: who reads the row decides what is lost with it
    places = ", ".join(
        "CAST(? AS TEXT)" if kind == "TEXT" and isinstance(cell, bytes) else "?"
        for kind, cell in zip(types.values(), row, strict=True)
    )
    names = ", ".join(f'"{column}"' for column in types)
    try:
        return target.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})", row).rowcount == 1  # noqa: S608 - names of ours
    except SqliteError as error:
        if is_refusal(error):
            return False
        raise


def _continue_numbering(source: Reader, target: Transaction) -> None:
    """Let no number of a sample or an event be used a second time."""
    with contextlib.suppress(*SqliteError):
        for name, number in source.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
            if isinstance(name, str) and isinstance(number, int):
                target.execute("UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = ?", (number, name))
