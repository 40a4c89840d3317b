"""Learn how long to wait after an event before a request is answered: the shortest wait that works. Pure.

A wait is raised when a request was unanswered after a short one, and the same request was answered after a longer one. It is
lowered by trials: now and then one request is sent sooner. When that is answered, the shorter wait holds from then on; when
it is not, the request is sent again after the wait that works. It is forgotten when a request is
answered without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

SHORTEST_SECONDS: Final = 0.02
"""No shorter wait is tried, but none at all."""

CLOSE_ENOUGH: Final = 1.3
"""No wait in between is tried when the one that works is at most so many times the longest one that does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLimits:
    """The rules by which a wait is learned."""

    most_seconds: float
    """No wait is longer."""
    evidence: int
    """How often in a row a longer wait has to help before it is used."""
    failed_trials: int
    """How often a shorter wait has to fail before it is known to be too short."""
    trial_after: int
    """After so many answers a shorter wait is tried, until the shortest is known."""
    trial_later: int
    """After so many answers from then on, and twice as many after each trial that failed."""
    trial_at_most: int


@dataclass(slots=True)
class LearnedWait:
    """The wait after one kind of event."""

    limits: WaitLimits
    seconds: float = 0.0
    """The shortest wait that works; 0: none is needed, as far as is known."""
    too_short: float = 0.0
    """The longest wait that did not work."""
    _evidence: int = 0
    _failed_trials: int = 0
    _answers_left: int = 0
    """After so many answers a shorter wait is tried."""
    _trial_interval: int = 0

    def next_seconds(self) -> float:
        """Return how long to wait before the next request: what works or, for a trial, less."""
        if not self.seconds or self._answers_left > 0:
            return self.seconds
        shorter = self.seconds / 2 if self._is_shortest else (self.seconds + self.too_short) / 2
        return shorter if shorter >= SHORTEST_SECONDS else 0.0

    def answered(self, waited: float, missed: float | None = None) -> None:
        """Learn from an answer.

        Args:
            waited: the seconds between the event and the request that was answered.
            missed: the same for the last time that this request was sent and not answered; `None` if it was answered at once.
        """
        self._answers_left -= 1
        if missed is None or missed >= waited:
            self._has_worked(waited)
        elif missed < self.seconds:
            self._trial_failed(missed)
        elif missed < self.limits.most_seconds:  # else no wait would have helped
            self.too_short = max(self.too_short, missed)
            self._evidence += 1
            if self._evidence >= self.limits.evidence:
                self._use(waited)

    def _has_worked(self, waited: float) -> None:
        if waited <= self.too_short + (0.0 if self.seconds else SHORTEST_SECONDS):  # it was lost for another reason then
            self.too_short, self._evidence = 0.0, 0
        if waited < 0.99 * self.seconds:
            self._use(waited)
        elif self.seconds and waited < CLOSE_ENOUGH * self.seconds:
            self._evidence = 0

    def _use(self, seconds: float) -> None:
        self.seconds = min(seconds, self.limits.most_seconds) if seconds >= SHORTEST_SECONDS else 0.0
        self._evidence = self._failed_trials = 0
        self._answers_left = self.limits.trial_after
        self._trial_interval = 0

    def _trial_failed(self, missed: float) -> None:
        was_shortest = self._is_shortest
        self._failed_trials += 1
        if self._failed_trials >= self.limits.failed_trials:
            self._failed_trials = 0
            self.too_short = max(self.too_short, missed)
        if not self._is_shortest:
            self._answers_left = self.limits.trial_after
            return
        longer = 2 * self._trial_interval if was_shortest else 0
        self._trial_interval = min(max(longer, self.limits.trial_later), self.limits.trial_at_most)
        self._answers_left = self._trial_interval

    @property
    def _is_shortest(self) -> bool:
        return self.seconds <= max(CLOSE_ENOUGH * self.too_short, SHORTEST_SECONDS)

    def as_text(self) -> str:
        """Return the learned numbers as a text that `from_text` reads."""
        return f"{self.seconds:.3f} {self.too_short:.3f}"

    @classmethod
    def from_text(cls, text: str, limits: WaitLimits) -> Self:
        """Return the wait in a text; one of 0 for a text without sensible numbers."""
        try:
            seconds, too_short = map(float, text.split())
        except ValueError:
            return cls(limits)
        is_sensible = SHORTEST_SECONDS <= seconds <= limits.most_seconds and 0 <= too_short < seconds
        return cls(limits, seconds, too_short, _answers_left=limits.trial_after) if is_sensible else cls(limits)

    def differs_from(self, text: str) -> bool:
        """Return whether a stored text is worth being replaced: it says otherwise by a quarter and more."""
        stored = type(self).from_text(text, self.limits).seconds
        return abs(self.seconds - stored) > 0.25 * stored or (stored == 0) != (self.seconds == 0)
