"""Format records of the log: no text from outside looks like a record of its own, does something to a terminal, or is a password.

The passwords are those of URLs, which libraries quote in their errors.
"""

from __future__ import annotations

import logging

from gateway.plain_text import replace_unprintable
from gateway.url_secrets import without_url_user


class PlainFormatter(logging.Formatter):
    """Writes printable characters alone and no user of a URL, and indents each line after the first one of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        first, *others = without_url_user(super().format(record)).split("\n")
        return "\n".join([replace_unprintable(first), *(f"    {replace_unprintable(line)}" for line in others)])
