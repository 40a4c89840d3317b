"""Write the store into one file while a gateway works on it, and put such a file in the place of the store."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.errors import StoreError
from gateway.state.command_ledger import forget_contact
from gateway.state.database.file_exchange import keep_former, remove_oldest, undo_interrupted
from gateway.state.database.integrity import check_is_file
from gateway.state.database.single_instance import StoreLock, is_in_use, real_path
from gateway.state.database.sqlite import SqliteError, Transaction, connect, connect_reader, is_damage
from gateway.state.database.whole_files import sync_folder
from gateway.state.recovery.backup_encryption import decrypt, encrypt, is_encrypted
from gateway.state.recovery.hardware_question import forget_hardware
from gateway.state.recovery.identity_mirror import MirrorUnusable, mirror_file, read_mirror
from gateway.state.recovery.recoveries import RecoveryKind, write_recovery
from gateway.state.schema import NEWEST_VERSION, migrations_after
from gateway.state.store import read_store

SQLITE_MAGIC: Final = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContent:
    """What is in a backup."""

    serial_number: str
    device_id: str | None
    """The id of the gateway in the cloud, when it is registered."""
    children: int
    samples: int
    """How many samples wait for the cloud in it."""
    schema: int
    is_encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    content: BackupContent
    replaced: Path | None
    """Where the former store is kept."""
    replaced_mirror: Path | None
    """Where the copy of the identities of another gateway is kept."""


def write_backup(store: Path, target: Path, passphrase: str | None, *, may_replace: bool = False) -> BackupContent:
    """Write a backup, which only its owner may read. May block.

    Args:
        store: the store, also one that a gateway works on.
        target: the file.
        passphrase: encrypts it; `None` for a plain SQLite file.
        may_replace: replace a file of this name.

    Raises:
        StoreError: the store cannot be read, or the backup cannot be written; the text says which and why.
    """
    real = real_path(store)
    check_is_file(store)
    if not real.exists():
        raise StoreError(f"there is no store at {store}")
    if target.exists() and not may_replace:
        raise StoreError(f"{target} exists already; name another file, or replace it with --replace")
    # the copy that is not encrypted is made beside the store, which contains the same, and not on a stick
    plain = real.with_name(f"{real.name}.backup") if passphrase is not None else target.with_name(f"{target.name}.new")
    new = target.with_name(f"{target.name}.new")
    with _told(f"{target} cannot be written"), _removed_at_the_end(plain, new):
        create_private(plain)
        read_store(store, lambda db: _copy(db, plain))
        content = _content_of(plain, is_encrypted=passphrase is not None)
        if passphrase is not None:
            create_private(new)
            with plain.open("rb") as source, new.open("r+b") as out:
                encrypt(source, out, passphrase)
        with new.open("rb") as written:
            os.fsync(written.fileno())
        new.replace(target)
        sync_folder(target.absolute().parent)
    return content


def needs_passphrase(backup: Path) -> bool:
    """Return whether a backup is encrypted.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        with backup.open("rb") as source:
            return is_encrypted(source)
    except OSError as error:
        raise StoreError(f"{backup} cannot be read: {error.strerror}") from error


def restore_backup(backup: Path, store: Path, passphrase: str | None, *, name: str | None = None) -> Restored:
    """Put a backup in the place of the store, which no gateway may use, and keep the former store beside it. May block.

    Args:
        backup: the file.
        store: the store.
        passphrase: decrypts an encrypted one.
        name: what the record of the restore calls it; by default, its file name.

    Raises:
        StoreError: it is refused, with the reason, and the former store is as it was.
    """
    real = real_path(store)
    check_is_file(store)
    if is_in_use(store):
        raise StoreError(f"a gateway uses {store}. Stop it first, and start it again after the restore")
    lock = StoreLock(store)
    new = real.with_name(f"{real.name}.restoring")
    with _told(f"{store} cannot be restored"), _removed_at_the_end(new):
        real.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire_folder()
        try:
            undo_interrupted(store)
            content = unpack_backup(backup, new, passphrase)
            _prepare(
                new, f"a backup was restored: {name or backup.name}, of {content.serial_number} with {content.children} children"
            )
            with new.open("rb") as written:
                os.fsync(written.fileno())
            replaced = _keep_former_store(real)
            replaced_mirror = _keep_foreign_mirror(store, content.serial_number)
            new.replace(real)
            sync_folder(real.parent)
            remove_oldest(real, "replaced")
        finally:
            lock.release()
    return Restored(content=content, replaced=replaced, replaced_mirror=replaced_mirror)


