"""Define how another part observes the field: it gets readings, errors and changes as they happen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from gateway.causes import Reason
from gateway.models import Reach, Reading


class Observer(Protocol):
    """Gets every event of every child. Each method returns at once."""

    def take(self, readings: Sequence[Reading]) -> None:
        """Get the readings of one transaction or message."""

    def missed(self, child: str, reason: Reason) -> None:
        """Get a transaction that was not answered, or not in a way that can be trusted."""

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """Get a child's change between reachable and silent."""


class _NoObserver:
    """Ignores everything."""

    def take(self, readings: Sequence[Reading]) -> None:
        """Ignore readings."""

    def missed(self, child: str, reason: Reason) -> None:
        """Ignore a miss."""

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """Ignore a change."""


NO_OBSERVER: Final[Observer] = _NoObserver()
"""The observer to pass when nothing observes the field."""
