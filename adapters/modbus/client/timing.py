"""Compute the pause between frames on a line, and learn how quickly a unit answers. Pure.

The smoothed mean and deviation are those of RFC 6298, by which TCP learns its time-outs. Two things differ: a long answer widens
the deviation at once, and it narrows slowly, since a meter that is measuring answers late and is not dead; and there is a
minimum, for USB adapters that deliver characters in bundles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

LEARNED_AFTER = 5
"""How many answers are needed before a time-out is learned from them."""

SHORTEST_TIMEOUT_SECONDS = 0.04
"""The shortest learned time-out: a USB adapter alone may hold characters back for 16 ms."""

DEVIATIONS = 4
"""How many deviations a time-out allows for."""


def silence_seconds(baudrate: int, bits_per_character: int = 11) -> float:
    """Return how long a line must be silent between two frames (Modbus over Serial Line V1.02, section 2.5.1.1)."""
    return 3.5 * bits_per_character / baudrate if baudrate <= 19200 else 0.00175


def ascii_pause_seconds(baudrate: int, bits_per_character: int = 10) -> float:
    """Return how long to wait after an ASCII frame before the next is sent: two characters.

    The specification needs no pause, since a colon begins each frame (Modbus over Serial Line V1.02, section 2.5.2.1). But a
    frame is taken at its CR, and its LF may still be on the line; and on RS-485 its sender needs a moment to become a receiver.
    """
    return 2 * bits_per_character / baudrate


@dataclass(slots=True)
class Turnaround:
    """The turnaround of one unit: from the end of a request to the end of its answer, less the time of the characters."""

    mean: float = 0.0
    deviation: float = 0.0
    answers: int = 0
    misses: int = 0
    """Requests in a row that were not answered."""

    def answered(self, seconds: float) -> None:
        """Learn from an answer that took this long."""
        self.misses = 0
        if not self.answers:
            self.mean, self.deviation = seconds, seconds / 2
        else:
            off = abs(seconds - self.mean)
            self.deviation = max(self.deviation + (off - self.deviation) / 16, off / 2)
            self.mean += (seconds - self.mean) / 8
        self.answers = min(self.answers + 1, LEARNED_AFTER)

    def missed(self) -> None:
        """Count a request that was not answered in time."""
        self.misses += 1

    @property
    def typical_seconds(self) -> float | None:
        """The turnaround to plan with; `None` until it is learned."""
        return self.mean if self.answers >= LEARNED_AFTER else None

    def timeout_seconds(self, configured: float) -> float:
        """Return how long to wait for the unit now: never longer than configured, and twice as long after each miss in a row."""
        if self.answers < LEARNED_AFTER:
            return configured
        learned = max(SHORTEST_TIMEOUT_SECONDS, 2 * self.mean + DEVIATIONS * self.deviation)
        return float(min(configured, learned * 2 ** min(self.misses, 16)))

    def as_text(self) -> str:
        """Return the learned numbers as a text that `from_text` reads."""
        return f"{self.mean:.4f} {self.deviation:.4f}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the turnaround in a text; a new one for a text without sensible numbers."""
        try:
            mean, deviation = map(float, text.split())
        except ValueError:
            return cls()
        is_sensible = 0 <= mean < 60 and 0 <= deviation < 60
        return cls(mean, deviation, LEARNED_AFTER) if is_sensible else cls()
