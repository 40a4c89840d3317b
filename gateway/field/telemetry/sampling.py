"""Readings to samples: many values in, one sample a child and interval out. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.field.children.availability import AvailabilityChange
from gateway.field.observer import NO_OBSERVER, Observer
from gateway.models import Block, Metric, Reach, Reading, Reduce, Sample, Status, Value


class _Gathering:
    """What one child has said since its last sample."""

    __slots__ = ("at", "counts", "first", "said", "status", "urgent", "values")

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.counts: dict[str, int] = {}  # of the metrics that are averaged
        self.said: dict[str, Value] = {}  # the last value that was told of each metric whose changes may be urgent
        self.at: datetime | None = None
        self.status = Status.ONLINE
        self.urgent = False
        self.first = True


class Sampler:
    """The latest values of every child, reduced to one sample each time it is collected.

    A sample holds what was read since the one before, never an old value again. A silent child has one sample that says so and
    none after it until it is back.
    """

    def __init__(self, *, observer: Observer = NO_OBSERVER) -> None:
        self._observer = observer
        self._children: dict[str, _Gathering] = {}
        self._silent: set[str] = set()
        self._urgent: set[str] = set()
        self.readings_taken = 0
        """How many values were taken in since the start."""

    @property
    def has_urgent(self) -> bool:
        """Something waits that is worth telling before the interval is over."""
        return bool(self._urgent)

    def take(self, readings: Sequence[Reading]) -> None:
        """Fold readings in.

        A child's first ones, a changed value of an urgent metric, and one that leaves its dead band, make its sample urgent.
        """
        self.readings_taken += len(readings)
        self._observer.take(readings)
        if isinstance(readings, Block) and readings.row.plain:
            whole = self._gathering(readings.child)
            whole.values.update(zip(readings.row.names, readings.values, strict=True))
            whole.at = readings.at
            return
        last, current, gathering = Reduce.LAST, "", _NOBODY
        for child, metric, value, at in readings:
            if child is not current:
                current, gathering = child, self._gathering(child)
            gathering.at = at
            if metric.reduce is not last:
                _reduce(gathering, metric.name, metric.reduce, value)
            else:
                gathering.values[metric.name] = value
            if metric.urgent:
                self._heed(child, gathering, metric, value)
            elif metric.dead_band is not None:
                self._compare(child, gathering, metric.name, value, metric.dead_band)

    def note(self, change: AvailabilityChange) -> None:
        """Take in that a child fell silent or is back: worth telling at once."""
        gathering = self._children.setdefault(change.child, _Gathering())
        if change.reach is Reach.SILENT:
            gathering.status = Status.OFFLINE
            gathering.at = change.at
            self._silent.add(change.child)
            self._urgent.add(change.child)
        else:
            gathering.status = Status.ONLINE
            self._silent.discard(change.child)

    def collect(self, at: datetime) -> list[Sample]:
        """Return one sample for each child that is not silent or fell silent since, and start the next interval."""
        keys = [key for key in self._children if key not in self._silent or key in self._urgent]
        return [self._sample(key, at) for key in keys]

    def collect_urgent(self, at: datetime, *, without: Iterable[str] = ()) -> list[Sample]:
        """Return the samples that are urgent, less those of the children named; these stay urgent."""
        return [self._sample(key, at) for key in self._urgent.difference(without)]

    def give_back(self, samples: Iterable[Sample]) -> None:
        """Take samples back that could not be kept; newer values win over those in them."""
        for sample in samples:
            gathering = self._children.setdefault(sample.child, _Gathering())
            gathering.values = {**sample.values, **gathering.values}
            gathering.at = gathering.at or sample.at
            if sample.status is Status.OFFLINE:
                self._urgent.add(sample.child)

    def forget(self, child: str) -> None:
        """Drop a child that is no child any more."""
        self._children.pop(child, None)
        self._silent.discard(child)
        self._urgent.discard(child)

    def _gathering(self, child: str) -> _Gathering:
        gathering = self._children.get(child)
        if gathering is None:
            gathering = self._children[child] = _Gathering()
        if gathering.first:
            gathering.first = False
            self._urgent.add(child)
        return gathering

    def _heed(self, child: str, gathering: _Gathering, metric: Metric, value: Value) -> None:
        if metric.is_event or gathering.said.get(metric.name, _NEVER) != value:
            gathering.said[metric.name] = value
            self._urgent.add(child)

    def _compare(self, child: str, gathering: _Gathering, name: str, value: Value, dead_band: float) -> None:
        """Take a number for urgent that is a dead band or more from what was last told of it."""
        told = gathering.said.setdefault(name, value)
        if (_is_number(value) != _is_number(told)) or (_is_number(value) and abs(value - told) >= dead_band):  # type: ignore[operator]  # numbers
            gathering.said[name] = value
            self._urgent.add(child)

    def _sample(self, key: str, at: datetime) -> Sample:
        gathering = self._children[key]
        gathering.said.update((name, gathering.values[name]) for name in gathering.said.keys() & gathering.values.keys())
        sample = Sample(key, gathering.at or at, gathering.status, gathering.values)
        gathering.values, gathering.counts, gathering.at = {}, {}, None
        self._urgent.discard(key)
        return sample


_NEVER = object()
_NOBODY = _Gathering()


def _reduce(gathering: _Gathering, name: str, how: Reduce, value: Value) -> None:
    """Fold one value into the interval's. What cannot be compared or averaged (a text, "not available") replaces it."""
    before = gathering.values.get(name)
    if not _is_number(value) or not _is_number(before):
        gathering.values[name] = value
        gathering.counts[name] = 1
    elif how is Reduce.MIN:
        gathering.values[name] = min(before, value)  # type: ignore[type-var]  # both are numbers: asked one line above
    elif how is Reduce.MAX:
        gathering.values[name] = max(before, value)  # type: ignore[type-var]  # as above
    else:
        count = gathering.counts[name] = gathering.counts.get(name, 1) + 1
        gathering.values[name] = before + (value - before) / count  # type: ignore[operator]  # as above


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
