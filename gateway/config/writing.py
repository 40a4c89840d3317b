"""Write the configuration and the hardware key for good or not at all, keep a former file, and say why a folder refuses."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.device_files import is_in_container

PRIVATE: Final = 0o600


def write_file(file: Path, text: str, *, mode: int = PRIVATE, owner: tuple[int, int] | None = None) -> None:
    """Put a text in the place of a file in one step: after a kill or a full disk the former file is there, or the new one.

    Args:
        file: the file; its folder is made if it is missing.
        text: its content.
        mode: its access rights.
        owner: the ids of its user and group, as far as this process may give it to them; by default its own.

    Raises:
        OSError: it cannot be written; nothing has changed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = unwritten_file(file)
    try:
        _write_new(fresh, text, mode=mode, owner=owner)
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def unwritten_file(file: Path) -> Path:
    """Return the name of a file that is written beside another, to take its place."""
    return file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")


def replace_file(file: Path, text: str) -> None:
    """Put a text in the place of a file as `write_file` does, and keep the former one, its access rights and its owner.

    Raises:
        OSError: it cannot be written; nothing has changed.
    """
    real = file.resolve()
    keep_copy(real)
    _write_as(real, text)


def swap_with_copy(file: Path) -> None:
    """Put the copy that `keep_copy` has kept in the place of the file, and keep what was there in its place.

    A kill in between leaves the former text in both.

    Raises:
        OSError: there is no copy, or it cannot be written.
    """
    real = file.resolve()
    undone = _text_of(real)
    _write_as(real, _text_of(copy_of(real)))
    _write_as(copy_of(real), undone)


def _text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _write_as(file: Path, text: str) -> None:
    state = file.stat()
    write_file(file, text, mode=mode_for(file), owner=(state.st_uid, state.st_gid))


def keep_copy(file: Path) -> Path:
    """Keep the file as it is under another name, `gateway.toml.before`, and return that name. An older copy is replaced.

    Raises:
        OSError: it cannot be copied.
    """
    copy = copy_of(file)
    write_file(copy, _text_of(file))
    return copy


def copy_of(file: Path) -> Path:
    """Return the name under which a former file is kept."""
    return file.with_name(f"{file.name}.before")


def mode_for(file: Path) -> int:
    """Return the access rights for a file that is replaced: those it has, without any for strangers."""
    try:
        return file.stat().st_mode & 0o770 or PRIVATE
    except OSError:
        return PRIVATE


def why_unwritable(file: Path) -> tuple[str, str] | None:
    """Return why a file cannot be written in its folder, and what would change that; `None` if it can be.

    It is tried: rights alone say nothing of a mount that is read-only.
    """
    folder = next(one for one in file.parents if one.exists())
    probe = folder / f".{secrets.token_hex(6)}.probe"
    try:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
    except OSError as error:
        return f"{folder} cannot be written to: {error.strerror}", _fix_for(folder, error)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    if str(file.absolute()) in _mount_points():  # another file cannot take its place
        wrong = f"{file} is mounted as a single file, which cannot be replaced as a whole"
        return wrong, f"In docker-compose.yml, mount its folder instead: ./config:{file.parent}"
    return None


def _mount_points() -> set[str]:
    """Return the paths at which something is mounted, as the kernel lists them (proc(5), mountinfo)."""
    with suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return {place for line in lines for place in line.split()[4:5]}
    return set()


def _fix_for(folder: Path, error: OSError) -> str:
    if error.errno == errno.EROFS and is_in_container():
        return (
            f"It is mounted read-only. In docker-compose.yml, remove :ro from the line that ends in :{folder}:ro, and run docker"
            " compose up --detach; or leave XYTE_GATEWAY_FOLDER out of .env: the configuration is then in a volume"
        )
    if error.errno == errno.EROFS:
        return "Its file system is read-only. Mount it writable, or name another file with --config"
    if error.errno == errno.ENOTDIR:
        return "It is a file, no folder. Name another place with --config"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Let user {os.geteuid()} write there, as with chown {os.geteuid()} {folder}, or name another place with --config"
    return "Make room there, or name another place with --config"


def _write_new(file: Path, text: str, *, mode: int, owner: tuple[int, int] | None) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
        if owner is not None and owner != (os.geteuid(), os.getegid()):
            _give_to(out.fileno(), *owner)
        os.fchmod(out.fileno(), mode)


def _give_to(descriptor: int, user: int, group: int) -> None:
    """Give a file to its former owner; only root may do that, others may keep a group that they are in."""
    for wanted in ((user, group), (-1, group)):
        with suppress(OSError):
            os.fchown(descriptor, *wanted)
            return


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # the file is there; only a power cut in this second could lose it
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
