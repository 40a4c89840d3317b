"""Keep a copy of the store before each update of its schema, for an older gateway that meets the newer store."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from pathlib import Path
from typing import Final

from gateway.state.database.row_copies import new_file, size_of
from gateway.state.database.single_instance import real_path
from gateway.state.database.sqlite import SqliteError, Transaction
from gateway.state.database.whole_files import sync_folder

log = logging.getLogger(__name__)

MOST_KEPT: Final = 2
"""How many snapshots are kept: those of the latest updates."""


def keep_snapshot(db: Transaction, path: Path, version: int) -> None:
    """Copy the store before it is brought to another version. May block.

    Without room for it, the update is made all the same: it is one transaction, and only the way back is missing.
    """
    real = real_path(path)
    snapshot = real.with_name(f"{real.name}.before-{version}")
    new = real.with_name(f"{snapshot.name}.new")
    try:
        new.unlink(missing_ok=True)
        if (free := shutil.disk_usage(real.parent).free) < (needed := size_of(real)):
            log.warning(
                "store: no snapshot is made before the update to schema %d: %d MB are needed, %d MB are free. An older gateway"
                " could not go back to it",
                version, needed // 1_000_000, free // 1_000_000,
            )  # fmt: skip
            return
        with new_file(new) as target:
            db.backup(target)
        new.replace(snapshot)
        sync_folder(real.parent)
        log.info("store: %s is a copy from before the update to schema %d", snapshot.name, version)
        for _, old in snapshots_of(real)[:-MOST_KEPT]:
            old.unlink(missing_ok=True)
    except (OSError, *SqliteError) as error:
        log.warning("store: no snapshot is made before the update to schema %d: %s", version, error)
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def snapshots_of(real: Path) -> list[tuple[int, Path]]:
    """Return the snapshots beside the store by the version before which they were made, the oldest first."""
    found = [
        (re.fullmatch(r"\.before-(\d+)", file.name[len(real.name) :]), file) for file in real.parent.glob(f"{real.name}.before-*")
    ]
    return sorted((int(match[1]), file) for match, file in found if match is not None)
