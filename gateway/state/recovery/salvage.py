"""Copy what can still be read of a damaged store into a new file, put that in its place, and keep the damaged one."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.errors import StoreDamaged, StoreError
from gateway.state.database.file_exchange import move_log, put_in_place, remove_oldest, undo_interrupted
from gateway.state.database.integrity import suspect_file
from gateway.state.database.row_copies import copy_rows, new_file, size_of
from gateway.state.database.schema_versions import types_of, version_of
from gateway.state.database.set_aside import add_set_aside
from gateway.state.database.single_instance import locked_folder, real_path
from gateway.state.database.sqlite import Reader, SqliteError, Transaction, connect_reader
from gateway.state.outbox.accounts import recount
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.schema import NEWEST_VERSION, migrations_after

log = logging.getLogger(__name__)

LEAST_ROW_BYTES: Final = 4
"""Pages of a damaged file may refer to each other without end: a file has no more rows than bytes of this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What was recovered of a damaged store."""

    kept: Path
    """The damaged file under its new name."""
    rows: Mapping[str, int]
    """How many rows were copied, by table; empty when nothing could be read."""
    lost_samples: int
    """How many samples are known to be lost; they are counted as losses of their children."""

    @property
    def has_identity(self) -> bool:
        """Whether the gateway's own identity was copied."""
        return bool(self.rows.get("gateway"))

    def __str__(self) -> str:
        if not self.rows:
            return f"nothing of it could be read. The damaged file is kept as {self.kept}"
        lost = f", {self.lost_samples} samples are lost" if self.lost_samples else ""
        return (
            f"{self.rows.get('children', 0)} children and {self.rows.get('outbox', 0)} waiting samples were copied from it{lost}."
            f" The damaged file is kept as {self.kept}"
        )


def replace_damaged(path: Path, *, needs_identity: bool) -> Salvage:
    """Put a new store with everything that can be read in the place of a damaged one, which no process may have open. May block.

    A kill at any moment leaves either the damaged file or the new one under the path.

    Args:
        path: the damaged store.
        needs_identity: leave it where it is when the identity of the gateway cannot be read: no mirror has it.

    Raises:
        StoreError: it stays as it is, because its identity is needed or there is no room.
    """
    with locked_folder(path):
        return _replace(path, needs_identity=needs_identity)


def _replace(path: Path, *, needs_identity: bool) -> Salvage:
    real = real_path(path)
    new = real.with_name(f"{real.name}.salvaged")
    try:
        undo_interrupted(path)
        kept = _name_for(real)
        new.unlink(missing_ok=True)
        _check_room(real)
        rows, lost_samples = _copy(real, new)
        salvage = Salvage(kept=kept, rows=rows, lost_samples=lost_samples)
        if needs_identity and not salvage.has_identity:
            new.unlink(missing_ok=True)
            raise StoreDamaged(
                f"{path} cannot be used as the store: it is damaged, and neither it nor a mirror beside it has the identity of"
                " the gateway. Restore a backup (xyte-gateway restore), or move the file away to begin as a new gateway"
            )
        if rows:
            put_in_place(new, real, kept)
        else:
            real.rename(kept)
            move_log(real, kept)
        suspect_file(path).unlink(missing_ok=True)
        remove_oldest(real, "damaged")
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StoreError(f"{path} is damaged and cannot be replaced: {error.strerror}. Free space on its disk") from error
    except SqliteError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StoreError(f"{path} is damaged, and the copy of what can be read of it cannot be written: {error}") from error
    return salvage


def _name_for(real: Path) -> Path:
    return real.with_name(f"{real.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")


def _check_room(real: Path) -> None:
    needed = size_of(real)
    free = shutil.disk_usage(real.parent).free
    if free < needed:
        raise StoreError(
            f"{real} is damaged, and there is no room for a copy of what can be read of it: {needed // 1_000_000} MB are needed,"
            f" {free // 1_000_000} MB are free"
        )


def _copy(real: Path, new: Path) -> tuple[dict[str, int], int]:
    """Copy what can be read, and return the number of rows by table and of samples that are known to be lost."""
    for with_log in (True, False):
        try:
            source = connect_reader(real, with_log=with_log)
        except SqliteError:
            continue
        with contextlib.closing(source):
            try:
                # a definition that cannot be read costs its table alone
                source.execute("PRAGMA writable_schema = ON")
                tables = types_of(source)
            except SqliteError:
                continue
            if tables:
                return _copy_tables(source, tables, size_of(real), new)
    return {}, 0


def _copy_tables(
    source: Reader, tables: Mapping[str, Collection[str]], source_bytes: int, new: Path
) -> tuple[dict[str, int], int]:
    with new_file(new) as target:
        version = version_of(tables)
        for _, script in migrations_after(0, version):
            target.executescript(script)
        rows, refused = copy_rows(source, tables, target, most_rows=source_bytes // LEAST_ROW_BYTES)
        for number, script in migrations_after(version):
            target.executescript(f"{script}\nPRAGMA user_version = {number};")
        target.execute(f"PRAGMA user_version = {NEWEST_VERSION}")
        target.execute("BEGIN")
        for table, names, row in refused:
            add_set_aside(target, table, names, row, "it was damaged in the file")
        lost = _count_lost_samples(target)
        target.execute("COMMIT")
    return rows, lost


def _count_lost_samples(target: Transaction) -> int:
    """Count the samples that waited, by the account of their child, and could not be copied as losses of that child."""
    missing = target.execute(
        "SELECT a.child, a.waiting - (SELECT COUNT(*) FROM outbox AS o WHERE o.child = a.child) AS missing"
        " FROM outbox_accounts AS a WHERE missing > 0"
    ).fetchall()
    now = datetime.now(UTC).isoformat()
    for child, samples in missing:
        count_loss(target, child, LossReason.UNREADABLE, now, now, samples)
    settle_accounts(target)
    return sum(samples for _, samples in missing)


def settle_accounts(target: Transaction) -> None:
    """Count anew what waits, where the accounts do not agree with the outbox."""
    counted, waiting = target.execute("SELECT (SELECT TOTAL(waiting) FROM outbox_accounts), COUNT(*) FROM outbox").fetchone()
    if counted != waiting:
        recount(target)
