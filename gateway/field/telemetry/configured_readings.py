"""Change readings as the cloud has configured their child: leave metrics out, and set dead bands. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from gateway.field.children.child_configuration import NOTHING_CONFIGURED, ChildConfiguration, ConfigurationsInEffect
from gateway.models import Block, Metric, MetricRow, Reading

MOST_KEPT = 5_000
"""The most metrics and rows of one child that are kept as configured: an adapter may make them anew for each reading."""


@dataclass(slots=True)
class _ConfiguredMetrics:
    """The metrics of one child under one configuration, each made once."""

    configuration: ChildConfiguration
    metrics: dict[Metric, Metric | None] = field(default_factory=dict)
    """As an adapter reports them -> as configured; `None` for one that is left out."""
    rows: dict[MetricRow, tuple[MetricRow, list[int]]] = field(default_factory=dict)
    """Row of an adapter -> the row as configured, and the places of its values."""

    def metric(self, reported: Metric) -> Metric | None:
        if reported not in self.metrics:
            if len(self.metrics) >= MOST_KEPT:
                self.metrics.clear()
            self.metrics[reported] = self._configured(reported)
        return self.metrics[reported]

    def block(self, block: Block) -> Block:
        if block.row not in self.rows:
            if len(self.rows) >= MOST_KEPT:
                self.rows.clear()
            places = [place for place, metric in enumerate(block.row.metrics) if self.metric(metric) is not None]
            metrics = [metric for reported in block.row.metrics if (metric := self.metric(reported)) is not None]
            self.rows[block.row] = MetricRow(metrics), places
        row, places = self.rows[block.row]
        return Block(block.child, row, [block.values[place] for place in places], block.at)

    def _configured(self, reported: Metric) -> Metric | None:
        if reported.name in self.configuration.metrics_left_out:
            return None
        dead_band = self.configuration.dead_bands.get(reported.name)
        return reported if dead_band is None else replace(reported, dead_band=dead_band or None)


class ConfiguredReadings:
    """The readings of all children as they are configured.

    Args:
        in_effect: the configurations of all children.
    """

    def __init__(self, in_effect: ConfigurationsInEffect) -> None:
        self._in_effect = in_effect
        self._children: dict[str, _ConfiguredMetrics] = {}

    def apply(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Return the readings as configured; those of children without a configuration as they are."""
        if isinstance(readings, Block):
            metrics = self._of(readings.child)
            return readings if metrics is None else metrics.block(readings)
        if not self._in_effect.children:
            return readings
        return list(self._each(readings))

    def _each(self, readings: Sequence[Reading]) -> Iterator[Reading]:
        for reading in readings:
            metrics = self._of(reading.child)
            metric = reading.metric if metrics is None else metrics.metric(reading.metric)
            if metric is not None:
                yield reading if metric is reading.metric else reading._replace(metric=metric)

    def _of(self, child: str) -> _ConfiguredMetrics | None:
        configuration = self._in_effect.of(child)
        if configuration is NOTHING_CONFIGURED:
            return None
        known = self._children.get(child)
        if known is None or known.configuration is not configuration:
            known = self._children[child] = _ConfiguredMetrics(configuration)
        return known

    def forget(self, child: str) -> None:
        """Free what is kept of a child that was removed."""
        self._children.pop(child, None)
