"""Create the token of the status page, show it, and store its hash beside the store.

The token is 256 random bits, so a plain hash of it gives nothing away; only that hash is stored. The token is shown after its
hash is safe on the disk under another name, and before the hash takes effect: so the hash in effect is always that of a token
that was shown, whenever the process is killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import StoreError

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # even where [log] asks for errors only: the token is shown once, and would be lost otherwise


def new_token() -> str:
    """Return a new token: 256 random bits in characters that need no quoting in a URL, a shell or a form."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the hash of a token, which is all that is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token_file(store: Path) -> Path:
    """Return the file that holds the hash of the token: `status-token` beside the store."""
    return store.with_name("status-token")


class PageToken:
    """The token of the page as its file has it, also after `xyte-gateway token` has made another."""

    def __init__(self, file: Path, digest: str, *, created: str | None = None) -> None:
        self._file = file
        self._digest = digest
        self._stamp = _stamp_of(file)
        self.created = created
        """The token itself in the run that created it, which is the only one that knows it."""

    def digest(self) -> str:
        """Return the hash of the token; that of before, while the file is missing or damaged."""
        stamp = _stamp_of(self._file)
        if stamp != self._stamp:
            self._stamp = stamp
            with suppress(StoreError):
                changed = read_digest(self._file)
                if changed is not None and changed != self._digest:
                    self._digest = changed
                    log.warning("the status page has a new token; everybody has to sign in again")
        return self._digest

    def put_back(self) -> None:
        """Write the hash anew if its file is gone, as it is when somebody removes the folder of the store. May block."""
        try:
            with _folder_locked(self._file.parent) as folder_fd:
                if _stamp_of(self._file) is None:
                    _replace(self._file, self._digest, folder_fd)
                    log.warning("%s was gone; the token of the status page is stored again and stays the same", self._file)
        except OSError as error:
            log.warning(
                "%s is gone and cannot be written: %s. Until the gateway stops, the token stays valid", self._file, error.strerror
            )


def load_or_create_token(file: Path) -> PageToken:
    """Return the token of this file; make and log one if there is none, or if the file is damaged.

    A token that cannot be stored is valid for this run only: the page is not worth a gateway that does not run.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stored = read_digest(file)
        if stored is not None:
            return PageToken(file, stored)
        token = make_token(file, lambda token: _log_stored(token, file))
    except (OSError, StoreError) as error:
        log.warning("the token of the status page cannot be stored: %s", error)
        token = new_token()
        log.warning("status page token, valid until the gateway stops: %s", token)
    return PageToken(file, digest_of(token), created=token)


def read_digest(file: Path) -> str | None:
    """Return the hash in this file; `None` if there is no file, or nothing in it that is a hash.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        text = file.read_bytes().decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def make_token(file: Path, show: Callable[[str], None]) -> str:
    """Make a token, show it, and let its hash take the place of the former one.

    Raises:
        StoreError: the hash cannot be stored. The former token, if any, remains valid.
    """
    token = new_token()
    try:
        with _folder_locked(file.parent) as folder_fd:
            _replace(file, digest_of(token), folder_fd, when_written=lambda: show(token))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    return token


def _replace(file: Path, digest: str, folder_fd: int, *, when_written: Callable[[], None] = lambda: None) -> None:
    """Let a hash take the place of the former one, if any.

    Raises:
        OSError: it cannot be stored.
    """
    fresh = file.with_name(f"{file.name}.new")
    try:
        _write(fresh, digest + "\n", like=folder_fd)
        when_written()
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    os.fsync(folder_fd)


def _log_stored(token: str, file: Path) -> None:
    log.warning(
        "status page token, shown only this once: %s (a new one: xyte-gateway token; its hash is in %s)",
        *(token, file),
    )


@contextmanager
def _folder_locked(folder: Path) -> Iterator[int]:
    """Open a folder for the time in which no other process may change the token in it."""
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # not every file system locks, and two at once is a rare case
            fcntl.flock(folder_fd, fcntl.LOCK_EX)
        yield folder_fd
    finally:
        os.close(folder_fd)


def _write(file: Path, text: str, *, like: int) -> None:
    """Write a file to the disk that only the owner of the folder `like` may read, also where root writes it."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
        if os.geteuid() == 0:
            owner = os.fstat(like)
            os.fchown(fd, owner.st_uid, owner.st_gid)
        content = text.encode("ascii")
        if os.write(fd, content) != len(content):
            raise OSError(None, "the disk took only a part of it")
        os.fsync(fd)
    finally:
        os.close(fd)


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    """Return what changes when the file is replaced or written; `None` if it cannot be found."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
