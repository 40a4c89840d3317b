"""Define metrics and readings: what is measured, and its values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias, overload

Value: TypeAlias = bool | int | float | str | None
"""The value of a metric. `None` means that the device reports "not available"; the cloud then drops the key."""

RESERVED_METRICS = frozenset({"status"})
"""Keys that the cloud itself writes into a device's state (device API reference, section 5.1)."""

MOST_TITLE_CHARACTERS = 60
MOST_DECIMALS = 6


class Reduce(StrEnum):
    """How the values of one metric within a telemetry interval are reduced to the one that is sent."""

    LAST = "last"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quantity: one object for each point of a profile, shared by all its readings.

    Raises:
        ValueError: the name is empty or reserved by the cloud.
    """

    name: str
    unit: str | None = None
    urgent: bool = False
    """A changed value is sent at once instead of at the next telemetry interval."""
    reduce: Reduce = Reduce.LAST
    dead_band: float | None = None
    """A number that differs by at least this much from the last one sent is sent at once; `None` when it can always wait."""
    is_event: bool = False
    """The metric is an event, such as the press of a button: urgent each time, also with an unchanged value."""
    title: str | None = None
    """What a person calls it, at most `MOST_TITLE_CHARACTERS` long; `None` to make it from the name."""
    decimals: int | None = None
    """Decimals that a person is shown, 0 to `MOST_DECIMALS`; `None` to choose them by unit and size."""
    headline: bool = False
    """It is one of the two values that a list of devices shows."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "urgent", self.urgent or self.is_event)
        if not self.name or self.name in RESERVED_METRICS:
            raise ValueError(f"a metric cannot be called {self.name!r}: the cloud reserves that key")


class Reading(NamedTuple):
    """One value of one metric of one child at one moment."""

    child: str
    """The child's local key."""
    metric: Metric
    value: Value
    at: datetime
    """Aware, UTC."""


class MetricRow:
    """The metrics that are always read together, in the order of their values; made once for many blocks."""

    __slots__ = ("metrics", "names", "plain")

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.names = tuple(metric.name for metric in self.metrics)
        self.plain = all(
            metric.reduce is Reduce.LAST and not metric.urgent and metric.dead_band is None for metric in self.metrics
        )
        """Only the last values count and none is ever urgent, so that a block can be processed as a whole."""


class Block(Sequence[Reading]):
    """The readings of one transaction as columns: a sequence of readings without an object for each of them."""

    __slots__ = ("at", "child", "row", "values")

    def __init__(self, child: str, row: MetricRow, values: Sequence[Value], at: datetime) -> None:
        self.child = child
        self.row = row
        self.values = values
        """One for each metric of the row."""
        self.at = at

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Reading]:
        for metric, value in zip(self.row.metrics, self.values, strict=True):
            yield Reading(self.child, metric, value, self.at)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> list[Reading]: ...
    def __getitem__(self, index: int | slice) -> Reading | list[Reading]:
        if isinstance(index, slice):
            return list(self)[index]
        return Reading(self.child, self.row.metrics[index], self.values[index], self.at)
