"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Callable
from random import random


class Backoff:
    """Doubling waits with jitter, from `first_seconds` to `most_seconds`; each between half and all of its nominal length."""

    def __init__(self, first_seconds: float, most_seconds: float, *, random: Callable[[], float] = random) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._random = random
        self.failures = 0
        """Failures in a row since the last success."""

    def failed(self) -> float:
        """Note one more failure and return how many seconds to wait now."""
        nominal = min(self._most, self._first * 2.0 ** min(self.failures, 62))
        self.failures += 1
        return nominal * (0.5 + self._random() / 2)

    def succeeded(self) -> None:
        """Start over with the shortest wait."""
        self.failures = 0
