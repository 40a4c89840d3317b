"""Who has a port open already. To open it once more would be felt by the device behind it: DTR goes up, and some start anew."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

PROCESSES = Path("/proc")


def holder_of(path: str, *, processes: Path = PROCESSES) -> str | None:
    """Return who has this device file open, as `this gateway` or `minicom (process 4711)`; `None` when nobody is seen to have it.

    Processes of other users, and those outside of a container, cannot be seen.
    """
    try:
        device = os.stat(path)  # noqa: PTH116 - its result is compared below
    except OSError:
        return None
    if not stat.S_ISCHR(device.st_mode):
        return None
    name = os.path.realpath(path)
    return next((_named(process) for process in _processes(processes) if _has_open(process, name, device)), None)


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


def _named(process: Path) -> str:
    if process.name == str(os.getpid()):
        return "this gateway"
    try:
        command = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        command = "a program"
    return f"{command} (process {process.name})"
