"""Reduce the readings of each child to one sample per telemetry interval. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.field.children.availability import AvailabilityChange
from gateway.field.observer import NO_OBSERVER, Observer
from gateway.models import Block, Metric, Reach, Reading, Reduce, Sample, Status, Value


class _PendingSample:
    """The values that a child reported since its last sample."""

    __slots__ = ("at", "counts", "given_back", "is_event", "is_first", "last_reported", "status", "values")

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.counts: dict[str, int] = {}  # how many values a metric that is averaged has
        self.last_reported: dict[str, Value] = {}  # of each metric whose changes may be urgent
        self.at: datetime | None = None
        self.status = Status.ONLINE
        self.is_first = True
        self.is_event = False
        self.given_back: Sample | None = None  # what could not be stored, without its values: they are in `values`


class Sampler:
    """Collects readings, and returns one sample for each child when it is asked for them.

    A sample contains what was read since the one before, never an old value again. A silent child has one sample that says so and
    none after it until it answers again.
    """

    def __init__(self, *, observer: Observer = NO_OBSERVER) -> None:
        self._observer = observer
        self._pending: dict[str, _PendingSample] = {}
        self._silent: set[str] = set()
        self._urgent: set[str] = set()
        self.readings_taken = 0
        """How many values were taken in since the start."""

    def __contains__(self, child: object) -> bool:
        return child in self._pending

    @property
    def has_urgent(self) -> bool:
        """Whether a child has a sample that should be sent before the interval is over."""
        return bool(self._urgent)

    def take(self, readings: Sequence[Reading]) -> None:
        """Add readings.

        A child's sample becomes urgent with its first readings, with a changed value of an urgent metric, and with a value that
        leaves its dead band.
        """
        self.readings_taken += len(readings)
        self._observer.take(readings)
        if isinstance(readings, Block) and readings.row.plain:
            block_sample = self._pending_of(readings.child)
            block_sample.values.update(zip(readings.row.names, readings.values, strict=True))
            block_sample.at = readings.at
            return
        last, current, pending = Reduce.LAST, "", _NO_CHILD
        for child, metric, value, at in readings:
            if child is not current:
                current, pending = child, self._pending_of(child)
            pending.at = at
            if metric.reduce is not last:
                _reduce(pending, metric.name, metric.reduce, value)
            else:
                pending.values[metric.name] = value
            if metric.urgent:
                self._check_change(child, pending, metric, value)
            elif metric.dead_band is not None:
                self._check_dead_band(child, pending, metric.name, value, metric.dead_band)

    def note(self, change: AvailabilityChange) -> None:
        """Record that a child fell silent, which is urgent, or that it answers again."""
        pending = self._pending.setdefault(change.child, _PendingSample())
        pending.is_event = True
        if change.reach is Reach.SILENT:
            pending.status = Status.OFFLINE
            pending.at = change.at
            self._silent.add(change.child)
            self._urgent.add(change.child)
        else:
            pending.status = Status.ONLINE
            self._silent.discard(change.child)

    def collect(self, at: datetime) -> list[Sample]:
        """Return one sample for each child that is not silent, or has become silent since, and start the next interval."""
        keys = [key for key in self._pending if key not in self._silent or key in self._urgent]
        return [self._sample(key, at) for key in keys]

    def collect_urgent(self, at: datetime, *, without: Iterable[str] = ()) -> list[Sample]:
        """Return the urgent samples, except those of the children named; these stay urgent."""
        return [self._sample(key, at) for key in self._urgent.difference(without)]

    def give_back(self, samples: Iterable[Sample]) -> None:
        """Take back samples that could not be stored; newer values replace those in them.

        The next sample of the child says how many are put together in it, so that each of them is accounted for.
        """
        for sample in samples:
            pending = self._pending.get(sample.child)
            if pending is None:
                continue  # the child was removed meanwhile
            pending.values = {**sample.values, **pending.values}
            pending.is_event |= sample.is_event
            before = pending.given_back
            pending.given_back = replace(sample, values={}) if before is None else _joined(before, sample)
            if sample.status is Status.OFFLINE:
                self._urgent.add(sample.child)

    @property
    def unstored(self) -> int:
        """How many samples were given back and wait, with those that were merged into others."""
        waiting = (one.given_back for one in self._pending.values())
        return sum(1 + sample.merged for sample in waiting if sample is not None)

    def forget(self, child: str) -> None:
        """Free what is kept of a child that was removed."""
        self._pending.pop(child, None)
        self._silent.discard(child)
        self._urgent.discard(child)

    def _pending_of(self, child: str) -> _PendingSample:
        pending = self._pending.get(child)
        if pending is None:
            pending = self._pending[child] = _PendingSample()
        if pending.is_first:
            pending.is_first = False
            self._urgent.add(child)
        return pending

    def _check_change(self, child: str, pending: _PendingSample, metric: Metric, value: Value) -> None:
        """Make the sample urgent if an urgent metric changed or is an event."""
        if metric.is_event or pending.last_reported.get(metric.name, _NO_VALUE) != value:
            pending.last_reported[metric.name] = value
            pending.is_event = True
            self._urgent.add(child)

    def _check_dead_band(self, child: str, pending: _PendingSample, name: str, value: Value, dead_band: float) -> None:
        """Make the sample urgent if a number differs by the dead band or more from the one that was last reported."""
        reported = pending.last_reported.setdefault(name, value)
        has_left = _is_number(value) != _is_number(reported)
        if has_left or (_is_number(value) and abs(value - reported) >= dead_band):  # type: ignore[operator]  # both are numbers
            pending.last_reported[name] = value
            self._urgent.add(child)

    def _sample(self, key: str, at: datetime) -> Sample:
        pending = self._pending[key]
        pending.last_reported.update(
            (name, pending.values[name]) for name in pending.last_reported.keys() & pending.values.keys()
        )
        sample = Sample(key, pending.at or at, pending.status, pending.values, is_event=pending.is_event)
        if (former := pending.given_back) is not None:
            is_same = pending.at is None  # nothing has come since
            sample = (
                replace(sample, at=former.at, merged=former.merged, merged_from=former.merged_from)
                if is_same
                else (_joined(former, sample))
            )
        pending.values, pending.counts, pending.at = {}, {}, None
        pending.is_event, pending.given_back = False, None
        self._urgent.discard(key)
        return sample


_NO_VALUE = object()
_NO_CHILD = _PendingSample()


def _joined(former: Sample, later: Sample) -> Sample:
    """Return the later sample as one in which the former is, too."""
    first_at = former.merged_from or former.at
    return replace(later, merged=former.merged + later.merged + 1, merged_from=first_at)


def _reduce(pending: _PendingSample, name: str, how: Reduce, value: Value) -> None:
    """Reduce a value with the one before. A value that cannot be compared or averaged (text, or not available) replaces it."""
    before = pending.values.get(name)
    if not _is_number(value) or not _is_number(before):
        pending.values[name] = value
        pending.counts[name] = 1
    elif how is Reduce.MIN:
        pending.values[name] = min(before, value)  # type: ignore[type-var]  # both are numbers: checked above
    elif how is Reduce.MAX:
        pending.values[name] = max(before, value)  # type: ignore[type-var]  # as above
    else:
        count = pending.counts[name] = pending.counts.get(name, 1) + 1
        pending.values[name] = before + (value - before) / count  # type: ignore[operator]  # as above


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
