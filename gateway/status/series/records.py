"""Define what is kept of one metric: its last value, its last hour, and the numbers of its words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from gateway.models import Metric, Value
from gateway.status.series.ring import HourRing

Rank: TypeAlias = tuple[int, ...]
"""Metrics with a lower rank come first."""
NEVER: Final = datetime.min.replace(tzinfo=UTC)
MAX_WORDS: Final = 24
"""Different words of one metric; further ones count as `OTHER_WORD`."""
MAX_WORD_LENGTH: Final = 60
OTHER_WORD: Final = "other"


class MetricRecord:
    """What is kept of one metric: its last value and, if there is room for it, its last hour."""

    __slots__ = ("at", "metric", "rank", "refused_at", "ring", "value", "words")

    def __init__(self, metric: Metric, rank: Rank) -> None:
        self.metric = metric
        """As it was last read: its unit, and what its profile calls it."""
        self.rank = rank
        """Its place among the metrics of its child; the first ones have their hour first."""
        self.refused_at = -1
        """The revision of the shares in which it was refused an hour."""
        self.words: dict[str, int] = {}
        self.value: Value = None
        self.at = NEVER
        self.ring: HourRing | None = None

    @property
    def was_refused(self) -> bool:
        """Whether its values could be drawn if there was room."""
        return self.ring is None and self.refused_at >= 0

    def number_of(self, text: str) -> int:
        """Return the number of a word."""
        word = text if len(text) <= MAX_WORD_LENGTH else f"{text[: MAX_WORD_LENGTH - 1]}…"
        known = self.words.get(word)
        if known is None:
            word = word if len(self.words) < MAX_WORDS - 1 else OTHER_WORD
            known = self.words.setdefault(word, len(self.words))
        return known


@dataclass(frozen=True, slots=True)
class Chart:
    """A metric of which values over time are kept."""

    metric: str
    unit: str | None
    ring: HourRing
    words: Sequence[str]
    """Of a metric of words: its words, by their numbers."""
