"""Define how a person has the gateway try again at once what it would try again later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TryOutcome:
    """What came of an attempt."""

    works: bool
    text: str
    """In a sentence without a full stop: what was seen, or why nothing was tried."""
    wait_seconds: float | None = None
    """Nothing was tried, since the last attempt is too recent; it may be after this time."""


class RetryView(Protocol):
    """Tries again at once. Each attempt is bounded in time, and none is made soon after the last one of the same thing."""

    async def try_cloud(self) -> TryOutcome:
        """Call the cloud, or register with it."""

    async def try_bus(self, entry: str, bus: str) -> TryOutcome:
        """Open a bus that does not work."""

    async def try_child(self, key: str) -> TryOutcome:
        """Ask a silent child, or register one that the cloud refused."""
