"""Find out from its tables which version of the schema a store has, where its version number cannot be trusted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

from gateway.state.database.sqlite import SqliteError, Transaction, connect
from gateway.state.schema import NEWEST_VERSION, migrations_after


def types_of(db: Transaction) -> dict[str, dict[str, str]]:
    """Return the columns of each table with their types; a table whose definition is damaged is left out."""
    names = [
        name
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        if isinstance(name, str) and name.isidentifier() and not name.startswith("sqlite_")
    ]
    types: dict[str, dict[str, str]] = {}
    for name in names:
        with contextlib.suppress(*SqliteError):
            types[name] = {column: kind for _, column, kind, *_ in db.execute(f'PRAGMA table_info("{name}")')}
    return {name: columns for name, columns in types.items() if columns}


def missing_columns(tables: Mapping[str, Collection[str]]) -> list[str]:
    """Return what a store of the newest version lacks, as `table.column`."""
    return sorted(f"{table}.{column}" for table, column in _of_version(NEWEST_VERSION) - _pairs(tables))


def version_of(tables: Mapping[str, Collection[str]]) -> int:
    """Return the latest version of which there is a table or a column in a store that no earlier one has; 0 for none."""
    found = _pairs(tables)
    return max((version for version in range(1, NEWEST_VERSION + 1) if _added_in(version) & found), default=0)


@cache
def _added_in(version: int) -> frozenset[tuple[str, str]]:
    return _of_version(version) - _of_version(version - 1)


@cache
def _of_version(version: int) -> frozenset[tuple[str, str]]:
    with contextlib.closing(connect(Path(":memory:"))) as db:
        for _, script in migrations_after(0, version):
            db.executescript(script)
        return frozenset(_pairs(types_of(db)))


def _pairs(tables: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    return {(table, column) for table, columns in tables.items() for column in columns}