def unpack_backup(backup: Path, target: Path, passphrase: str | None, *, name: str | None = None) -> BackupContent:
    """Write the store that is in a backup into a file that only its owner may read, and check all of it. May block.

    Args:
        backup: the file.
        target: the file to write.
        passphrase: decrypts an encrypted one.
        name: what errors call the backup; by default, its path.

    Raises:
        StoreError: it is refused, with the reason.
        OSError: one of the files fails.
    """
    is_encrypted_file = needs_passphrase(backup)
    create_private(target)
    if Path(f"{real_path(backup)}-wal").exists():  # a store that was kept aside, or copied with its log
        _copy_with_log(backup, target)
    else:
        with backup.open("rb") as source, target.open("r+b") as out:
            if is_encrypted_file:
                decrypt(source, out, passphrase or "")
            else:
                shutil.copyfileobj(source, out)
    return _content_of(target, is_encrypted=is_encrypted_file, name=name or str(backup))


def _copy(db: Transaction, to: Path) -> None:
    try:
        with contextlib.closing(connect(to)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, also where it is only read
    except SqliteError as error:
        if is_damage(error):
            raise
        raise StoreError(f"{to} cannot be written: {error}") from error


def _copy_with_log(backup: Path, to: Path) -> None:
    try:
        with contextlib.closing(connect_reader(real_path(backup))) as db:
            _copy(db, to)
    except SqliteError as error:
        raise StoreError(f"{backup} is damaged, or no backup of a gateway: {error}") from error


def _content_of(file: Path, *, is_encrypted: bool, name: str | None = None) -> BackupContent:
    """Return what is in the file of a store, after a check of all of it."""
    name = str(file) if name is None else name
    with file.open("rb") as beginning:
        if beginning.read(len(SQLITE_MAGIC)) != SQLITE_MAGIC:
            raise StoreError(f"{name} is no backup of a gateway")
    try:
        with contextlib.closing(connect_reader(real_path(file))) as db:
            schema = int(db.execute("PRAGMA user_version").fetchone()[0])
            if schema > NEWEST_VERSION:
                raise StoreError(
                    f"{name} was written by a newer gateway (schema {schema}; this one knows {NEWEST_VERSION}). Update the"
                    " gateway"
                )
            problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if problem != "ok":
                raise StoreError(f"{name} is damaged: {problem}")
            return _facts(db, name, schema=schema, is_encrypted=is_encrypted)
    except SqliteError as error:
        raise StoreError(f"{name} is damaged, or no backup of a gateway: {error}") from error


def _facts(db: Transaction, name: str, *, schema: int, is_encrypted: bool) -> BackupContent:
    tables = {table for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"gateway", "children", "outbox"} <= tables:
        raise StoreError(f"{name} is no backup of a gateway: it is a database of something else")
    row = db.execute("SELECT serial_number, json_extract(credentials, '$.device_id') FROM gateway").fetchone()
    if row is None:
        raise StoreError(f"{name} has no gateway in it: that one was never started")
    return BackupContent(
        serial_number=str(row[0]),
        device_id=None if row[1] is None else str(row[1]),
        children=db.execute("SELECT COUNT(*) FROM children").fetchone()[0],
        samples=db.execute("SELECT COUNT(*) FROM outbox").fetchone()[0],
        schema=schema,
        is_encrypted=is_encrypted,
    )


def _prepare(file: Path, text: str) -> None:
    """Bring a restored store to the newest schema, and record in it that it is an older one than the cloud knows."""
    with contextlib.closing(connect(file)) as db:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        for number, script in migrations_after(version):
            db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number}; COMMIT;")
        db.execute("BEGIN IMMEDIATE")
        forget_contact(db)
        forget_hardware(db)
        write_recovery(db, RecoveryKind.RESTORED, text)
        db.execute("COMMIT")


def _keep_former_store(real: Path) -> Path | None:
    if not real.exists():
        return None
    kept = real.with_name(f"{real.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    keep_former(real, kept)
    return kept


def _keep_foreign_mirror(store: Path, serial_number: str) -> Path | None:
    """Move the copy of the identities away if it is not of this gateway; its own one may know newer children, and stays."""
    file = mirror_file(store)
    try:
        mirror = read_mirror(file)
    except MirrorUnusable:
        mirror = None
    if (mirror is not None and mirror.serial_number == serial_number) or not file.exists():
        return None
    kept = file.with_name(f"{file.name}.other-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    file.rename(kept)
    return kept


def create_private(file: Path) -> None:
    """Make an empty file that only its owner may read, in the place of another one."""
    file.unlink(missing_ok=True)  # of a run that was killed
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


@contextmanager
def _removed_at_the_end(*files: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for file in files:
            for end in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    Path(f"{file}{end}").unlink(missing_ok=True)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror}") from error
    except SqliteError as error:
        raise StoreError(f"{what}: {error}") from error
