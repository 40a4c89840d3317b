"""Know which metrics of which children have segments in the history file, and at which position. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway import strict_json
from gateway.status.series.levels import Kind
from gateway.status.series.records import Chart

MOST_METRICS: Final = 1000
"""Of one child, over the years: a device that makes up names is not kept further."""


@dataclass(slots=True)
class KeptMetric:
    """A metric as it stands in the file."""

    name: str
    unit: str | None
    kind: Kind
    words: Sequence[str] = ()


@dataclass(slots=True)
class KeptChild:
    """A child as it stands in the file."""

    number: int
    metrics: list[KeptMetric] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    """Of its metrics, by name."""
    is_changed: bool = True
    """It is not in the file as it is now."""

    @classmethod
    def from_json(cls, number: int, text: str) -> KeptChild:
        """Return a child as `to_json` wrote it.

        Raises:
            ValueError: the text is not one of `to_json`.
        """
        child = cls(number, is_changed=False)
        try:
            for name, unit, kind, words in json.loads(text):
                child.positions[str(name)] = len(child.metrics)
                child.metrics.append(
                    KeptMetric(str(name), None if unit is None else str(unit), Kind(kind), [str(one) for one in words])
                )
        except TypeError as error:
            raise ValueError(str(error)) from error
        return child

    def to_json(self) -> str:
        """Return it as text."""
        return strict_json.dumps([[one.name, one.unit, one.kind.value, list(one.words)] for one in self.metrics])

    def position_of(self, chart: Chart) -> int | None:
        """Return the position of a metric, which gets one if it has none; `None` when the child has too many."""
        position = self.positions.get(chart.metric)
        is_words = chart.ring.kind is Kind.WORDS
        if position is None or (self.metrics[position].kind is Kind.WORDS) != is_words:  # numbers do not become words
            if len(self.metrics) >= MOST_METRICS:
                return None
            position = self.positions[chart.metric] = len(self.metrics)
            self.metrics.append(KeptMetric(chart.metric, chart.unit, chart.ring.kind, chart.words))
            self.is_changed = True
        kept = self.metrics[position]
        if (kept.unit, kept.kind, len(kept.words)) != (chart.unit, chart.ring.kind, len(chart.words)):
            kept.unit, kept.kind, kept.words = chart.unit, chart.ring.kind, chart.words
            self.is_changed = True
        return position

    @property
    def word_positions(self) -> frozenset[int]:
        """The positions of its metrics of words."""
        return frozenset(position for position, one in enumerate(self.metrics) if one.kind is Kind.WORDS)


def words_by_child(children: Iterable[tuple[str, KeptChild]]) -> dict[str, dict[str, Sequence[str]]]:
    """Return the words of all metrics of words, by child and metric."""
    words = {key: {one.name: one.words for one in child.metrics if one.words} for key, child in children}
    return {key: metrics for key, metrics in words.items() if metrics}
