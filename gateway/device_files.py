"""Check serial port files before they are opened: existence, permissions, the process that has one open, a better name. Pure.

For every adapter with a serial port. Ports are not opened: that raises DTR, and some devices then restart.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.models import Finding

BY_ID = Path("/dev/serial/by-id")
PROCESSES = Path("/proc")
MAX_NAMES_SHOWN = 3

_NAMED_BY_PLUGGING_ORDER = re.compile(r"/dev/tty(USB|ACM)\d+")
_GATEWAY_COMMAND = re.compile(r"(^|[/\0])xyte-gateway\0")
"""The command line of a process that is a gateway."""
_CONTAINER_MARKERS = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUser:
    """The user and groups of a process, which decide about access to device files."""

    user_id: int
    name: str
    groups: frozenset[int]
    """The groups of this process."""
    listed_in: frozenset[int] = frozenset()
    """The groups that the system now lists for the user, also those that were added after this process started."""
    is_in_container: bool = False

    @classmethod
    def current(cls) -> Self:
        """Return the user of this process."""
        number = os.geteuid()
        try:
            name = pwd.getpwuid(number).pw_name
        except KeyError:  # containers run as numbers
            name = str(number)
        return cls(
            user_id=number,
            name=name,
            groups=frozenset({os.getegid(), *os.getgroups()}),
            listed_in=frozenset(group.gr_gid for group in grp.getgrall() if name in group.gr_mem),
            is_in_container=is_in_container(),
        )


def is_in_container() -> bool:
    """Whether this process seems to run in a container."""
    return any(sign.exists() for sign in _CONTAINER_MARKERS) or "KUBERNETES_SERVICE_HOST" in os.environ


def examine_port(
    path: str, *, for_config: bool = True, has_name: bool = True, by_id: Path = BY_ID, processes: Path = PROCESSES
) -> Iterator[Finding]:
    """Yield findings about a serial port: whether it can be used, and a better name for it in the config.

    Args:
        path: the port.
        for_config: the config contains exactly this name; else a pattern matches it.
        has_name: its bus has a configured name; else the port is its name, and part of the identity of devices without their own.
        by_id: the folder of the links to ports that are named after their adapters.
        processes: the folder in which the system lists its processes.
    """
    what = f"port {path}"
    try:
        device = os.stat(path)  # noqa: PTH116 - its result is compared below
    except OSError as error:
        yield Finding.fault(what, _missing_reason(path, error), _alternatives(path, by_id))
        return
    if not stat.S_ISCHR(device.st_mode):
        yield Finding.fault(
            what, f"is no serial port but a {'folder' if stat.S_ISDIR(device.st_mode) else 'file'}", _alternatives(path, by_id)
        )
        return
    if not may_use(path):
        yield Finding.fault(what, *why_denied(path, device.st_mode, device.st_uid, device.st_gid, ProcessUser.current()))
    elif (holder := holder_of(path, processes=processes)) is None:
        yield Finding.fine(what, "exists, this user may use it, and no program has it open")
    elif holder.is_gateway:
        yield Finding.fine(what, f"is in use by {holder}, as expected")
    else:
        fix = f"end that program: kill {holder.process_id}; or remove the port from the config"
        yield Finding.fault(what, f"is in use by {holder}: two programs on one port get each other's answers", fix)
    if for_config and (link := better_name(path, by_id)) is not None:
        meaning = "is named by the order in which adapters were plugged in: after a restart it may be another port"
        keep = "" if has_name else f'; with name = "{path}" beside it, devices without their own identity stay the same children'
        yield Finding.warning(f"name of {path}", meaning, f'port = "{link}" # instead of "{path}"{keep}')


def may_use(path: str) -> bool:
    """Whether this process may read and write it, by its mode, its access list and the rules of a container."""
    return os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def why_denied(path: str, mode: int, owner: int, group: int, user: ProcessUser) -> tuple[str, str]:
    """Return why access to a device file is denied, and how to fix that.

    Args:
        path: the device file.
        mode: its mode.
        owner: the user that owns it.
        group: the group that owns it.
        user: the user who may not use it.
    """
    name = group_name(group)
    if is_allowed(mode, owner, group, user):
        if user.is_in_container:
            return "exists, but this container may not use it", _container_device(path, "pass it in")
        return "its mode would allow it, but a rule of the system forbids it", f"in the systemd unit: DeviceAllow={path} rw"
    if group == 0 or mode & 0o060 != 0o060:
        meaning = f"belongs to {owner}:{name} with mode {stat.S_IMODE(mode):04o}, so the user {user.name} may not use it"
        return meaning, f"sudo chgrp dialout {path} && sudo chmod 660 {path}"
    meaning = f"belongs to the group {name}, which the user {user.name} is not in"
    if user.is_in_container:
        meaning = f"belongs to the group {name}, which this container's user {user.name} is not in"
        return meaning, f'docker run --group-add {group}, or in compose: group_add: ["{group}"]'
    if group in user.listed_in:
        meaning = f"belongs to the group {name}, to which the user {user.name} was added after this program started"
        return meaning, "restart it: systemctl restart xyte-gateway; at a terminal, log in again"
    return meaning, f"sudo usermod -aG {name} {user.name}, then log in again"


def is_allowed(mode: int, owner: int, group: int, user: ProcessUser) -> bool:
    """Whether the mode of a file alone lets this user read and write it."""
    if user.user_id in (0, owner):
        return user.user_id == 0 or mode & 0o600 == 0o600
    return mode & 0o060 == 0o060 if group in user.groups else mode & 0o006 == 0o006


def group_name(group: int) -> str:
    """Return the name of a group, or its number if it has no name."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def better_name(path: str, by_id: Path = BY_ID) -> str | None:
    """Return the link to a port that is named after its adapter; `None` if there is none or the name is stable already."""
    if _NAMED_BY_PLUGGING_ORDER.fullmatch(path) is None:
        return None
    return next((link for link in named_ports(by_id) if os.path.realpath(link) == os.path.realpath(path)), None)


