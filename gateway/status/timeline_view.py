"""Define what the status page needs of the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.state.history.timeline import TimelineEvent, TimelineFilter


class TimelineView(Protocol):
    """What happened on this gateway."""

    async def events(self, wanted: TimelineFilter, *, most: int) -> Sequence[TimelineEvent]:
        """Return so many events, the latest first; with `after` and without `before`, the next ones, the earliest first."""
