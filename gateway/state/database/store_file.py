"""Notice that the file of the open store was removed, replaced or cut by somebody, and write it anew from the open connection.

SQLite goes on with a file that has no name any more, and everything that it stores then is lost with the process. The connection
still has the whole content, so a copy of it takes the place of the file.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gateway.errors import StoreDamaged, StoreError
from gateway.state.database.single_instance import StoreLock, real_path
from gateway.state.database.sqlite import SqliteError, Transaction, connect, connect_reader, is_damage
from gateway.state.database.whole_files import sync_folder

MOST_CHECKED_BYTES = 64 * 1024 * 1024
"""Of a larger file, only the beginning is looked at: no sample can be stored meanwhile."""

_SIDE_FILES = ("-wal", "-shm")


class _Inode(NamedTuple):
    device: int
    number: int


class StoreFile:
    """The file of an open store with its log, as they were when it was opened. For the store's thread; may block."""

    def __init__(self, path: Path) -> None:
        self._real = real_path(path)
        status = self._real.stat()
        self._inode = _Inode(status.st_dev, status.st_ino)
        self._size, self._changed_at = status.st_size, status.st_mtime_ns
        self._folder_device = self._real.parent.stat().st_dev
        self._side_files = {end: inode for end in _SIDE_FILES if (inode := _inode(self._beside(end))) is not None}

    def change(self, *, is_ours: bool = False) -> str | None:
        """Return what somebody did to the file since it was opened, as the end of a sentence; `None` for nothing.

        Args:
            is_ours: this process has just written to it, so that alone is no reason to read all of it.
        """
        try:
            status = self._real.stat()
        except FileNotFoundError:
            return "was removed" if self._real.parent.exists() else "was removed with its folder"
        except OSError as error:
            return f"cannot be seen any more ({error.strerror})"
        if (status.st_dev, status.st_ino) != self._inode:
            return "was replaced by another file"
        if status.st_size < self._size:
            return f"was cut from {self._size} to {status.st_size} bytes"
        if (
            status.st_mtime_ns != self._changed_at and not is_ours
        ):  # another process moved what its log has into it, or something else
            if (problem := _damage(self._real)) is not None:
                return f"was overwritten ({problem})"
            self._changed_at = status.st_mtime_ns
        for end, inode in self._side_files.items():
            if (now := _inode(self._beside(end))) != inode:
                return f"has lost its log ({self._real.name}{end} was {'removed' if now is None else 'replaced'})"
        return None

    def written(self) -> None:
        """Take the size that the file has after a transaction of this process: only others make it smaller by surprise."""
        with contextlib.suppress(OSError):
            status = self._real.stat()
            self._size, self._changed_at = status.st_size, status.st_mtime_ns
        if len(self._side_files) < len(_SIDE_FILES):
            self._side_files = {end: inode for end in _SIDE_FILES if (inode := _inode(self._beside(end))) is not None}

    def write_anew(self, connection: Transaction, lock: StoreLock) -> Path | None:
        """Put a copy of all that the connection has in the place of the file; return where a foreign file was moved to.

        The connection has to be closed afterwards: it still has the former file.

        Raises:
            StoreDamaged: the connection does not have the whole content any more.
            StoreError: another gateway has the place of the file by now, or its file system is gone.
            OSError, SqliteError: the copy cannot be written.
        """
        self._check_file_system()
        self._real.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire_folder()
        new = self._beside(".put-back")
        for end in ("", "-journal", *_SIDE_FILES):
            Path(f"{new}{end}").unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            _copy(connection, new)
            descriptor = lock.lock_new(new)
            try:
                os.fsync(descriptor)
                kept = self._move_foreign_file_away()
                new.replace(self._real)
            except BaseException:
                os.close(descriptor)
                raise
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        lock.use(descriptor)
        sync_folder(self._real.parent)
        return kept

    def remove_log(self) -> None:
        """Remove what the former file has left of its log, once its connection is closed."""
        for end, inode in self._side_files.items():
            if _inode(self._beside(end)) == inode:
                self._beside(end).unlink(missing_ok=True)

    def _check_file_system(self) -> None:
        """Refuse to write to another file system than the one on which the store was: a volume that is not mounted any more."""
        folder = next(folder for folder in self._real.parents if folder.exists())
        if folder.stat().st_dev != self._folder_device:
            raise StoreError(f"the file system of {self._real} is not mounted any more")

    def _move_foreign_file_away(self) -> Path | None:
        now = _inode(self._real)
        if now is None or now == self._inode:
            return None
        kept = self._beside(f".replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        self._real.rename(kept)
        for end in _SIDE_FILES:
            if _inode(self._beside(end)) not in (None, self._side_files.get(end)):
                self._beside(end).rename(f"{kept}{end}")
        return kept

    def _beside(self, end: str) -> Path:
        return self._real.with_name(f"{self._real.name}{end}")


def _damage(file: Path) -> str | None:
    """Return what is wrong with the content of a file, seen by a connection that has read nothing of it yet."""
    try:
        with contextlib.closing(connect_reader(file)) as fresh:
            if file.stat().st_size > MOST_CHECKED_BYTES:
                fresh.execute("SELECT COUNT(*) FROM gateway").fetchone()
                return None
            problem = str(fresh.execute("PRAGMA quick_check(1)").fetchone()[0])
    except SqliteError as error:
        return str(error) if is_damage(error) else None
    return None if problem == "ok" else problem


def _copy(connection: Transaction, new: Path) -> None:
    with contextlib.closing(connect(new)) as copy:
        connection.backup(copy)
        if (problem := copy.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise StoreDamaged(f"its content is damaged, too: {problem}")


def _inode(file: Path) -> _Inode | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return _Inode(status.st_dev, status.st_ino)
