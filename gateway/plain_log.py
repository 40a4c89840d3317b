"""Format records of the log so that no text from outside looks like a record of its own, or does something to a terminal."""

from __future__ import annotations

import logging

from gateway.plain_text import replace_unprintable


class PlainFormatter(logging.Formatter):
    """Writes printable characters alone, and indents each line after the first one of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        first, *others = super().format(record).split("\n")
        return "\n".join([replace_unprintable(first), *(f"    {replace_unprintable(line)}" for line in others)])
