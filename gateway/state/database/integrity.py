"""Check the content of a store before it is used: a part of it always, all of it where there is a reason.

SQLite finds a damaged page when it reads it. A check of the whole file takes 5 ms for each MB, and as long as the disk needs to
read it, so it is made only after a damaged page was met, and of small files after a kill or a power cut.
"""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import Final

from gateway.errors import StoreDamaged, StoreError
from gateway.state.database.schema_versions import missing_columns, types_of, version_of
from gateway.state.database.single_instance import real_path
from gateway.state.database.sqlite import Transaction

SMALL_BYTES: Final = 32 * 1024 * 1024
"""So large a file is checked in a fifth of a second, or in two seconds from a slow card."""


def check_is_file(path: Path) -> None:
    """Refuse a folder, a pipe or a device: SQLite waits for a pipe without end, and their modes are not the gateway's to change.

    Raises:
        StoreError: something is there that is no file.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror}. Name a file in a folder that the gateway may write to: [store] path"
        ) from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no file"
        raise StoreError(f"{path} is {what}. Name a file in a folder that the gateway may write to: [store] path")


def suspect_file(path: Path) -> Path:
    """Return the file beside the store that says: a damaged page was met, so the next start checks everything."""
    real = real_path(path)
    return real.with_name(f"{real.name}.suspect")


def mark_suspect(path: Path) -> None:
    """Let the next start check the whole store. May block."""
    with contextlib.suppress(OSError):  # a disk that takes nothing: the damage is met again
        suspect_file(path).touch(mode=0o600)


def has_log(path: Path) -> bool:
    """Return whether the last process that had the store open did not close it."""
    real = real_path(path)
    try:
        return real.with_name(f"{real.name}-wal").stat().st_size > 0
    except OSError:
        return False


def check_content(db: Transaction, path: Path, *, was_killed: bool) -> None:
    """Check all pages where there is a reason.

    Args:
        db: the open store.
        path: its file.
        was_killed: the last process that had it open did not close it.

    Raises:
        StoreDamaged: pages of it are damaged.
    """
    suspect = suspect_file(path)
    if suspect.exists():
        check = "integrity_check"
    elif was_killed and path.stat().st_size <= SMALL_BYTES:
        check = "quick_check"
    else:
        return
    (found,) = db.execute(f"PRAGMA {check}(1)").fetchone()
    if found != "ok":
        raise StoreDamaged(f"{path} is damaged: {str(found).splitlines()[-1]}")
    suspect.unlink(missing_ok=True)


def check_version(db: Transaction, path: Path, version: int) -> None:
    """Compare the version that the file names with the tables that it has.

    Raises:
        StoreDamaged: they do not fit each other.
    """
    tables = types_of(db)
    if tables and (real := version_of(tables)) != version:
        raise StoreDamaged(f"{path} is damaged: it says that it is of schema {version}, and has the tables of schema {real}")


def check_tables(db: Transaction, path: Path) -> None:
    """Check that a store of the newest version has all tables.

    Raises:
        StoreDamaged: definitions of tables cannot be read.
    """
    if missing := missing_columns(types_of(db)):
        raise StoreDamaged(f"{path} is damaged: it has no {', '.join(missing[:3])}")
