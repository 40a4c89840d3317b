"""Who looks on while the field works: told everything in the moment in which it happens, asked nothing. Nothing here waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from gateway.models import Reach, Reading


class Observer(Protocol):
    """What is told of children. Each method returns at once."""

    def take(self, readings: Sequence[Reading]) -> None:
        """Values came from a child."""

    def missed(self, child: str, why: str) -> None:
        """A transaction was not answered, or not in a way that can be trusted."""

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """A child fell silent, or is back."""


class _Nobody:
    """Looks away."""

    def take(self, readings: Sequence[Reading]) -> None:
        """See nothing."""

    def missed(self, child: str, why: str) -> None:
        """See nothing."""

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """See nothing."""


NO_OBSERVER: Final[Observer] = _Nobody()
"""Where nobody looks on."""
