"""What `doctor` finds, for all who ask: looked at when somebody asks, and at most every ten seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Final, Protocol

from pydantic import AwareDatetime, BeforeValidator, Field

from gateway.models import Finding, FindingState
from gateway.status.snapshot import Shown, Text, without_surprises

FRESH_SECONDS: Final = 10.0

Fix = Annotated[str, BeforeValidator(without_surprises)]
"""A line to be typed or copied: never cut."""


class FindingShown(Shown):
    """One thing that was looked at."""

    what: Text
    state: FindingState
    meaning: Text = Field(description="what it means, in plain words")
    fix: Fix | None = Field(
        default=None, description="what to type, or to write into the config; null where nothing is to be mended"
    )


class Findings(Shown):
    """Everything that can keep the gateway from working on this machine."""

    at: AwareDatetime = Field(description="when it was looked at")
    findings: tuple[FindingShown, ...]

    def count(self, state: FindingState) -> int:
        """Return how many findings are in this state."""
        return Counter(one.state for one in self.findings)[state]


class Patient(Protocol):
    """What is examined."""

    async def examine(self) -> Sequence[Finding]:
        """Look at what can keep the gateway from working on this machine, in ten seconds at most."""


class Checkup:
    """Has the gateway examined, once for all who ask at about the same time."""

    def __init__(self, patient: Patient, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._patient = patient
        self._fresh_seconds = fresh_seconds
        self._last: Findings | None = None
        self._made_at = 0.0
        self._making = asyncio.Lock()

    async def findings(self) -> Findings:
        """Return what is found; looked at anew when the last look is older than ten seconds."""
        async with self._making:
            if self._last is None or monotonic() - self._made_at >= self._fresh_seconds:
                found = await self._patient.examine()
                shown = (FindingShown(what=one.what, state=one.state, meaning=one.meaning, fix=one.fix) for one in found)
                self._last, self._made_at = Findings(at=datetime.now(UTC), findings=tuple(shown)), monotonic()
            return self._last

    async def last(self) -> Findings:
        """Return what was found last, however long ago: a page that is left open asks nothing of the cloud and the disk."""
        return self._last if self._last is not None else await self.findings()
