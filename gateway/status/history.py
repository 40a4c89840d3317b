"""Keep the last hour of each metric, thinned out, and the last availability changes of each child: bounded, in memory. Pure.

Only what the page shows is kept. A restart begins with an empty hour.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf, isfinite, nan
from statistics import median
from typing import Final, TypeAlias, cast

from gateway.models import Block, Metric, MetricRow, Reach, Reading, Value
from gateway.status.snapshot import AvailabilityChange, LatestValue, MetricHistory

BIN_SECONDS: Final = 30
BINS: Final = 120
"""Bins of an hour."""
MAX_CHANGES: Final = 50
MAX_ERROR_KINDS: Final = 12
OTHER_REASONS: Final = "other reasons"
MAX_PENDING_ROWS: Final = 64
MAX_METRICS_PER_CHILD: Final = 500
"""A device that invents new names for its metrics must not fill the memory."""
MAX_PENDING_VALUES: Final = 320_000
"""Values of all children that wait to be merged, some 10 MB: half a minute of 10,000 values a second is merged at once."""

_Point: TypeAlias = tuple[int, float | None, float | None, float | None]

_MAX_DRAWN: Final = 1e38
"""Larger numbers, and NaN, are not drawn."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_EMPTY_RANGE: Final = (inf, -inf)
"""The lowest and highest of no values."""


