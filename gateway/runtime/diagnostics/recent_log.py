"""Keep the last lines of the log in memory."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from gateway.plain_log import PlainFormatter
from gateway.status.logs_view import LEVELS, LogLine

MOST_LINES = 3_000
LONGEST_LINE = 2_000
"""In characters, with a traceback; together 6 MB at the most, and a fraction of that in practice."""

_TIME = PlainFormatter("%(asctime)s")


class RecentLog(logging.Handler):
    """Keeps the last lines of the log, at the level at which they are logged."""

    def __init__(self, most_lines: int = MOST_LINES) -> None:
        super().__init__()
        self.setFormatter(PlainFormatter("%(message)s"))
        self._kept: deque[tuple[str, LogLine]] = deque(maxlen=most_lines)
        self._last_seq = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        try:
            text = self.format(record)
            time = _TIME.formatTime(record)
        except Exception:  # noqa: BLE001 - as in every handler of `logging`: a wrong line must not end who writes it
            self.handleError(record)
            return
        self._last_seq += 1
        line = LogLine(
            seq=self._last_seq,
            at=datetime.fromtimestamp(record.created, UTC),
            level=_level_name(record.levelno),
            logger=record.name,
            text=text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}...",
        )
        self._kept.append((time, line))

    @property
    def records(self) -> Sequence[LogLine]:
        """The lines that are kept, the oldest first."""
        return [line for _, line in self._kept]

    @property
    def lines(self) -> Sequence[str]:
        """The same as texts, each with its time, level and logger."""
        return [f"{time} {line.level.upper():7} {line.logger}: {line.text}" for time, line in list(self._kept)]

    @property
    def last_seq(self) -> int:
        """The number of the latest line."""
        return self._last_seq


def _level_name(number: int) -> str:
    """Return the level of the page that a record belongs to: between two of them it is the lower one."""
    numbers = logging.getLevelNamesMapping()
    return next((name for name in reversed(LEVELS) if number >= numbers[name.upper()]), LEVELS[0])


@asynccontextmanager
async def recording_log() -> AsyncIterator[RecentLog]:
    """Keep the last lines of the log while the block runs."""
    recent, root = RecentLog(), logging.getLogger()
    root.addHandler(recent)
    try:
        yield recent
    finally:
        root.removeHandler(recent)
