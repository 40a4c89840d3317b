"""Record in the timeline which incidents are opened and closed; one that goes on over a restart is opened once."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.incidents import Incidents

LOOK_EVERY_SECONDS: Final = 2.0
CLOSED_AFTER_LOOKS: Final = 60
"""What was open before the start is given this time to be seen again, before it counts as over."""


class IncidentEvents:
    """Compares the open incidents with those before."""

    def __init__(self, timeline: Timeline, incidents: Incidents) -> None:
        self._timeline = timeline
        self._incidents = incidents
        self._open: dict[str, tuple[str | None, str]] = {}
        self._from_before: dict[str, tuple[str | None, str]] = {}

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
        over = {cause: before[cause] for cause in before.keys() - self._open.keys()}
        if is_settled:
            over |= self._from_before
            self._from_before = {}
        for cause, (child, title) in over.items():
            self._timeline.record(EventKind.INCIDENT_CLOSED, title, child=child, subject=cause)
