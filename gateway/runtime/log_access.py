"""Give the page the last lines of the log without any secret, and set the level of the log for a while."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.runtime.diagnostics.recent_log import MOST_LINES, RecentLog
from gateway.runtime.diagnostics.secrets import masked_by
from gateway.runtime.log_level import set_log_level
from gateway.settings_secrets import SecretTexts
from gateway.status.logs_view import LEVELS, LogLevel, LogLine

log = logging.getLogger(__name__)


class MaskedLines:
    """The lines of the log with each secret masked. Each line is masked once, as long as the secrets stay the same.

    Args:
        recent: keeps the lines. The secrets of the configuration are masked in them already.
        secrets: returns the others.
    """

    def __init__(self, recent: RecentLog, secrets: Callable[[], Iterable[str]]) -> None:
        self._recent = recent
        self._secrets = secrets
        self._known: frozenset[str] = frozenset()
        self._texts = SecretTexts(())
        self._masked: deque[LogLine] = deque(maxlen=MOST_LINES)

    def lines(self) -> Sequence[LogLine]:
        """Return them, the oldest first."""
        if (secrets := frozenset(self._secrets())) != self._known:
            self._known, self._texts = secrets, SecretTexts(secrets)
            self._masked.clear()
        last = self._masked[-1].seq if self._masked else 0
        if last < self._recent.last_seq:
            new = (line for line in self._recent.records if line.seq > last)
            self._masked.extend(replace(line, text=masked_by(self._texts, line.text)) for line in new)
        return list(self._masked)


class LogLevelSwitch:
    """Sets the level of the log for a while; then the one of before comes back."""

    def __init__(self) -> None:
        self._set: int | None = None
        self._normal = logging.INFO
        self._until: datetime | None = None
        self._end: asyncio.TimerHandle | None = None

    def level(self) -> LogLevel:
        """Return the level at the time."""
        root = logging.getLogger()
        is_temporary = self._set is not None and root.level == self._set
        normal = self._normal if is_temporary else root.level
        return LogLevel(level=_name(root.level), normal=_name(normal), until=self._until if is_temporary else None)

    def set(self, level: str, minutes: int) -> None:
        """Log from this level on for so many minutes; the normal level ends that at once."""
        now = self.level()
        self.end()
        if level == now.normal:
            log.warning("the level of the log is %s", level)
            return
        root = logging.getLogger()
        self._normal, self._set = root.level, _number(level)
        self._until = datetime.now(UTC) + timedelta(minutes=minutes)
        self._end = asyncio.get_running_loop().call_later(minutes * 60, self.end)
        log.warning("the level of the log is %s for %d min, then %s again", level, minutes, now.normal)
        set_log_level(self._set)

    def end(self) -> None:
        """Let the normal level come back, unless another one was set meanwhile."""
        if self._end is not None:
            self._end.cancel()
        if self._set is not None and logging.getLogger().level == self._set:
            set_log_level(self._normal)
        self._set = self._until = self._end = None


@asynccontextmanager
async def switching_log_level() -> AsyncIterator[LogLevelSwitch]:
    """Let the normal level come back at the end of the block."""
    switch = LogLevelSwitch()
    try:
        yield switch
    finally:
        switch.end()


class LogAccess:
    """Implements `gateway.status.logs_view.LogsView`."""

    def __init__(self, lines: MaskedLines, switch: LogLevelSwitch) -> None:
        self._lines = lines
        self._switch = switch

    def log_lines(self) -> Sequence[LogLine]:
        """Return the lines that are kept, the oldest first."""
        return self._lines.lines()

    def log_level(self) -> LogLevel:
        """Return the level at the time."""
        return self._switch.level()

    def set_log_level(self, level: str, minutes: int) -> None:
        """Log from another level on for so many minutes; the normal level ends that at once."""
        self._switch.set(level, minutes)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _name(number: int) -> str:
    return next((name for name in reversed(LEVELS) if number >= _number(name)), LEVELS[0])
