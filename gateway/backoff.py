"""Compute how long to wait before the next retry. Pure."""

from __future__ import annotations

from collections.abc import Callable
from random import random

MOST_DOUBLINGS = 62
"""More would be no longer wait, only a float that overflows after months of failures."""


class Backoff:
    """Waits that double from `first_seconds` to `most_seconds`, each shortened at random so that clients do not retry in step.

    It computes and never sleeps: the caller waits. Each operation that is retried has a `Backoff` of its own.

    Args:
        first_seconds: the wait after the first failure.
        most_seconds: the longest wait; equal to `first_seconds` for waits that do not grow.
        jitter: how much shorter a wait may become, as a share of it: 0.5 means between half and all of it, 0 means exactly it.
        random: returns a number from 0 up to, but not including, 1.
    """

    def __init__(
        self, first_seconds: float, most_seconds: float, *, jitter: float = 0.5, random: Callable[[], float] = random
    ) -> None:
        self._first_seconds = first_seconds
        self._most_seconds = most_seconds
        self._jitter = jitter
        self._random = random
        self.failures = 0
        """Failures in a row since the last success."""

    def next_wait_seconds(self) -> float:
        """Count one more failure and return how many seconds to wait before the retry."""
        full_seconds = min(self._most_seconds, self._first_seconds * 2.0 ** min(self.failures, MOST_DOUBLINGS))
        self.failures += 1
        return full_seconds * (1 - self._jitter * self._random())

    def reset(self) -> None:
        """Start over with the first wait, after a success."""
        self.failures = 0
