"""Check a backup that was uploaded to a running gateway, and restore it before the gateway is built anew.

The upload is checked as a whole first. Once a person has confirmed it, it has its last name, and the next start restores it: a
kill at any moment leaves either the former store or the restored one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from gateway.errors import StoreError
from gateway.state.database.single_instance import is_in_use, real_path
from gateway.state.database.sqlite import connect_reader
from gateway.state.database.whole_files import sync_folder
from gateway.state.recovery.backups import BackupContent, create_private, needs_passphrase, restore_backup, unpack_backup

log = logging.getLogger(__name__)

NAME: Final = "the file"
"""What messages call an upload: they are read on the page, where its path means nothing."""


@dataclass(frozen=True, slots=True)
class CheckedBackup:
    """A backup that can be restored."""

    content: BackupContent
    children: Collection[str]
    """The local keys of the children in it."""


def uploaded_file(store: Path) -> Path:
    """Return the file that takes an upload."""
    return _beside(store, "upload")


def create_upload(store: Path) -> BinaryIO:
    """Return the empty file for an upload, open, which only its owner may read. May block.

    Raises:
        OSError: it cannot be made.
    """
    discard_upload(store)
    file = uploaded_file(store)
    create_private(file)
    return file.open("r+b")


def check_upload(store: Path, passphrase: str) -> CheckedBackup:
    """Check the upload, and keep its content until it is confirmed or discarded. May block.

    Raises:
        StoreError: it cannot be restored; the text says why.
    """
    uploaded, checked = uploaded_file(store), _beside(store, "upload-checked")
    try:
        if needs_passphrase(uploaded) and not passphrase:
            raise StoreError("the file is encrypted; type its passphrase")
        content = unpack_backup(uploaded, checked, passphrase, name=NAME)
        with contextlib.closing(connect_reader(real_path(checked))) as db:
            keys = frozenset(str(key) for (key,) in db.execute("SELECT key FROM children"))
        with checked.open("rb+") as written:
            os.fsync(written.fileno())
    except OSError as error:
        raise StoreError(f"the file cannot be stored: {error.strerror}") from error
    finally:
        _remove(uploaded)
    return CheckedBackup(content, keys)


def confirm_upload(store: Path) -> None:
    """Let the next start of the gateway restore the upload that was checked. May block.

    Raises:
        StoreError: there is none, or it cannot be renamed.
    """
    pending = _beside(store, "upload-confirmed")
    try:
        _beside(store, "upload-checked").replace(pending)
        sync_folder(pending.parent)
    except OSError as error:
        raise StoreError(f"the file that was checked cannot be used: {error.strerror}") from error


def discard_upload(store: Path) -> None:
    """Remove an upload that was not confirmed. May block."""
    for word in ("upload", "upload-checked"):
        _remove(_beside(store, word))


def restore_confirmed(store: Path) -> None:
    """Restore the upload that was confirmed, if there is one, before the store is opened. May block.

    It is restored once: where that fails, the gateway goes on with its store as it was, and the log says why.
    """
    pending = _beside(store, "upload-confirmed")
    try:
        if is_in_use(store):  # by another process, to which the files belong
            return
        discard_upload(store)  # of a process that was killed
        if not pending.exists():
            return
    except OSError:  # whoever opens the store says what is wrong with its folder
        return
    try:
        restored = restore_backup(pending, store, None, name="uploaded on the page")
        kept = "" if restored.replaced is None else f"; the former store is kept as {restored.replaced}"
        log.warning("the backup that was uploaded on the page is restored%s", kept)
    except StoreError as error:
        log.error("the backup that was uploaded on the page is not restored: %s. The store is as it was", error)  # noqa: TRY400 - says all
    _remove(pending)


def _beside(store: Path, word: str) -> Path:
    real = real_path(store)
    return real.with_name(f"{real.name}.{word}")


def _remove(file: Path) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            Path(f"{file}{end}").unlink(missing_ok=True)
