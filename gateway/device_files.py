"""Device files, before anybody opens one: is it there, may we use it, who has it open, and what is a better name for it.

For every adapter with a serial port. A port is only looked at: to open it is felt by the device behind it, since DTR goes up and
some start anew. Nothing here waits.
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
NAMES_TOLD = 3

_IN_PLUGGING_ORDER = re.compile(r"/dev/tty(USB|ACM)\d+")
_OURS = re.compile(r"(^|[/\0])xyte-gateway\0")
"""The command line of a process that is a gateway."""
_SIGNS_OF_A_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The user that a program runs as, as far as device files care."""

    user_id: int
    user: str
    groups: frozenset[int]
    """Those that this process is in."""
    listed_in: frozenset[int] = frozenset()
    """Those that the system's list has the user in, whether or not this process was started after that."""
    is_in_container: bool = False

    @classmethod
    def here(cls) -> Self:
        """Return who this process is."""
        number = os.geteuid()
        try:
            user = pwd.getpwuid(number).pw_name
        except KeyError:  # containers run as numbers
            user = str(number)
        return cls(
            user_id=number,
            user=user,
            groups=frozenset({os.getegid(), *os.getgroups()}),
            listed_in=frozenset(group.gr_gid for group in grp.getgrall() if user in group.gr_mem),
            is_in_container=is_in_container(),
        )


def is_in_container() -> bool:
    """Whether this process seems to live in a container."""
    return any(sign.exists() for sign in _SIGNS_OF_A_CONTAINER) or "KUBERNETES_SERVICE_HOST" in os.environ


def examine_port(
    path: str, *, for_config: bool = True, has_name: bool = True, by_id: Path = BY_ID, processes: Path = PROCESSES
) -> Iterator[Finding]:
    """Yield what there is to say of a serial port: whether it can be used, and how it is better named in the config.

    Args:
        path: the port.
        for_config: it stands in the config like this; else a pattern means it.
        has_name: its bus is called by a name of its own; else by the port, and so are devices that nothing but their place tells.
        by_id: where links to ports lie that are named after their adapters.
        processes: where the system tells of its processes.
    """
    what = f"port {path}"
    try:
        device = os.stat(path)  # noqa: PTH116 - its result is compared below
    except OSError as error:
        yield Finding.fault(what, _not_there(path, error), _instead(path, by_id))
        return
    if not stat.S_ISCHR(device.st_mode):
        yield Finding.fault(
            what, f"is no serial port but a {'folder' if stat.S_ISDIR(device.st_mode) else 'file'}", _instead(path, by_id)
        )
        return
    if not may_use(path):
        yield Finding.fault(what, *why_denied(path, device.st_mode, device.st_uid, device.st_gid, Who.here()))
    elif (holder := holder_of(path, processes=processes)) is None:
        yield Finding.fine(what, "is there, this user may use it, and nobody has it open")
    elif holder.is_gateway:
        yield Finding.fine(what, f"is in use by {holder}, as it should be")
    else:
        fix = f"end that program: kill {holder.process_id}; or take the port out of the config"
        yield Finding.fault(what, f"is in use by {holder}: two programs on one port get each other's answers", fix)
    if for_config and (link := better_name(path, by_id)) is not None:
        meaning = "is called by the order in which adapters were plugged in: after a restart it may be another one"
        keep = "" if has_name else f'; with name = "{path}" beside it, devices known by their place stay the same children'
        yield Finding.warning(f"name of {path}", meaning, f'port = "{link}" # instead of "{path}"{keep}')


def may_use(path: str) -> bool:
    """Whether this process may read and write it: by its mode, its access list and the rules of a container alike."""
    return os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def why_denied(path: str, mode: int, owner: int, group: int, who: Who) -> tuple[str, str]:
    """Return why a device file may not be used that may not be, and what mends it.

    Args:
        path: the device file.
        mode: its mode.
        owner: the user that owns it.
        group: the group that owns it.
        who: who may not use it.
    """
    name = group_name(group)
    if is_allowed(mode, owner, group, who):
        if who.is_in_container:
            return "is seen, but this container may not use it", f"hand it in: docker run --device={path}, or devices: in compose"
        return "its mode would allow it, but a rule of the system forbids it", f"in the systemd unit: DeviceAllow={path} rw"
    if group == 0 or mode & 0o060 != 0o060:
        meaning = f"belongs to {owner}:{name} with mode {stat.S_IMODE(mode):04o}, so the user {who.user} may not use it"
        return meaning, f"sudo chgrp dialout {path} && sudo chmod 660 {path}"
    meaning = f"belongs to the group {name}, which the user {who.user} is not in"
    if who.is_in_container:
        meaning = f"belongs to the group {name}, which this container's user {who.user} is not in"
        return meaning, f'docker run --group-add {group}, or in compose: group_add: ["{group}"]'
    if group in who.listed_in:
        meaning = f"belongs to the group {name}, which the user {who.user} was put into after this program was started"
        return meaning, "start it again: systemctl restart xyte-gateway; at a terminal, log in again"
    return meaning, f"sudo usermod -aG {name} {who.user}, then log in again"


def is_allowed(mode: int, owner: int, group: int, who: Who) -> bool:
    """Whether the mode of a file alone lets this user read and write it."""
    if who.user_id in (0, owner):
        return who.user_id == 0 or mode & 0o600 == 0o600
    return mode & 0o060 == 0o060 if group in who.groups else mode & 0o006 == 0o006


def group_name(group: int) -> str:
    """Return what a group is called; its number, where it has no name."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def better_name(path: str, by_id: Path = BY_ID) -> str | None:
    """Return the link that is named after the adapter of a port called by plugging order; `None` if there is none, or no need."""
    if _IN_PLUGGING_ORDER.fullmatch(path) is None:
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
        """Return it as a person reads it: `this gateway`, `minicom (process 4711)`."""
        return "this gateway" if self.process_id == os.getpid() else f"{self.command} (process {self.process_id})"


def holder_of(path: str, *, processes: Path = PROCESSES) -> Holder | None:
    """Return who has this device file open; `None` when nobody is seen to have it.

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


def _not_there(path: str, error: OSError) -> str:
    if Path(path).is_symlink():
        return f"points to {os.path.realpath(path)}, which is not there"
    return "there is no such port" if isinstance(error, FileNotFoundError) else f"cannot be looked at: {error.strerror}"


def _instead(path: str, by_id: Path) -> str:
    there = named_ports(by_id)
    if not there:
        if is_in_container():
            return f"plug its adapter in, and hand the port into this container: docker run --device={path}"
        return "plug its adapter in; `ls -l /dev/serial/by-id` then shows its name"
    told = " or ".join(f'"{link}"' for link in there[:NAMES_TOLD])
    return f"plug its adapter in, or name one that is there: port = {told}"


def _processes(processes: Path) -> Iterator[Path]:
    """This process first: its own ports are the likeliest."""
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
    except OSError:  # it has ended, or is another user's
        return False


def _is(entry: os.DirEntry[str], name: str, device: os.stat_result) -> bool:
    try:
        if os.readlink(entry.path) != name:  # noqa: PTH115 - a hundred thousand of them may be looked at
            return False
        return os.path.samestat(os.stat(entry.path), device)  # noqa: PTH116 - the same name may be another one's, in a container
    except OSError:
        return False


def _holder(process: Path) -> Holder:
    number = int(process.name)
    try:
        command = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        line = (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        command, line = "a program", ""
    return Holder(number, command, is_gateway=number == os.getpid() or _OURS.search(line) is not None)
