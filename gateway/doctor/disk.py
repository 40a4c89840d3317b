"""Whether what the gateway has to keep can be kept: the store, its folder, the disk below it."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.device_files import is_in_container
from gateway.doctor.check_runner import aside
from gateway.doctor.known_config import Intake
from gateway.errors import StoreError
from gateway.models import Finding
from gateway.state.record_rows import read_gateway
from gateway.state.records import GatewayRecord
from gateway.state.store import read_store

MB = 1_000_000
FEWEST_BYTES = 20 * MB
"""With less SQLite cannot move what it has."""
FEW_BYTES = 500 * MB
FEW_SHARE = 0.05
PLENTY_BYTES = 2_000 * MB
"""Of a large disk a small share is still plenty."""
FEWEST_INODES = 20
FEW_INODES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is left on a disk."""

    free_bytes: int
    all_bytes: int
    free_inodes: int
    all_inodes: int
    """0 where the file system has no such limit."""
    is_read_only: bool


async def store_findings(intake: Intake) -> AsyncIterator[Finding]:
    """Yield whether the store can be used. It is neither made nor changed."""
    path = _store_path(intake)
    if path is None:
        yield Finding.not_looked_at("store", "where it lies stands in the config, which cannot be understood")
        return
    for finding in await aside(lambda: list(_of_store(path))):
        yield finding if intake.is_given else _of_no_config(finding)


async def disk_findings(intake: Intake) -> AsyncIterator[Finding]:
    """Yield how much room is left where the store is."""
    path = _store_path(intake)
    if path is not None:
        folder = nearest_folder(path)
        yield judged(folder, await aside(lambda: _room_at(folder)))


def stored_gateway(path: Path) -> GatewayRecord | None:
    """Return what the store knows of the gateway; `None` when there is no store, or none that can be read."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return None
        return read_store(path, read_gateway)
    except (StoreError, OSError):  # the store's own finding says so
        return None


def judged(folder: Path, room: Room) -> Finding:
    """Return what this room means."""
    if room.is_read_only:
        mount = _mount_point(folder)
        fix = f"mount a volume: docker run -v xyte-gateway:{folder}" if is_in_container() else f"sudo mount -o remount,rw {mount}"
        return Finding.fault("disk", f"the file system {mount} is read-only: nothing can be kept", fix)
    share = room.free_bytes / room.all_bytes if room.all_bytes else 0.0
    left = f"{_amount(room.free_bytes)} ({100 * share:.0f} %) free at {folder}"
    fix = f"make room: `sudo du -xh -d 1 {_mount_point(folder)} | sort -h` shows what takes it"
    if room.free_bytes < FEWEST_BYTES:
        return Finding.fault("disk", f"{left}: nothing more can be kept", fix)
    if room.all_inodes and room.free_inodes < FEWEST_INODES:
        return Finding.fault("disk", f"{room.free_inodes} inodes free at {folder}: no file can be made", _fewer_files(folder))
    if room.free_bytes < FEW_BYTES or (share < FEW_SHARE and room.free_bytes < PLENTY_BYTES):
        return Finding.warning("disk", f"{left}: it is full before long", fix)
    if room.all_inodes and room.free_inodes < FEW_INODES:
        return Finding.warning("disk", f"{left}, but only {room.free_inodes} inodes", _fewer_files(folder))
    return Finding.fine("disk", left)


def nearest_folder(path: Path) -> Path:
    """Return the folder that there is already on the way to this file, as far as this user may look."""
    return next(folder for folder in path.absolute().parents if _is_folder(folder))


def _is_folder(path: Path) -> bool:
    with suppress(PermissionError):
        return path.is_dir()
    return False


def _of_store(path: Path) -> Iterator[Finding]:
    folder, user = nearest_folder(path), _name_of(os.geteuid())
    if not _may_write(folder):
        fix = f"sudo install -d -m 700 -o {user} {path.absolute().parent}; or name another file: [store] path"
        if path.absolute().parent == folder:
            fix = f"sudo chown {user} {folder}; or name another file: [store] path"
        yield Finding.fault("store", f"the user {user} may not write into {folder}, where {path} has to lie", fix)
        return
    if not path.exists():
        yield Finding.fine("store", f"{path} is made at the first start")
        return
    found = path.stat()
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        owner = _name_of(found.st_uid)
        fix = f"sudo -u {owner} xyte-gateway doctor, if the gateway runs as {owner}; else: sudo chown {user} {path}"
        yield Finding.fault("store", f"{path} belongs to {owner}: the user {user} may not use it", fix)
        return
    if found.st_uid != os.geteuid() and os.geteuid() == 0:
        meaning = f"this is root, and the store belongs to {_name_of(found.st_uid)}: what root may do was looked at"
        yield Finding.warning("user", meaning, f"sudo -u {_name_of(found.st_uid)} xyte-gateway doctor")
    if stat.S_IMODE(found.st_mode) & 0o077:
        meaning = f"others may use {path} (mode {stat.S_IMODE(found.st_mode):04o}), and access keys are in it"
        yield Finding.warning("store file", meaning, f"chmod 600 {path}")
    yield _of_content(path, found.st_size)


def _of_content(path: Path, size: int) -> Finding:
    if size == 0:
        return Finding.fine("store", f"{path} is empty yet")
    try:
        gateway = read_store(path, read_gateway)
    except StoreError as error:
        fix = (
            "update the gateway"
            if "newer gateway" in str(error)
            else f"put a backup in its place, or start anew: mv {path} {path}.bad"
        )
        return Finding.fault("store", str(error).split(". ")[0], fix)
    device = None if gateway is None or gateway.credentials is None else gateway.credentials.device_id
    return Finding.fine(
        "store", f"{path} can be used; the gateway is {f'registered as {device}' if device else 'not registered yet'}"
    )


def _of_no_config(finding: Finding) -> Finding:
    """Return a finding on the default place, which nobody has asked for yet: never a fault."""
    return finding if finding.fix is None else Finding.warning(finding.what, finding.meaning, finding.fix)


def _store_path(intake: Intake) -> Path | None:
    return intake.settings.store.path if intake.settings is not None and intake.knows("store.path") else None


def _room_at(folder: Path) -> Room:
    told = os.statvfs(folder)
    return Room(
        free_bytes=told.f_bavail * told.f_frsize,
        all_bytes=told.f_blocks * told.f_frsize,
        free_inodes=told.f_favail,
        all_inodes=told.f_files,
        is_read_only=bool(told.f_flag & os.ST_RDONLY),
    )


def _may_write(folder: Path) -> bool:
    """Whether this user may; that the file system is read-only is told of the disk."""
    told = os.statvfs(folder)
    return bool(told.f_flag & os.ST_RDONLY) or os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def _mount_point(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.is_mount())


def _fewer_files(folder: Path) -> str:
    return f"remove files: `sudo du -x --inodes -d 1 {_mount_point(folder)} | sort -n` shows where they are"


def _amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