class History:
    """The recent values, errors and availability of all children. Fed with every reading and change, in the order they came."""

    def __init__(self, *, max_metrics: int = 10_000) -> None:
        """Keep an hour of this many metrics over all children; of further metrics only the last value."""
        self._free_rings = max_metrics
        self._pending_values = 0
        self._children: dict[str, _ChildHistory] = {}

    def take(self, readings: Sequence[Reading]) -> None:
        """Add readings. Those of a `Block` are held until their half minute is over or somebody looks."""
        if isinstance(readings, Block):
            self._take_block(readings)
            return
        for child, metric, value, at in readings:
            history = self._history_of(child)
            if history.pending:
                self._merge_all(history)
            record = history.record_of(metric)
            record.value, record.at = value, at
            self._add_number(record, value, _bin_of(at))

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """Record that a child stopped answering, or answers again."""
        self._history_of(child).changes.appendleft(AvailabilityChange(at=at, reach=reach, why=why))

    def missed(self, child: str, why: str) -> None:
        """Count a transaction that was not answered, or whose answer cannot be trusted."""
        errors = self._history_of(child).errors
        kind = why if why in errors or len(errors) < MAX_ERROR_KINDS else OTHER_REASONS
        errors[kind] = errors.get(kind, 0) + 1

    def keep_only(self, children: Collection[str]) -> None:
        """Forget all others: their hours are free for further metrics."""
        for child in [child for child in self._children if child not in children]:
            history = self._children.pop(child)
            self._free_rings += sum(record.ring is not None for record in history.own_records())
            self._pending_values -= sum(len(one.blocks) * len(one.records) for one in history.pending.values())

    def latest_values(self, child: str) -> tuple[LatestValue, ...]:
        """Return the last value of each metric of this child, by name."""
        history = self._merged(child)
        if history is None:
            return ()
        return tuple(_latest_value(name, record) for name, record in sorted(history.records.items()))

    def errors(self, child: str) -> Mapping[str, int]:
        """Return how many transactions of this child failed, by reason, the most frequent first."""
        history = self._children.get(child)
        return {} if history is None else dict(sorted(history.errors.items(), key=lambda item: -item[1]))

    def changes(self, child: str) -> tuple[AvailabilityChange, ...]:
        """Return when this child stopped answering and answered again, the latest first."""
        history = self._children.get(child)
        return () if history is None else tuple(history.changes)

    def is_full(self, child: str) -> bool:
        """Whether this child has so many metrics that further ones are not kept."""
        history = self._merged(child)
        return history is not None and history.overflow is not None

    def sparkline_points(self, child: str, metric: str, *, until: datetime) -> Sequence[tuple[int, float]]:
        """Return the means of one metric in the hour before this time, each with its time."""
        history = self._merged(child)
        record = None if history is None else history.records.get(metric)
        return [] if record is None or record.ring is None else record.ring.means(_bin_of(until))

    def metric_history(self, child: str, metric: str, *, until: datetime) -> MetricHistory | None:
        """Return one metric in the hour before this time; `None` when it has no numbers."""
        history = self._merged(child)
        record = None if history is None else history.records.get(metric)
        if record is None or record.ring is None:
            return None
        points = list(_with_gaps(list(record.ring.points(_bin_of(until)))))
        at, low, mean, high = zip(*points, strict=True) if points else ((), (), (), ())
        return MetricHistory(metric=metric, unit=record.metric.unit, at=at, low=low, mean=mean, high=high)

    def _history_of(self, child: str) -> _ChildHistory:
        history = self._children.get(child)
        if history is None:
            history = self._children[child] = _ChildHistory()
        return history

    def _merged(self, child: str) -> _ChildHistory | None:
        """Return the history of this child, with all pending blocks merged."""
        history = self._children.get(child)
        if history is not None:
            self._merge_all(history)
        return history

    def _take_block(self, block: Block) -> None:
        history = self._history_of(block.child)
        pending = history.pending.get(block.row)
        if pending is None:
            pending = self._new_pending(history, block.row)
        at, values = block.at, block.values
        if len(values) != len(pending.records):
            raise ValueError(f"a row of {len(pending.records)} metrics came with {len(values)} values")
        if not pending.since <= at < pending.until:
            self._merge(pending)
            pending.open_bin(at)
        pending.blocks.append(values)
        pending.at = at
        self._pending_values += len(values)
        if self._pending_values > MAX_PENDING_VALUES:
            self._merge(pending)

    def _new_pending(self, history: _ChildHistory, row: MetricRow) -> _PendingBlocks:
        """Look up the records of a row once; rows of earlier plans are dropped, since each plan creates new ones.

        No two pending rows hold values of the same metric, so values are merged in the order in which they came.
        """
        records = [history.record_of(metric) for metric in row.metrics]
        is_full = len(history.pending) >= MAX_PENDING_ROWS
        shared = {record for record in records if record is not history.overflow}
        for known, pending in list(history.pending.items()):
            if is_full or not shared.isdisjoint(pending.records):
                self._merge(pending)
                del history.pending[known]
        pending = history.pending[row] = _PendingBlocks(records)
        return pending

    def _merge_all(self, history: _ChildHistory) -> None:
        for pending in history.pending.values():
            self._merge(pending)

    def _merge(self, pending: _PendingBlocks) -> None:
        """Merge the blocks of a row, metric by metric: together, values cost a fraction of what each costs alone."""
        if not pending.blocks:
            return
        blocks, pending.blocks = pending.blocks, []
        count, number, at = len(blocks), _bin_of(pending.since), pending.at
        self._pending_values -= count * len(pending.records)
        for record, values in zip(pending.records, zip(*blocks, strict=True), strict=True):
            record.value, record.at = values[-1], at
            numbers = cast("Sequence[float]", values)
            try:
                total, low, high = sum(numbers), min(numbers), max(numbers)
                are_drawn = low > -_MAX_DRAWN and high < _MAX_DRAWN and total == total  # false if one of them is NaN
            except (TypeError, OverflowError):  # a text or `None` is among them, or a number without end
                are_drawn = False
            if are_drawn and (ring := record.ring or self._new_ring(record, numbers[0], number)) is not None:
                ring.add(count, total, low, high, number)
            elif not are_drawn:
                for value in values:
                    self._add_number(record, value, number)

    def _add_number(self, record: _MetricRecord, value: Value, number: int) -> None:
        if isinstance(value, str) or value is None or not -_MAX_DRAWN < value < _MAX_DRAWN:
            return
        if (ring := record.ring or self._new_ring(record, value, number)) is not None:
            ring.add(1, value, value, value, number)

    def _new_ring(self, record: _MetricRecord, first: float, number: int) -> _HourRing | None:
        if self._free_rings <= 0:
            return None
        self._free_rings -= 1
        record.ring = _HourRing(float(first), number)
        return record.ring


class _ChildHistory:
    """What is kept of one child."""

    __slots__ = ("changes", "errors", "overflow", "pending", "records")

    def __init__(self) -> None:
        self.records: dict[str, _MetricRecord] = {}
        self.pending: dict[MetricRow, _PendingBlocks] = {}
        self.changes: deque[AvailabilityChange] = deque(maxlen=MAX_CHANGES)
        self.errors: dict[str, int] = {}
        self.overflow: _MetricRecord | None = None
        """Takes the values of all metrics for which there is no room; it is not shown."""

    def record_of(self, metric: Metric) -> _MetricRecord:
        """Return the record of this metric."""
        record = self.records.get(metric.name)
        if record is not None:
            record.metric = metric
            return record
        if len(self.records) >= MAX_METRICS_PER_CHILD:
            self.overflow = self.overflow or _MetricRecord(metric)
            return self.overflow
        record = self.records[metric.name] = _MetricRecord(metric)
        return record

    def own_records(self) -> Iterator[_MetricRecord]:
        """Yield all records."""
        yield from self.records.values()
        if self.overflow is not None:
            yield self.overflow