def named_ports(by_id: Path = BY_ID) -> list[str]:
    """Return the links to ports that are named after their adapters."""
    try:
        return sorted(str(link) for link in by_id.iterdir())
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device file open."""

    process_id: int
    command: str
    is_gateway: bool

    def __str__(self) -> str:
        """Return a text such as `this gateway` or `minicom (process 4711)`."""
        return "this gateway" if self.process_id == os.getpid() else f"{self.command} (process {self.process_id})"


def holder_of(path: str, *, processes: Path = PROCESSES) -> Holder | None:
    """Return the process that has this device file open; `None` when none is visible.

    Processes of other users, and those outside of a container, cannot be seen.
    """
    try:
        device = os.stat(path)  # noqa: PTH116 - its result is compared below
    except OSError:
        return None
    if not stat.S_ISCHR(device.st_mode):
        return None
    name = os.path.realpath(path)
    return next((_holder(process) for process in _processes(processes) if _has_open(process, name, device)), None)


def _missing_reason(path: str, error: OSError) -> str:
    if Path(path).is_symlink():
        return f"points to {os.path.realpath(path)}, which does not exist"
    return "there is no such port" if isinstance(error, FileNotFoundError) else f"cannot be accessed: {error.strerror}"


def _alternatives(path: str, by_id: Path) -> str:
    existing = named_ports(by_id)
    if not existing:
        if is_in_container():
            return _container_device(path, "plug in its adapter, and pass the port into this container")
        return "plug in its adapter; `ls -l /dev/serial/by-id` then shows its name"
    shown = " or ".join(f'"{link}"' for link in existing[:MAX_NAMES_SHOWN])
    return f"plug in its adapter, or name a port that exists: port = {shown}"


def _container_device(path: str, what: str) -> str:
    return f'{what}: docker run --device={path}, or in compose: devices: ["{path}:{path}"]'


def _processes(processes: Path) -> Iterator[Path]:
    """Return the folders of all processes, this one first: it is the most likely holder."""
    own = str(os.getpid())
    try:
        others = [entry.name for entry in os.scandir(processes) if entry.name.isdecimal() and entry.name != own]
    except OSError:
        others = []
    return (processes / pid for pid in (own, *others))


def _has_open(process: Path, name: str, device: os.stat_result) -> bool:
    try:
        with os.scandir(process / "fd") as files:
            return any(_is(entry, name, device) for entry in files)
    except OSError:  # it has ended, or belongs to another user
        return False


def _is(entry: os.DirEntry[str], name: str, device: os.stat_result) -> bool:
    try:
        if os.readlink(entry.path) != name:  # noqa: PTH115 - there may be a hundred thousand of them
            return False
        return os.path.samestat(os.stat(entry.path), device)  # noqa: PTH116 - in a container, the same name may be another device
    except OSError:
        return False


def _holder(process: Path) -> Holder:
    number = int(process.name)
    try:
        command = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        line = (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        command, line = "a program", ""
    return Holder(number, command, is_gateway=number == os.getpid() or _GATEWAY_COMMAND.search(line) is not None)
