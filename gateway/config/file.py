"""Read the configuration file, and see whether it exists and has changed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from gateway.errors import SettingsError, SettingsProblem
from gateway.file_mistakes.toml_mistakes import ReadTables, read_tables

STANDARD_INPUT: Final = Path("-")
"""The name of a configuration file that stands for the standard input."""

MOST_BYTES: Final = 4_000_000
"""The largest file that can be a configuration: 10,000 devices with their own settings take a quarter of it."""


def file_exists(file: Path) -> bool:
    """Whether the file exists; one that may not be accessed counts, so that reading it reports why it cannot be read."""
    if file == STANDARD_INPUT:
        return True
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def file_stamp(file: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when the file is saved or replaced; `None` while there is no file."""
    with suppress(OSError):
        state = file.stat()
        return state.st_ino, state.st_mtime_ns, state.st_size
    return None


def read_file(file: Path | None) -> tuple[str, dict[str, Any]]:
    """Return the text of the configuration file and its tables; nothing without a file.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    read = read_tables_of(file)
    if read.problems:
        raise SettingsError(file, list(read.problems))
    return read.text, read.tables


def read_tables_of(file: Path | None) -> ReadTables:
    """Return what of the configuration file is TOML; nothing without a file.

    Raises:
        SettingsError: it cannot be read.
    """
    if file is None:
        return ReadTables({})
    try:
        content = _content(file)
    except OSError as error:
        right = "Name the config file with --config, or make one from deploy/gateway.example.toml"
        raise SettingsError(file, [SettingsProblem("file", f"cannot be read: {error.strerror}", right)]) from error
    if len(content) > MOST_BYTES:
        wrong, right = f"has more than {MOST_BYTES / 1e6:.0f} MB: that is no configuration", "Name the config file with --config"
        raise SettingsError(file, [SettingsProblem("file", wrong, right)])
    try:
        text = content.decode("utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = SettingsProblem("file", "is not UTF-8 text", "Save it as UTF-8", line)
        raise SettingsError(file, [problem]) from error
    return read_tables(text.replace("\r\n", "\n"))


def _content(file: Path) -> bytes:
    if file == STANDARD_INPUT:
        return _standard_input()
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


@cache
def _standard_input() -> bytes:
    """Return what comes in, which can be read once."""
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def without_option_names(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables without those whose names pydantic-settings would take for its own options, such as `_cli_parse_args`."""
    return {key: table for key, table in tables.items() if not key.startswith("_")}
