"""Find the line of a TOML text that gives a value, for messages about configuration and profiles. Pure."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from gateway.toml_text import read_toml

Location = tuple[int | str, ...]

CLOSINGS = ("", "\n]", "\n]}", "\n]}]", "\n]]", '\n"""', "\n'''")
"""Texts that close a statement of several lines."""


def line_of(text: str, location: Location) -> int | None:
    """Return the 1-based line that first gives this location, or the nearest one around it, a value.

    The file is parsed up to different lines, so that every way of writing TOML is understood.
    """
    lines = text.splitlines()
    while location:
        before = bisect_left(range(1, len(lines) + 1), x=True, key=lambda end: _has(_first_lines(lines, end), location))
        if before < len(lines):
            return before + 1
        location = location[:-1]
    return None


def _first_lines(lines: Sequence[str], end: int) -> dict[str, Any]:
    """Return the tables of the file up to a line; where that is no TOML, up to the next line that completes it."""
    for last in range(end, len(lines) + 1):
        for closing in CLOSINGS:
            try:
                return read_toml("\n".join(lines[:last]) + closing)
            except tomllib.TOMLDecodeError:
                continue
    return {}


def _has(tables: Any, location: Location) -> bool:  # noqa: ANN401 - any TOML value
    for step in location:
        try:
            tables = tables[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
