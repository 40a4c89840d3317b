"""Check the store, its folder and the disk that they are on."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.device_files import is_in_container
from gateway.doctor.check_runner import in_daemon_thread
from gateway.doctor.known_config import KnownConfig
from gateway.errors import StoreError, StoreNewer
from gateway.models import Finding
from gateway.state.flash_ledger import read_days, use_of
from gateway.state.record_rows import read_gateway
from gateway.state.records import GatewayRecord
from gateway.state.recovery.hardware_question import COMMANDS, read_question
from gateway.state.store import read_store

MB = 1_000_000
FEWEST_BYTES = 20 * MB
"""With less, SQLite cannot move its own data."""
FEW_BYTES = 500 * MB
FEW_SHARE = 0.05
PLENTY_BYTES = 2_000 * MB
"""On a large disk, a small share is still enough."""
FEW_YEARS = 2.0
FEWEST_INODES = 20
FEW_INODES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """The free space of a disk."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    """0 if the file system has no such limit."""
    is_read_only: bool


async def store_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield whether the store can be used, without creating or changing it."""
    path = store_path(known)
    if path is None:
        yield Finding.not_looked_at("store", "its path is in the config, which cannot be read")
        return
    for finding in await in_daemon_thread(lambda: list(_findings_of_store(path))):
        yield finding if known.is_given else _without_config(finding)


async def disk_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield the free space on the disk of the store."""
    path = store_path(known)
    if path is not None:
        folder = nearest_folder(path)
        yield disk_finding(folder, await in_daemon_thread(lambda: _space_of(folder)))
        budget = 10.0 if known.settings is None else known.settings.store.write_budget_tb
        finding = await in_daemon_thread(lambda: _wear_finding(path, budget * 1e12))
        if finding is not None:
            yield finding


def stored_gateway(path: Path) -> GatewayRecord | None:
    """Return the record of the gateway in the store; `None` when there is no store, or it cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return None
        return read_store(path, read_gateway)
    except (StoreError, OSError):  # the finding on the store reports this
        return None


def disk_finding(folder: Path, space: DiskSpace) -> Finding:
    """Return the finding on this free space."""
    if space.is_read_only:
        mount = _mount_point(folder)
        fix = f"mount a volume: docker run -v xyte-gateway:{folder}" if is_in_container() else f"sudo mount -o remount,rw {mount}"
        return Finding.fault("disk", f"the file system {mount} is read-only: nothing can be stored", fix)
    share = space.free_bytes / space.total_bytes if space.total_bytes else 0.0
    left = f"{_amount(space.free_bytes)} ({100 * share:.0f} %) free at {folder}"
    fix = f"free space: `sudo du -xh -d 1 {_mount_point(folder)} | sort -h` shows what uses it"
    if space.free_bytes < FEWEST_BYTES:
        return Finding.fault("disk", f"{left}: nothing more can be stored", fix)
    if space.total_inodes and space.free_inodes < FEWEST_INODES:
        return Finding.fault("disk", f"{space.free_inodes} inodes free at {folder}: no file can be created", _fewer_files(folder))
    if space.free_bytes < FEW_BYTES or (share < FEW_SHARE and space.free_bytes < PLENTY_BYTES):
        return Finding.warning("disk", f"{left}: it will soon be full", fix)
    if space.total_inodes and space.free_inodes < FEW_INODES:
        return Finding.warning("disk", f"{left}, but only {space.free_inodes} inodes", _fewer_files(folder))
    return Finding.fine("disk", left)


def _wear_finding(path: Path, budget_bytes: float) -> Finding | None:
    """Return how long the write budget of the disk lasts; `None` where nothing was counted yet."""
    try:
        days = read_store(path, read_days) if path.is_file() and path.stat().st_size else {}
    except (StoreError, OSError):  # an older store, or one on which there is another finding
        return None
    use = use_of(days)
    years = use.years_left(budget_bytes)
    if use.per_day is None or years is None:
        return None
    meaning = (
        f"{_amount(int(use.per_day))} a day are written to the disk; its budget of {_amount(int(budget_bytes))} lasts {years:.1f}"
        " years"
    )
    if years < FEW_YEARS:
        fix = 'write less: [store] durability = "normal", longer poll intervals; or a larger disk, and [store] write_budget_tb'
        return Finding.warning("disk wear", meaning, fix)
    return Finding.fine("disk wear", meaning)


