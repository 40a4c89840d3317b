"""Tell the operator when the configuration file says something else than at the start.

Its settings are compared, and not its times: a file that was only saved, or whose comments changed, needs no restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from gateway.config.file import file_stamp, read_file
from gateway.errors import SettingsError

log = logging.getLogger(__name__)

LARGEST_FILE: Final = 16 * 1024 * 1024
"""In bytes. No configuration is as large, and a larger file is not read each time that it changes."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What a file says."""

    tables: Mapping[str, Any] | None
    """`None` when they cannot be read."""
    problem: str | None = None


async def watch_file(file: Path | None, notify: Callable[[str | None], None], *, every: timedelta) -> None:
    """Notify the operator, until cancelled, when the settings in a file differ from those that the gateway started with.

    Args:
        file: the configuration file; `None` for none.
        notify: told what the operator should know, `None` for nothing.
        every: how often to look.
    """
    if file is None:
        return
    stamp = file_stamp(file)
    at_start = await asyncio.to_thread(_content_of, file)
    told: str | None = None
    while True:
        await asyncio.sleep(every.total_seconds())
        if (new_stamp := file_stamp(file)) == stamp:
            continue
        stamp = new_stamp
        content = await asyncio.to_thread(_content_of, file)
        notice = _difference(file, at_start, content)
        if notice is not None and notice != told:
            log.warning("%s", notice)
        elif notice is None and told is None:
            log.info("%s was saved; its settings are those of the start, so nothing has to be done", file)
        elif notice is None:
            log.info("%s has the settings of the start again, so no restart is needed", file)
        if notice != told:
            notify(notice)
        told = notice


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
