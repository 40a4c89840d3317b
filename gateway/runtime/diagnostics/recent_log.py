"""Keep the last lines of the log in memory."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.plain_log import PlainFormatter

MOST_LINES = 3_000
LONGEST_LINE = 2_000
"""In characters, with a traceback; together 6 MB at the most, and a fraction of that in practice."""


class RecentLog(logging.Handler):
    """Keeps the last lines of the log, at the level at which they are logged."""

    def __init__(self, most_lines: int = MOST_LINES) -> None:
        super().__init__()
        self.setFormatter(PlainFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
        self._lines: deque[str] = deque(maxlen=most_lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as in every handler of `logging`: a wrong line must not end who writes it
            self.handleError(record)
        else:
            self._lines.append(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}...")

    @property
    def lines(self) -> Sequence[str]:
        """The lines that are kept, the oldest first."""
        return list(self._lines)


@asynccontextmanager
async def recording_log() -> AsyncIterator[RecentLog]:
    """Keep the last lines of the log while the block runs."""
    recent, root = RecentLog(), logging.getLogger()
    root.addHandler(recent)
    try:
        yield recent
    finally:
        root.removeHandler(recent)
