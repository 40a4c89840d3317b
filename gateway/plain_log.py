"""Format records of the log: no text from outside looks like a record of its own, does something to a terminal, or is a password.

The passwords are those of URLs, which libraries quote in their errors.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from gateway.plain_text import replace_unprintable
from gateway.url_secrets import without_url_user

MOST_LINES: Final = 120
"""The most lines of one record: the traceback of a deep recursion has thousands, and the text of an error may have millions."""

MOST_CHARACTERS: Final = 4_000
"""The most characters of one line."""


def shortened(text: str) -> str:
    """Return the beginning and the end of a text that is far too long for the log; one of a usual length as it is."""
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"[{len(lines) - 2 * half} lines are left out]", *lines[-half:]]
    return "\n".join([one if len(one) <= MOST_CHARACTERS else f"{one[:MOST_CHARACTERS]}…" for one in lines])


class PlainFormatter(logging.Formatter):
    """Writes printable characters alone and no user of a URL, cuts what is too long, and indents all lines but the first.

    Times have milliseconds and their zone: `2026-11-29 21:56:39.844+00:00`.
    """

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - as the base class has it
        """Return the time of a record, in the zone of this machine."""
        del datefmt
        return datetime.fromtimestamp(record.created).astimezone().isoformat(sep=" ", timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        first, *others = shortened(without_url_user(super().format(record))).split("\n")
        return "\n".join([replace_unprintable(first), *(f"    {replace_unprintable(line)}" for line in others)])
