"""Go back to the snapshot from before an update, when this gateway meets the store of a newer one.

What was added since is taken over from the newer store: the rows of every table that both schemas have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from gateway.errors import StoreError
from gateway.state.database.file_exchange import put_in_place, remove_oldest, undo_interrupted
from gateway.state.database.row_copies import copy_rows, new_file
from gateway.state.database.schema_versions import types_of
from gateway.state.database.set_aside import add_set_aside
from gateway.state.database.single_instance import locked_folder, real_path
from gateway.state.database.snapshots import snapshots_of
from gateway.state.database.sqlite import SqliteError, Transaction, connect_reader
from gateway.state.recovery.salvage import settle_accounts
from gateway.state.schema import NEWEST_VERSION, migrations_after

LAST_COUNT: Final = 2**62
"""A whole store has no more rows than this."""


class Return(NamedTuple):
    """What was done to go on with a store of a newer gateway."""

    newer: int
    """The schema of the newer store."""
    kept: Path
    """The newer store under its new name."""
    not_taken: int
    """How many rows of it this schema does not take; the last of them were set aside."""
    left: tuple[str, ...]
    """The tables whose rows are those of the snapshot, since the newer store has them in another form."""

    def __str__(self) -> str:
        rows = f" {self.not_taken} rows were set aside." if self.not_taken else ""
        tables = f" {', '.join(self.left)} are as they were before the update." if self.left else ""
        return (
            f"the store was written by a newer gateway (schema {self.newer}). This one goes on with its own snapshot and what was"
            f" added since.{rows}{tables} The newer store is kept as {self.kept.name}"
        )


def go_back(path: Path) -> Return:
    """Put a store of this gateway's schema in the place of a newer one, which no process may have open. May block.

    Raises:
        StoreError: there is no snapshot, or it cannot be used; everything stays as it is.
    """
    with locked_folder(path):
        return _go_back(path)


def _go_back(path: Path) -> Return:
    real = real_path(path)
    try:
        snapshot = next(
            file for version, file in snapshots_of(real) if version > NEWEST_VERSION and 0 < _version_of(file) <= NEWEST_VERSION
        )
    except StopIteration:
        raise StoreError(
            f"{path} was written by a newer gateway, and there is no snapshot {real.name}.before-{NEWEST_VERSION + 1} from before"
            " its update. Update the gateway, or restore a backup (xyte-gateway restore)"
        ) from None
    new = real.with_name(f"{real.name}.returned")
    try:
        undo_interrupted(path)
        new.unlink(missing_ok=True)
        newer, not_taken, left = _merge(real, snapshot, new)
        kept = real.with_name(f"{real.name}.schema-{newer}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        put_in_place(new, real, kept)
    except (OSError, *SqliteError) as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StoreError(
            f"{path} was written by a newer gateway, and cannot be brought back to this one: {error}. Update the gateway"
        ) from error
    remove_oldest(real, "schema")
    return Return(newer, kept, not_taken, left)


def _merge(real: Path, snapshot: Path, new: Path) -> tuple[int, int, tuple[str, ...]]:
    with contextlib.closing(connect_reader(real)) as source, new_file(new) as target:
        newer = int(source.execute("PRAGMA user_version").fetchone()[0])
        with contextlib.closing(connect_reader(snapshot)) as base:
            base.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # the copy has that of the store, whose log would stay behind
        for number, script in migrations_after(int(target.execute("PRAGMA user_version").fetchone()[0])):
            target.executescript(f"{script}\nPRAGMA user_version = {number};")
        theirs, ours = types_of(source), types_of(target)
        common = {table: theirs[table] for table in ours if table in theirs and _is_enough(target, table, theirs[table])}
        for table in common:
            target.execute(f"DELETE FROM {table}")  # noqa: S608 - our tables
        _, refused = copy_rows(source, common, target, most_rows=LAST_COUNT)
        target.execute("BEGIN")
        settle_accounts(target)
        for table, columns, row in refused:
            add_set_aside(target, table, columns, row, "a newer gateway wrote it")
        target.execute("COMMIT")
        return newer, len(refused), tuple(sorted(ours.keys() - common.keys()))


def _is_enough(target: Transaction, table: str, columns: Collection[str]) -> bool:
    """Return whether a row can be made of these columns alone."""
    required = (
        name
        for _, name, _, is_required, default, is_key in target.execute(f"PRAGMA table_info({table})")
        if is_required and default is None and not is_key
    )
    return all(name in columns for name in required)


def _version_of(file: Path) -> int:
    try:
        with contextlib.closing(connect_reader(file)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    except SqliteError:
        return NEWEST_VERSION + 1  # it cannot be used
