"""Compare the clock of this machine with that of the cloud, from the `Date` header of each response. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from statistics import median

RESPONSES = 3
"""Of so many responses the middle one counts: a proxy may answer with an old page, and a response may take its time."""


class ServerClock:
    """How far the clock of this machine is ahead of that of the cloud."""

    def __init__(self) -> None:
        self._seconds_ahead: deque[float] = deque(maxlen=RESPONSES)
        self.server = "the cloud"
        """The server that was compared last."""

    @property
    def ahead(self) -> timedelta | None:
        """How far our clock is ahead, negative for behind; `None` before enough responses have come."""
        return timedelta(seconds=median(self._seconds_ahead)) if len(self._seconds_ahead) == RESPONSES else None

    def forget(self) -> None:
        """Begin to compare anew: our clock was set."""
        self._seconds_ahead.clear()

    def record(self, server: str, theirs: datetime | None, ours: datetime) -> None:
        """Record the time in a response and the time of this machine when it arrived, both aware; `None`: it had none."""
        if theirs is not None:
            self._seconds_ahead.append((ours - theirs).total_seconds())
            self.server = server
