"""Tell the operator when the configuration file says something else than at the start.

Its settings are compared, and not its times: a file that was only saved, or whose comments changed, needs no restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from gateway.config.file import file_stamp, read_file
from gateway.errors import SettingsError

log = logging.getLogger(__name__)

LARGEST_FILE: Final = 16 * 1024 * 1024
"""In bytes. No configuration is as large, and a larger file is not read each time that it changes."""


@dataclass(slots=True)
class FileInUse:
    """What the gateway has put into effect of the configuration file since its start."""

    tables: Mapping[str, Any] | None = None
    """What the file said then; `None` while that is what it said at the start."""
    notice: str | None = None
    """What a person should know about it."""
    is_changing: bool = False
    """Whether the file is being written and put into effect right now."""

    @contextmanager
    def being_changed(self) -> Iterator[None]:
        """Mark the file as being changed, so that nobody is told of half a change."""
        self.is_changing = True
        try:
            yield
        finally:
            self.is_changing = False


@dataclass(frozen=True, slots=True)
class _Content:
    """What a file says."""

    tables: Mapping[str, Any] | None
    """`None` when they cannot be read."""
    problem: str | None = None


async def watch_file(
    file: Path | None, notify: Callable[[str | None], None], *, every: timedelta, in_use: FileInUse | None = None
) -> None:
    """Notify the operator, until cancelled, when the settings in a file differ from those that the gateway started with.

    Args:
        file: the configuration file; `None` for none.
        notify: told what the operator should know, `None` for nothing.
        every: how often to look.
        in_use: what was put into effect of the file since the start.
    """
    if file is None:
        return
    in_use = FileInUse() if in_use is None else in_use
    stamp, seen = file_stamp(file), (in_use.tables, in_use.notice)
    at_start = await asyncio.to_thread(_content_of, file)
    told: str | None = None
    while True:
        await asyncio.sleep(every.total_seconds())
        new_stamp, now_in_use = file_stamp(file), (in_use.tables, in_use.notice)
        if in_use.is_changing or (new_stamp == stamp and now_in_use == seen):
            continue
        is_applied, stamp, seen = now_in_use != seen, new_stamp, now_in_use
        content = await asyncio.to_thread(_content_of, file)
        notice = _difference(file, at_start if in_use.tables is None else _Content(in_use.tables), content) or in_use.notice
        if not (is_applied and notice == in_use.notice):  # else who has put it into effect has told so
            _log(file, notice, told)
        if notice != told:
            notify(notice)
        told = notice


def _log(file: Path, notice: str | None, told: str | None) -> None:
    if notice is not None and notice != told:
        log.warning("%s", notice)
    elif notice is None and told is None:
        log.info("%s was saved; its settings are those of the start, so nothing has to be done", file)
    elif notice is None:
        log.info("%s has the settings of the start again, so no restart is needed", file)


def _difference(file: Path, at_start: _Content, now: _Content) -> str | None:
    """Return what a person should know about the difference; `None` when the settings are the same."""
    if now.tables is None:
        return f"{file} has changed since the start, and a restart could not use it: {now.problem}"
    if now.tables != at_start.tables:
        return f"{file} has changed since the start; restart the gateway to use it"
    return None


def _content_of(file: Path) -> _Content:
    try:
        if file.stat().st_size > LARGEST_FILE:
            return _Content(None, f"it is larger than {LARGEST_FILE // (1024 * 1024)} MB")
        return _Content(read_file(file)[1])
    except OSError as error:
        return _Content(None, f"it cannot be read: {error.strerror}")
    except SettingsError as error:
        first = error.problems[0]
        line = "" if first.line is None else f"line {first.line}: "
        return _Content(None, f"{line}{first.where}: {first.wrong}")
