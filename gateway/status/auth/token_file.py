"""Create the tokens of the status page, show each once, and store their hashes beside the store.

A token is shown after its hash is safe on the disk under another name, and before the hash takes effect: so each hash in effect
is always that of a token that was shown, whenever the process is killed.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from gateway.errors import StoreError
from gateway.status.auth.tokens import (
    DEFAULT_NAMES,
    MOST_TOKENS,
    Role,
    Token,
    decode_tokens,
    digest_of,
    encode_tokens,
    new_token,
)

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # even where [log] asks for errors only: the token is shown once, and would be lost otherwise


def token_file(store: Path) -> Path:
    """Return the file that holds the hashes of the tokens: `status-token` beside the store."""
    return store.with_name("status-token")


class PageTokens:
    """The tokens of the page as their file has them, also after `xyte-gateway token` has made or withdrawn some."""

    def __init__(self, file: Path, tokens: tuple[Token, ...], *, created: str | None = None) -> None:
        self._file = file
        self._tokens = tokens
        self._stamp = _stamp_of(file)
        self._used: dict[str, date] = {}
        self.created = created
        """The token itself in the run that created it, which is the only one that knows it."""
        self.on_change: Callable[[str], None] = lambda text: None
        """Told in a sentence when a token was made or withdrawn."""

    def tokens(self) -> tuple[Token, ...]:
        """Return the tokens that are valid; those of before, while the file is missing or damaged."""
        stamp = _stamp_of(self._file)
        if stamp != self._stamp:
            self._stamp = stamp
            with suppress(StoreError):
                changed = read_tokens(self._file)
                if changed is not None:
                    before, self._tokens = self._tokens, changed
                    for text in _changes(before, changed):
                        log.warning("%s", text)
                        self.on_change(text)
        return self._tokens

    def note_use(self, token: Token) -> None:
        """Note that a token was used today; `store_uses` stores it."""
        today = datetime.now(UTC).date()
        if token.used != today:
            self._used[token.digest] = today

    def store_uses(self) -> None:
        """Store on which days the tokens were used, where that has changed: once a day for each. May block."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            with _folder_locked(self._file.parent) as folder_fd:
                stored = read_tokens(self._file)
                updated = tuple(replace(one, used=used.get(one.digest, one.used)) for one in stored or ())
                if updated != (stored or ()):
                    _replace(self._file, updated, folder_fd)
        except (OSError, StoreError):
            self._used = used | self._used  # the days are a help for a person, and no reason for a line in the log each minute

    def put_back(self) -> None:
        """Write the hashes anew if their file is gone, as it is when somebody removes the folder of the store. May block."""
        try:
            with _folder_locked(self._file.parent) as folder_fd:
                if _stamp_of(self._file) is None:
                    _replace(self._file, self._tokens, folder_fd)
                    log.warning("%s was gone; the tokens of the status page are stored again and stay the same", self._file)
        except OSError as error:
            log.warning(
                "%s is gone and cannot be written: %s. Until the gateway stops, the tokens stay valid", self._file, error.strerror
            )


def load_or_create_token(file: Path) -> PageTokens:
    """Return the tokens of this file; make and log one if there is no file, or if it is damaged.

    A token that cannot be stored is valid for this run only: the page is not worth a gateway that does not run.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stored = read_tokens(file)
        if stored is not None:
            return PageTokens(file, stored)
        made = make_token(file, lambda token: _log_stored(token, file))
        return PageTokens(file, read_tokens(file) or (_first(made),), created=made)
    except (OSError, StoreError) as error:
        log.warning("the token of the status page cannot be stored: %s", error)
        token = new_token()
        log.warning("status page token, valid until the gateway stops: %s", token)
    return PageTokens(file, (_first(token),), created=token)


def read_tokens(file: Path) -> tuple[Token, ...] | None:
    """Return the tokens in this file; `None` if there is no file, or it is damaged.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        return decode_tokens(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error


def make_token(
    file: Path, show: Callable[[str], None], *, role: Role = Role.ADMINISTER, name: str | None = None, may_replace: bool = True
) -> str:
    """Make a token, show it, and let its hash take the place of the one of that name, if any.

    Args:
        file: the file with the hashes.
        show: shows the token, once its hash is on the disk and before it takes effect.
        role: what its holder may do.
        name: its name; `None` for the default one of its role.
        may_replace: replace a token of that name.

    Raises:
        StoreError: the hash cannot be stored, or there is a token of that name. The tokens of before remain valid.
    """
    token, name = new_token(), DEFAULT_NAMES[role] if name is None else name
    made = Token(name=name, role=role, digest=digest_of(token), made=datetime.now(UTC).date())
    try:
        with _folder_locked(file.parent) as folder_fd:
            stored = read_tokens(file) or ()
            if not may_replace and any(one.name == name for one in stored):
                raise StoreError(f"there is a token {name} already; --replace withdraws it")
            others = tuple(one for one in stored if one.name != name)
            if len(others) >= MOST_TOKENS:
                raise StoreError(f"there are {MOST_TOKENS} tokens already; withdraw those that nobody uses")
            _replace(file, (*others, made), folder_fd, when_written=lambda: show(token))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    return token


def withdraw_token(file: Path, name: str) -> Token:
    """Make the token of this name invalid, and return it.

    Raises:
        StoreError: there is none of that name, or it cannot be stored; then it remains valid.
    """
    try:
        with _folder_locked(file.parent) as folder_fd:
            stored = read_tokens(file) or ()
            withdrawn = next((one for one in stored if one.name == name), None)
            if withdrawn is None:
                names = ", ".join(one.name for one in stored)
                raise StoreError(f"there is no token {name}; " + (f"there are: {names}" if names else "there is none at all"))
            _replace(file, tuple(one for one in stored if one is not withdrawn), folder_fd)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    return withdrawn


def _first(token: str) -> Token:
    return Token(name=DEFAULT_NAMES[Role.ADMINISTER], role=Role.ADMINISTER, digest=digest_of(token))


def _changes(before: Iterable[Token], after: Iterable[Token]) -> Iterator[str]:
    """Yield what was withdrawn and what was made, as sentences."""
    old, new = ({one.digest: one for one in tokens} for tokens in (before, after))
    for digest in old.keys() - new.keys():
        yield f"the token {old[digest].name} of the status page is not valid any more; who signed in with it is signed out"
    for digest in new.keys() - old.keys():
        yield f"the status page has a new token: {new[digest].name}, which may {new[digest].role}"


def _replace(file: Path, tokens: Sequence[Token], folder_fd: int, *, when_written: Callable[[], None] = lambda: None) -> None:
    """Let these tokens take the place of the former ones, if any.

    Raises:
        OSError: it cannot be stored.
    """
    fresh = file.with_name(f"{file.name}.new")
    try:
        _write(fresh, encode_tokens(tokens), like=folder_fd)
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
        content = text.encode()
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
