"""Copy what can still be read of a damaged store into a new file, put that in its place, and keep the damaged one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.errors import StoreDamaged, StoreError
from gateway.state.integrity import suspect_file
from gateway.state.outbox.accounts import recount
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.schema import NEWEST_VERSION, migrations_after
from gateway.state.schema_versions import types_of, version_of
from gateway.state.set_aside import MOST_ROWS, add_set_aside
from gateway.state.single_instance import real_path
from gateway.state.sqlite import Reader, SqliteError, Transaction, connect, connect_reader, is_refusal

log = logging.getLogger(__name__)

MOST_KEPT: Final = 3
"""A disk that damages its store again and again is not filled with damaged stores."""

MOST_ATTEMPTS: Final = 10_000
"""In how many pieces a damaged table is read at most."""

LEAST_ROW_BYTES: Final = 4
"""Pages of a damaged file may refer to each other without end: a file has no more rows than bytes of this number."""

FIRST_ROW, LAST_ROW = -(2**63), 2**63 - 1


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
        StoreError: it stays as it is, for one of these reasons: its identity is needed, there is no room, or too many damaged
            stores are kept already.
    """
    real = real_path(path)
    kept = _name_for(real)
    new = real.with_name(f"{real.name}.salvaged")
    try:
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
        _swap(real, new, kept, is_empty=not rows)
        suspect_file(path).unlink(missing_ok=True)
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
    kept = [file for file in real.parent.glob(f"{real.name}.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
    if len(kept) >= MOST_KEPT:
        raise StoreError(
            f"{real} is damaged, and {len(kept)} damaged stores are kept beside it already. Replace the disk, or remove"
            f" {real.name}.damaged-*"
        )
    return real.with_name(f"{real.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")


def _check_room(real: Path) -> None:
    needed = _size(real)
    free = shutil.disk_usage(real.parent).free
    if free < needed:
        raise StoreError(
            f"{real} is damaged, and there is no room for a copy of what can be read of it: {needed // 1_000_000} MB are needed,"
            f" {free // 1_000_000} MB are free"
        )


def _size(real: Path) -> int:
    return sum(file.stat().st_size for file in (real, real.with_name(f"{real.name}-wal")) if file.exists())


def _swap(real: Path, new: Path, kept: Path, *, is_empty: bool) -> None:
    log_file = real.with_name(f"{real.name}-wal")
    if is_empty:
        real.rename(kept)
    else:
        try:
            os.link(real, kept)
        except OSError:  # some file systems have no hard links
            real.rename(kept)
    if log_file.exists():
        log_file.rename(kept.with_name(f"{kept.name}-wal"))
    real.with_name(f"{real.name}-shm").unlink(missing_ok=True)
    if not is_empty:
        new.replace(real)


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
                return _copy_tables(source, tables, _size(real), new)
    return {}, 0


def _copy_tables(
    source: Reader, tables: Mapping[str, Collection[str]], source_bytes: int, new: Path
) -> tuple[dict[str, int], int]:
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(connect(new)) as target:
        target.execute("PRAGMA journal_mode = OFF")  # a copy that was interrupted is begun anew
        target.execute("PRAGMA synchronous = OFF")
        version = version_of(tables)
        for _, script in migrations_after(0, version):
            target.executescript(script)
        triggers = target.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:  # what they would count is copied, too
            target.execute(f"DROP TRIGGER {name}")
        target.execute("BEGIN")
        rows: dict[str, int] = {}
        refused: deque[tuple[str, Sequence[str], Sequence[object]]] = deque(maxlen=MOST_ROWS)
        most = source_bytes // LEAST_ROW_BYTES
        for table, types in types_of(target).items():
            columns = [column for column in types if column in tables.get(table, ())]
            if columns:
                rows[table] = 0
                for row in islice(_rows(source, table, columns), most):
                    if _insert(target, table, {column: types[column] for column in columns}, row):
                        rows[table] += 1
                    else:
                        refused.append((table, columns, row))
        _continue_numbering(source, target)
        target.execute("COMMIT")
        for _, sql in triggers:
            target.execute(sql)
        for number, script in migrations_after(version):
            target.executescript(f"{script}\nPRAGMA user_version = {number};")
        target.execute(f"PRAGMA user_version = {NEWEST_VERSION}")
        target.execute("BEGIN")
        for table, names, row in refused:
            add_set_aside(target, table, names, row, "it was damaged in the file")
        lost = _count_lost_samples(target)
        target.execute("COMMIT")
    descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return rows, lost


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


def _count_lost_samples(target: Transaction) -> int:
    """Count the samples that waited, by the account of their child, and could not be copied as losses of that child."""
    missing = target.execute(
        "SELECT a.child, a.waiting - (SELECT COUNT(*) FROM outbox AS o WHERE o.child = a.child) AS missing"
        " FROM outbox_accounts AS a WHERE missing > 0"
    ).fetchall()
    now = datetime.now(UTC).isoformat()
    for child, samples in missing:
        count_loss(target, child, LossReason.UNREADABLE, now, now, samples)
    counted, waiting = target.execute("SELECT (SELECT TOTAL(waiting) FROM outbox_accounts), COUNT(*) FROM outbox").fetchone()
    if counted != waiting:
        recount(target)
    return sum(samples for _, samples in missing)