def nearest_folder(path: Path) -> Path:
    """Return the deepest existing folder on the path to this file, as far as this user may see it."""
    return next(folder for folder in path.absolute().parents if _is_folder(folder))


def _is_folder(path: Path) -> bool:
    with suppress(PermissionError):
        return path.is_dir()
    return False


def _findings_of_store(path: Path) -> Iterator[Finding]:
    folder, user = nearest_folder(path), _name_of(os.geteuid())
    if not _is_writable(folder):
        fix = f"sudo install -d -m 700 -o {user} {path.absolute().parent}; or choose another file: [store] path"
        if path.absolute().parent == folder:
            fix = f"sudo chown {user} {folder}; or choose another file: [store] path"
        yield Finding.fault("store", f"the user {user} may not write to {folder}, which must contain {path}", fix)
        return
    if not path.exists():
        yield Finding.fine("store", f"{path} will be created at the first start")
        return
    status = path.stat()
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        owner = _name_of(status.st_uid)
        fix = f"sudo -u {owner} xyte-gateway doctor, if the gateway runs as {owner}; otherwise: sudo chown {user} {path}"
        yield Finding.fault("store", f"{path} belongs to {owner}: the user {user} may not read and write it", fix)
        return
    if status.st_uid != os.geteuid() and os.geteuid() == 0:
        meaning = f"this is root, but the store belongs to {_name_of(status.st_uid)}: the checks used the rights of root"
        yield Finding.warning("user", meaning, f"sudo -u {_name_of(status.st_uid)} xyte-gateway doctor")
    if stat.S_IMODE(status.st_mode) & 0o077:
        meaning = f"other users may open {path} (mode {stat.S_IMODE(status.st_mode):04o}), which contains access keys"
        yield Finding.warning("store file", meaning, f"chmod 600 {path}")
    yield _content_finding(path, status.st_size)
    finding = _identity_finding(path, status.st_size)
    if finding is not None:
        yield finding


def _content_finding(path: Path, size: int) -> Finding:
    if size == 0:
        return Finding.fine("store", f"{path} is still empty")
    try:
        gateway = read_store(path, read_gateway)
    except StoreError as error:
        fix = (
            "start the gateway, which goes back to its snapshot if there is one; else update it"
            if isinstance(error, StoreNewer)
            else "start the gateway, which copies what can be read into a new file; or restore a backup: xyte-gateway restore"
        )
        return Finding.fault("store", str(error).split(". ")[0], fix)
    device = None if gateway is None or gateway.credentials is None else gateway.credentials.device_id
    return Finding.fine(
        "store", f"{path} can be used; the gateway is {f'registered as {device}' if device else 'not registered yet'}"
    )


def _identity_finding(path: Path, size: int) -> Finding | None:
    """Return that the gateway waits for a person, since its store comes from another machine."""
    try:
        question = read_store(path, read_question) if size else None
    except StoreError:  # an older store, or one on which there is another finding
        return None
    if question is None or question.decision is not None:
        return None
    meaning = f"the store comes from another machine: {question.why}. Nothing goes to the cloud until a person decides"
    return Finding.fault("identity", meaning, COMMANDS)


def _without_config(finding: Finding) -> Finding:
    """Return a finding on the default path as a warning at most, since no config names it yet."""
    return finding if finding.fix is None else Finding.warning(finding.what, finding.meaning, finding.fix)


def store_path(known: KnownConfig) -> Path | None:
    """Return the file of the store; `None` where the configuration that names it cannot be read."""
    return known.settings.store.path if known.settings is not None and known.knows("store.path") else None


def _space_of(folder: Path) -> DiskSpace:
    file_system = os.statvfs(folder)
    return DiskSpace(
        free_bytes=file_system.f_bavail * file_system.f_frsize,
        total_bytes=file_system.f_blocks * file_system.f_frsize,
        free_inodes=file_system.f_favail,
        total_inodes=file_system.f_files,
        is_read_only=bool(file_system.f_flag & os.ST_RDONLY),
    )


def _is_writable(folder: Path) -> bool:
    """Whether this user may write here; the finding on the disk reports a read-only file system."""
    file_system = os.statvfs(folder)
    return bool(file_system.f_flag & os.ST_RDONLY) or os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def _mount_point(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.is_mount())


def _fewer_files(folder: Path) -> str:
    return f"delete files: `sudo du -x --inodes -d 1 {_mount_point(folder)} | sort -n` shows where they are"


def _amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
