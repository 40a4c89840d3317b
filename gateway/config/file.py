"""Read the configuration file, and see whether it exists and has changed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.config.mistakes import toml_problem
from gateway.errors import SettingsError, SettingsProblem
from gateway.toml_text import read_toml


def file_exists(file: Path) -> bool:
    """Whether the file exists; one that may not be accessed counts, so that reading it reports why it cannot be read."""
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
    if file is None:
        return "", {}
    try:
        text = file.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except OSError as error:
        right = "Name the config file with --config, or make one from deploy/gateway.example.toml"
        raise SettingsError(file, [SettingsProblem("file", f"cannot be read: {error.strerror}", right)]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = SettingsProblem("file", "is not UTF-8 text", "Save it as UTF-8", line)
        raise SettingsError(file, [problem]) from error
    try:
        return text, read_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(file, [toml_problem(error, text)]) from error


def without_option_names(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables without those whose names pydantic-settings would take for its own options, such as `_cli_parse_args`."""
    return {key: table for key, table in tables.items() if not key.startswith("_")}
