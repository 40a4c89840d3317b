"""Put a new file in the place of the store, and keep the former one with its log under another name.

The log has to go before the new file comes: SQLite would apply it to that one. A kill between the two leaves the former file
under both names, and its log under the other one; the next start undoes that.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from gateway.state.database.single_instance import real_path
from gateway.state.database.whole_files import sync_folder

KEPT_AS: Final = ("damaged", "replaced", "schema")
"""How the names of kept stores go on after that of the store."""

MOST_KEPT: Final = 3
"""So many stores are kept of each kind: a disk that damages its store again and again is not filled with them."""


def put_in_place(new: Path, real: Path, kept: Path) -> None:
    """Put a new file in the place of the store, and keep the store under another name. A kill leaves one of the two in place.

    Raises:
        OSError: it cannot be done.
    """
    keep_former(real, kept)
    new.replace(real)
    sync_folder(real.parent)


def keep_former(real: Path, kept: Path) -> None:
    """Give the store, which is about to be replaced, its other name, and its log with it.

    Raises:
        OSError: it cannot be done.
    """
    try:
        os.link(real, kept)
    except OSError:  # some file systems have no hard links
        real.rename(kept)
    move_log(real, kept)


def move_log(real: Path, kept: Path) -> None:
    """Move the log of the store to its other name.

    Raises:
        OSError: it cannot be done.
    """
    log_file = _log_of(real)
    if log_file.exists():
        log_file.rename(_log_of(kept))
    real.with_name(f"{real.name}-shm").unlink(missing_ok=True)


def remove_oldest(real: Path, word: str) -> None:
    """Remove the stores that were kept first under names with this word, once there are more than `MOST_KEPT`."""
    name = re.compile(rf"{re.escape(real.name)}\.{word}-(?:\d+-)?(\d+T\d+)")
    kept = [(match[1], file) for file in real.parent.iterdir() if (match := name.fullmatch(file.name)) is not None]
    for _, oldest in sorted(kept)[:-MOST_KEPT]:
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                oldest.with_name(f"{oldest.name}{end}").unlink(missing_ok=True)


def undo_interrupted(path: Path) -> None:
    """Give the store its log back if a kill came before the new file. For the holder of the lock on its folder.

    Raises:
        OSError: it cannot be done.
    """
    real = real_path(path)
    if not real.exists() or real.stat().st_nlink == 1:
        return
    for word in KEPT_AS:
        for kept in list(real.parent.glob(f"{real.name}.{word}-*")):
            if kept.name.endswith(("-wal", "-shm")) or not kept.samefile(real):
                continue
            if _log_of(kept).exists() and not _log_of(real).exists():
                _log_of(kept).rename(_log_of(real))
            kept.unlink()
    sync_folder(real.parent)


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
