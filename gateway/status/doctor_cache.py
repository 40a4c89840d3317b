"""Cache what `doctor` finds: the checks run when somebody asks, and at most every ten seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Annotated, Final, Protocol

from pydantic import AwareDatetime, BeforeValidator, Field

from gateway.models import Finding, FindingState
from gateway.status.model import StatusModel, Text, replace_unprintable
from gateway.tasks import loop_time

FRESH_SECONDS: Final = 10.0

FixText = Annotated[str, BeforeValidator(replace_unprintable)]
"""A line to type or copy, so it is never cut."""


class DoctorFinding(StatusModel):
    """The result of one check."""

    what: Text
    state: FindingState
    meaning: Text = Field(description="what it means, in plain words")
    fix: FixText | None = Field(
        default=None, description="what to type, or to write into the config; null if nothing needs fixing"
    )


class DoctorReport(StatusModel):
    """The results of all checks of what the gateway needs on this machine."""

    at: AwareDatetime = Field(description="when the checks ran")
    findings: tuple[DoctorFinding, ...]

    def count(self, state: FindingState) -> int:
        """Return how many findings have this state."""
        return Counter(one.state for one in self.findings)[state]


class SupportsExamine(Protocol):
    """A gateway whose machine can be checked."""

    async def examine(self) -> Sequence[Finding]:
        """Run the checks of `doctor` on this machine, for at most ten seconds."""


class DoctorCache:
    """Runs the checks once for everybody who asks at about the same time."""

    def __init__(self, gateway: SupportsExamine, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._gateway = gateway
        self._fresh_seconds = fresh_seconds
        self._report: DoctorReport | None = None
        self._made_at = -inf
        self._lock = asyncio.Lock()

    async def report(self) -> DoctorReport:
        """Return the findings; the checks run again if the last report is older than ten seconds."""
        async with self._lock:
            if self._report is None or loop_time() - self._made_at >= self._fresh_seconds:
                found = await self._gateway.examine()
                shown = (DoctorFinding(what=one.what, state=one.state, meaning=one.meaning, fix=one.fix) for one in found)
                self._report, self._made_at = DoctorReport(at=datetime.now(UTC), findings=tuple(shown)), loop_time()
            return self._report

    async def last_report(self) -> DoctorReport:
        """Return the last report, however old: a page that is left open causes no load on the cloud or the disk."""
        return self._report if self._report is not None else await self.report()
