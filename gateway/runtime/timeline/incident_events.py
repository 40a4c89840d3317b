"""Record in the timeline which incidents are opened and closed; one that goes on over a restart is opened once.

One that ended while the gateway did not run is told as closed by the next run: to the timeline, as an event to the cloud, and to
whoever was told that it is open, each with the time of the first sign that it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.incidents import Incidents, OverIncident

LOOK_EVERY_SECONDS: Final = 2.0
CLOSED_AFTER_LOOKS: Final = 90
"""What was open before the start is given this time to be seen again, before it counts as over."""

OF_SILENCE: Final = "child_silent:"
"""The beginning of the causes that are over as soon as their child answers."""


class IncidentEvents:
    """Compares the open incidents with those before.

    Args:
        timeline: gets the differences.
        incidents: those that are open.
        answers_since: returns since when a child answers; `None` while it does not, or was not asked yet.
        on_over: is told of an incident that ended while the gateway did not run.
    """

    def __init__(
        self,
        timeline: Timeline,
        incidents: Incidents,
        *,
        answers_since: Callable[[str], datetime | None] = lambda key: None,
        on_over: Callable[[OverIncident], None] = lambda over: None,
    ) -> None:
        self._timeline = timeline
        self._incidents = incidents
        self._answers_since = answers_since
        self._on_over = on_over
        self._open: dict[str, tuple[str | None, str]] = {}
        self._from_before: dict[str, tuple[str | None, str]] = {}
        self._began_at = datetime.now(UTC)

    async def load(self) -> None:
        """Find out which incidents were open before the start."""
        latest = await self._timeline.latest_of_subjects([EventKind.INCIDENT_OPENED, EventKind.INCIDENT_CLOSED])
        self._from_before = {
            cause: (event.child, event.text) for cause, event in latest.items() if event.kind is EventKind.INCIDENT_OPENED
        }

    async def run(self) -> None:
        """Look until cancelled."""
        await self.load()
        looks = 0
        while True:
            looks += 1
            self.look(is_settled=looks > CLOSED_AFTER_LOOKS)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def look(self, *, is_settled: bool) -> None:
        """Record the differences since the last look.

        Args:
            is_settled: what was open before the start and is not seen again is over.
        """
        before, self._open = self._open, {
            cause: (incident.child, incident.title) for cause, incident in self._incidents.wanted.items()
        }  # fmt: skip
        for cause in self._open.keys() - before.keys():
            if self._from_before.pop(cause, None) is None:
                child, title = self._open[cause]
                self._timeline.record(EventKind.INCIDENT_OPENED, title, child=child, subject=cause)
        for cause in before.keys() - self._open.keys():
            child, title = before[cause]
            self._timeline.record(EventKind.INCIDENT_CLOSED, title, child=child, subject=cause)
        for cause, (child, title) in list(self._from_before.items()):
            answers_since = self._answers_since(child) if child is not None and cause.startswith(OF_SILENCE) else None
            if answers_since is not None or is_settled:
                del self._from_before[cause]
                at = self._began_at if answers_since is None else max(answers_since, self._began_at)
                self._close(OverIncident(cause=cause, child=child, title=title, at=at))

    def _close(self, over: OverIncident) -> None:
        text = f"{over.title}; it ended while the gateway did not run"
        self._timeline.record(EventKind.INCIDENT_CLOSED, text, child=over.child, subject=over.cause, at=over.at)
        self._on_over(over)