class _PendingBlocks:
    """Blocks of one row that are not merged yet, all of one half minute."""

    __slots__ = ("at", "blocks", "records", "since", "until")

    def __init__(self, records: Sequence[_MetricRecord]) -> None:
        self.records = records
        self.blocks: list[Sequence[Value]] = []
        self.at = self.since = self.until = _NEVER

    def open_bin(self, at: datetime) -> None:
        """Hold blocks of the half minute that contains this time from now on."""
        self.since = datetime.fromtimestamp(_bin_of(at) * BIN_SECONDS, UTC)
        self.until = self.since + timedelta(seconds=BIN_SECONDS)


class _MetricRecord:
    """What is kept of one metric: its last value and, if it is a number, its last hour."""

    __slots__ = ("at", "metric", "ring", "value")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        """As it was last read: its unit, and what its profile calls it."""
        self.value: Value = None
        self.at = _NEVER
        self.ring: _HourRing | None = None


class _HourRing:
    """An hour of one number: ring buffers of half minutes, each value stored as its small difference from the first one.

    The lowest and highest are stored from the first half minute on in which they differ: a number that is read once in it, or
    does not change, takes a third of the memory.
    """

    __slots__ = ("_base", "_bin", "_count", "_high", "_highs", "_low", "_lows", "_means", "_sum")

    def __init__(self, first: float, number: int) -> None:
        self._base = first
        self._means = array("f", [nan]) * BINS
        self._lows: array[float] | None = None
        self._highs: array[float] | None = None
        self._bin, self._count, self._sum = number, 0, 0.0
        self._low, self._high = _EMPTY_RANGE

    def add(self, count: int, total: float, low: float, high: float, number: int) -> None:
        """Add this many values of one half minute."""
        if number != self._bin:
            self._start_bin(number)
        base = self._base
        self._count += count
        self._sum += total - count * base
        if low - base < self._low:
            self._low = low - base
        if high - base > self._high:
            self._high = high - base

    def points(self, until: int) -> Iterator[_Point]:
        """Yield a point for each half minute with values in the hour before `until`."""
        self._store_bin()
        lows, highs = self._lows or self._means, self._highs or self._means
        for number in range(max(self._bin, until) - BINS + 1, self._bin + 1):
            slot = number % BINS
            if (mean := self._means[slot]) == mean:  # NaN marks an empty half minute
                at = number * BIN_SECONDS + BIN_SECONDS // 2
                yield at, self._base + lows[slot], self._base + mean, self._base + highs[slot]

    def means(self, until: int) -> Sequence[tuple[int, float]]:
        """Return the mean of each complete half minute with values in the hour before `until`."""
        first, base, means = max(self._bin, until) - BINS + 1, self._base, self._means
        return [
            (number * BIN_SECONDS + BIN_SECONDS // 2, base + mean)
            for number in range(first, self._bin)
            if (mean := means[number % BINS]) == mean
        ]

    def _start_bin(self, number: int) -> None:
        """Close the open half minute and start another one; clear everything when the clock was put back."""
        if number == self._bin - 1:  # a value that comes a little late counts for the open half minute
            return
        self._store_bin()
        for one in range(self._bin + 1, number + 1) if self._bin < number < self._bin + BINS else range(BINS):
            self._means[one % BINS] = nan
        self._bin, self._count, self._sum = number, 0, 0.0
        self._low, self._high = _EMPTY_RANGE

    def _store_bin(self) -> None:
        """Write the open half minute into its slot."""
        if not self._count:
            return
        slot = self._bin % BINS
        self._means[slot] = self._sum / self._count
        if self._lows is None and self._low != self._high:
            self._lows, self._highs = array("f", self._means), array("f", self._means)
        if self._lows is not None and self._highs is not None:
            self._lows[slot], self._highs[slot] = self._low, self._high


def _bin_of(at: datetime) -> int:
    """Return the number of the half minute that contains this time."""
    return int(at.timestamp()) // BIN_SECONDS


def _with_gaps(points: Sequence[_Point]) -> Iterator[_Point]:
    """Insert an empty point where points are missing, compared with their usual distance."""
    usual = median([later[0] - former[0] for former, later in pairwise(points)] or [BIN_SECONDS])
    before: int | None = None
    for point in points:
        if before is not None and point[0] - before > 2.5 * usual:
            yield before + BIN_SECONDS, None, None, None
        yield point
        before = point[0]


def _latest_value(name: str, record: _MetricRecord) -> LatestValue:
    value = record.value
    if isinstance(value, float) and not isfinite(value):
        value = None  # JSON has no word for infinity and NaN
    metric = record.metric
    return LatestValue(
        metric=name,
        value=value,
        unit=metric.unit,
        at=record.at,
        has_history=record.ring is not None,
        title=metric.title,
        decimals=metric.decimals,
        is_headline=metric.headline,
    )
