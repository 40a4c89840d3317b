"""Lock the store for one gateway at a time, by the identity of its file and not by its path.

Two locks. One is on a file beside the store, `gateway.sqlite3.lock`, under the store's real path: a symlink, a path with `..` and
a bind mount of the folder meet it. The other is on the file of the store itself, for what has another path and is the same file:
a hard link, or a bind mount of the file alone. It is an open file description lock on one byte far behind those that SQLite
locks, since a lock of the process would be dropped whenever SQLite closes the file. On NFS both locks hold between machines as
far as the server keeps locks at all; SQLite's own do not, so a store on NFS stays one that only one machine may use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.errors import StoreError

LOCKED_BYTE: Final = 1 << 62
"""Behind every byte that SQLite reads, writes or locks."""

LOOKED_AT_SECONDS: Final = 0.5
"""A command that looks whether a gateway runs holds the lock for an instant."""

_FLOCK: Final = "hhqqi4x"
"""`struct flock` of Linux: type, whence, start, length, process; a lock of this kind has no process."""

_UNSUPPORTED: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP))
"""What file systems and kernels without such locks answer: then the lock beside the store is the only one."""


def real_path(path: Path) -> Path:
    """Return the path of the store without symlinks, which is the one by which SQLite names its log files."""
    return Path(os.path.realpath(path))


def lock_file(path: Path) -> Path:
    """Return the file beside the store that its gateway locks."""
    real = real_path(path)
    return real.with_name(f"{real.name}.lock")


class StoreLock:
    """The locks that one gateway holds on its store. May block for a moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside: int | None = None
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds the locks."""
        return self._beside is not None

    def has(self, path: Path) -> bool:
        """Return whether the file of this path is the one that is locked."""
        return self._file is not None and _is_at(path, os.fstat(self._file))

    def acquire(self) -> None:
        """Lock the store, which has to exist as a file.

        Raises:
            StoreError: another gateway has it.
            OSError: the files cannot be opened.
        """
        self.acquire_folder()
        self.use(self.lock_new(self._path))

    def acquire_folder(self) -> None:
        """Lock the file beside the store, again if somebody has removed it.

        Raises:
            StoreError: another gateway has it.
            OSError: the file cannot be opened.
        """
        beside = lock_file(self._path)
        if self._beside is not None and _is_at(beside, os.fstat(self._beside)):
            return
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock_within(descriptor, LOOKED_AT_SECONDS):
            holder = os.read(descriptor, 32).decode(errors="replace") or "unknown"
            os.close(descriptor)
            raise StoreError(f"{self._path} is in use by another gateway (pid {holder}). Stop that gateway first")
        if self._beside is not None:
            os.close(self._beside)
        self._beside = descriptor
        with contextlib.suppress(OSError):  # a full disk has no room for the number, which only helps a person
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def lock_new(self, file: Path) -> int:
        """Lock a file that is, or is about to be, the store, and return its descriptor for `use`.

        Raises:
            StoreError: another gateway has it.
            OSError: the file cannot be opened.
        """
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        try:
            is_locked = _lock_byte(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if not is_locked:
            os.close(descriptor)
            raise StoreError(
                f"{self._path} is in use by another gateway, under another name: it is a hard link or a bind mount of that"
                " gateway's store. Give this gateway a store of its own: [store] path"
            )
        return descriptor

    def use(self, descriptor: int) -> None:
        """Keep the lock on this file from now on, and release that on the former one."""
        if self._file is not None:
            os.close(self._file)
        self._file = descriptor

    def release(self) -> None:
        """Release the locks. SQLite must have closed the file before: to close it here would drop SQLite's locks."""
        for descriptor in (self._file, self._beside):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._beside = None


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Keep every other gateway off the store while its file is exchanged.

    Raises:
        StoreError: another gateway has it, or it cannot be locked.
    """
    lock = StoreLock(path)
    try:
        lock.acquire_folder()
    except OSError as error:
        fix = "Name a file in a folder that the gateway may write to: [store] path"
        raise StoreError(f"{path}: {error.strerror}. {fix}") from error
    try:
        yield
    finally:
        lock.release()


def is_in_use(path: Path) -> bool:
    """Return whether a gateway works on the store at this moment, under whatever name."""
    return _is_held_beside(path) or _is_file_locked(path)


def refuse_other_name(path: Path) -> None:
    """Refuse a path that is another name of a store in use: SQLite would keep a second log for it and damage the file.

    Raises:
        StoreError: the file is in use under another name.
    """
    if not _is_held_beside(path) and _is_file_locked(path):
        raise StoreError(
            f"{path} is a hard link or a bind mount of the store of a running gateway. Name the store by that gateway's path"
        )


def _is_held_beside(path: Path) -> bool:
    try:
        descriptor = os.open(lock_file(path), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # another user's, who may be running the gateway
    with _closing(descriptor):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_file_locked(path: Path) -> bool:
    """Return whether a gateway has locked this file. Not for a process that has it open: see `StoreLock.release`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # missing, or of another user: whoever opens it next says so
        return False
    with _closing(descriptor):
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _byte(fcntl.F_WRLCK))
        except OSError:
            return False
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _lock_within(descriptor: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(seconds / 50)
        else:
            return True


def _lock_byte(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _byte(fcntl.F_WRLCK))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        if error.errno in _UNSUPPORTED:
            return True
        raise
    return True


def _byte(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, LOCKED_BYTE, 1, 0)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)
