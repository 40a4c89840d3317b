"""Keep the last hour of each metric, thinned out, and the last availability changes of each child: bounded, in memory. Pure.

Only what the page shows is kept. Where there are more metrics than hours, each child gets its share, its first metrics first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final, cast

from gateway.causes import Reason
from gateway.models import Block, Metric, MetricRow, Reach, Reading, Value
from gateway.state.wall_clock import RELEASED_AFTER
from gateway.status.failure_counts import FailureCounts
from gateway.status.series.fair_share import ChartShares
from gateway.status.series.levels import BIN_SECONDS, FOLD, Bins, Kind
from gateway.status.series.points import columns_with_gaps
from gateway.status.series.records import NEVER, Chart, MetricRecord, Rank
from gateway.status.series.ring import HourRing
from gateway.status.snapshot import AvailabilityChange, FailureCount, LatestValue, MetricHistory, NoChart

MAX_CHANGES: Final = 50
MAX_PENDING_ROWS: Final = 64
MAX_METRICS_PER_CHILD: Final = 500
"""A device that invents new names for its metrics must not fill the memory."""
MAX_PENDING_VALUES: Final = 320_000
"""Values of all children that wait to be merged, some 10 MB: half a minute of 10,000 values a second is merged at once."""

_MAX_DRAWN: Final = 1e38
"""Larger numbers, and NaN, are not drawn."""
_MIN_DRAWN: Final = -_MAX_DRAWN
_NUMBER: Final = Kind.NUMBER  # looked up for each value: a name of the module costs less than the member of a class


class History:
    """The recent values, errors and availability of all children. Fed with every reading and change, in the order they came."""

    def __init__(self, *, max_metrics: int = 10_000, rank: Callable[[Metric], Rank] = lambda metric: ()) -> None:
        """Keep an hour of this many metrics over all children, shared fairly; of further metrics only the last value.

        Args:
            max_metrics: for so many there is memory.
            rank: the metrics of a child have their hour in the order of this; those of the same rank as they came.
        """
        self._rank = rank
        self.max_metrics = max_metrics
        """An hour is kept of so many metrics."""
        self._shares = ChartShares(max_metrics)
        self._words: Mapping[str, Mapping[str, Sequence[str]]] = {}
        self._pending_values = 0
        self._children: dict[str, _ChildHistory] = {}

    def take(self, readings: Sequence[Reading]) -> None:
        """Add readings. Those of a `Block` are held until their half minute is over or somebody looks."""
        if isinstance(readings, Block):
            self._take_block(readings)
            return
        binned_at, number = NEVER, 0
        for child, metric, value, at in readings:
            history = self._history_of(child)
            if history.pending:
                self._merge_all(history)
            record = history.record_of(metric)
            record.value, record.at = value, at
            if at is not binned_at:  # readings of one transaction have one time
                binned_at, number = at, _bin_of(at)
            self._add_value(history, record, value, number)

    def number_words_as(self, words: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Give the words of metrics the numbers that they had in an earlier run: by child and metric, in their order."""
        self._words = words

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """Record that a child stopped answering, or answers again."""
        self._history_of(child).changes.appendleft(AvailabilityChange(at=at, reach=reach, why=why))

    def missed(self, child: str, reason: Reason) -> None:
        """Count a transaction that was not answered, or whose answer cannot be trusted."""
        self._history_of(child).failures.count(reason)

    def last_readings(self, child: str) -> list[Reading]:
        """Return the last reading of each metric of this child, in the order in which they came first."""
        history = self._merged(child)
        records = [] if history is None else history.records.values()
        return [Reading(child, record.metric, record.value, record.at) for record in records if record.at != NEVER]

    def restore_last(self, child: str, values: Iterable[Reading], changes: Iterable[AvailabilityChange]) -> None:
        """Put what was known of a child before the start behind what this run knows of it.

        Args:
            child: its key.
            values: its last values.
            changes: the latest first.
        """
        history = self._history_of(child)
        for _, metric, value, at in values:
            known = history.records.get(metric.name)
            if known is None or known.at == NEVER:  # of some, values over time were restored before
                record = history.record_of(metric)
                record.value, record.at = value, at
        for change in changes:
            if len(history.changes) < MAX_CHANGES:
                history.changes.append(change)

    def restore_failures(self, child: str, counts: Iterable[FailureCount]) -> None:
        """Add the failures of a child that were counted before the start."""
        self._history_of(child).failures.restore(counts)

    def redate(self, right: Callable[[datetime], datetime]) -> None:
        """Move times that no clock can have shown rightly to their right time, after the clock was set.

        Args:
            right: returns the right time for what the clock showed, and any other time as it is.
        """
        for history in self._children.values():
            changes = [
                one if one.at >= RELEASED_AFTER else one.model_copy(update={"at": right(one.at)}) for one in history.changes
            ]
            history.changes.clear()
            history.changes.extend(changes)
            for record in history.records.values():
                if NEVER < record.at < RELEASED_AFTER:
                    record.at = right(record.at)

    def keep_only(self, children: Collection[str]) -> None:
        """Forget all others: their hours are free for further metrics."""
        for child in [child for child in self._children if child not in children]:
            history = self._children.pop(child)
            self._shares.forget(child)
            self._pending_values -= sum(len(one.blocks) * len(one.records) for one in history.pending.values())

    def latest_values(self, child: str) -> tuple[LatestValue, ...]:
        """Return the last value of each metric of this child, by name."""
        history = self._merged(child)
        if history is None:
            return ()
        known = ((name, record) for name, record in sorted(history.records.items()) if record.at != NEVER)
        return tuple(_latest_value(name, record) for name, record in known)

    def metrics(self, child: str) -> tuple[Metric, ...]:
        """Return the metrics of this child, in the order in which they came first."""
        history = self._children.get(child)
        return () if history is None else tuple(record.metric for record in history.records.values())

    def latest_of(self, child: str, metrics: Sequence[str]) -> list[LatestValue]:
        """Return the last values of these metrics of this child, without those that it does not have."""
        history = self._merged(child)
        records = {} if history is None else history.records
        known = ((metric, records[metric]) for metric in metrics if metric in records)
        return [_latest_value(metric, record) for metric, record in known if record.at != NEVER]

    def failures(self, child: str) -> tuple[FailureCount, ...]:
        """Return how many transactions of this child failed, by kind, the most frequent first."""
        history = self._children.get(child)
        return () if history is None else history.failures.counts()

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

    def charts(self, child: str) -> Sequence[Chart]:
        """Return the metrics of this child of which values over time are kept, the first ones first."""
        history = self._merged(child)
        return [] if history is None else history.charts()

    def chart(self, child: str, metric: str) -> Chart | NoChart:
        """Return one metric with its values over time, or why there are none."""
        history = self._merged(child)
        record = None if history is None else history.records.get(metric)
        if history is None or record is None:
            return NoChart.FULL if history is not None and history.overflow is not None else NoChart.UNKNOWN
        if record.ring is None:
            return NoChart.FULL if record.was_refused else NoChart.NOT_DRAWN
        return Chart(metric, record.metric.unit, record.ring, tuple(record.words))

    def restore(self, child: str, metric: str, unit: str | None, kind: Kind, bins: Bins, until: int) -> None:
        """Put what an earlier run kept of the last hour of one metric behind what this run knows of it.

        Args:
            child: whose metric it is.
            metric: its name.
            unit: its unit.
            kind: what its values are.
            bins: bins of five minutes, by number.
            until: the number of the half minute in which they were saved.
        """
        if not bins:
            return
        history = self._history_of(child)
        record = history.record_of(Metric(metric, unit))
        if record is history.overflow:
            return
        first = 0.0 if kind is Kind.WORDS else bins[max(bins)].mean
        ring = record.ring or self._new_ring(history, record, first, min(until + 1, (max(bins) + 1) * FOLD), kind)
        if ring is not None and ring.kind is kind:
            ring.restore(bins, until)

    def metric_history(self, child: str, metric: str, *, until: datetime) -> MetricHistory | None:
        """Return one metric in the hour before this time; `None` when none of its values can be drawn."""
        chart = self.chart(child, metric)
        return None if isinstance(chart, NoChart) else last_hour(chart, until)

    @property
    def chart_counts(self) -> Mapping[str, int]:
        """Of how many metrics of each child an hour is kept; children without one are left out."""
        return self._shares.counts

    @property
    def children(self) -> Collection[str]:
        """The children of which something is kept."""
        return self._children.keys()

    def _history_of(self, child: str) -> _ChildHistory:
        history = self._children.get(child)
        if history is None:
            history = self._children[child] = _ChildHistory(child, self._rank, self._words.get(child, {}))
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
        pending = history.pending[row] = _PendingBlocks(history, records)
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
            first = values[0]
            record.value, record.at = values[-1], at
            if isinstance(first, str):  # before the numbers: an error for each word costs more than all else
                for value in (first,) if values.count(first) == count else values:
                    self._add_value(pending.history, record, value, number)
                continue
            numbers = cast("Sequence[float]", values)
            try:
                total, low, high = sum(numbers), min(numbers), max(numbers)
                are_drawn = low > _MIN_DRAWN and high < _MAX_DRAWN and total == total  # false if one of them is NaN
            except (TypeError, OverflowError):  # a text or `None` is among them, or a number without end
                are_drawn = False
            if are_drawn and (ring := record.ring) is not None and ring.kind is _NUMBER:
                ring.add(count, total, low, high, number)
            elif are_drawn:
                one = next((value for value in numbers if not isinstance(value, bool)), numbers[0])
                self._add_numbers(pending.history, record, (count, total, low, high), one, number)
            else:
                for value in values:
                    self._add_value(pending.history, record, value, number)

    def _add_value(self, history: _ChildHistory, record: MetricRecord, value: Value, number: int) -> None:
        if isinstance(value, str):
            ring = record.ring or self._new_ring(history, record, 0.0, number, Kind.WORDS)
            if ring is not None and ring.kind is Kind.WORDS:
                ring.add_word(record.number_of(value), number)
        elif value is not None and _MIN_DRAWN < value < _MAX_DRAWN:
            self._add_numbers(history, record, (1, value, value, value), value, number)

    def _add_numbers(
        self, history: _ChildHistory, record: MetricRecord, sums: tuple[int, float, float, float], one: float, number: int
    ) -> None:
        """Add values of one half minute: their count, sum, lowest and highest, and one of them, `True` or `False` if all are."""
        kind = Kind.SWITCH if isinstance(one, bool) else Kind.NUMBER
        ring = record.ring or self._new_ring(history, record, float(one), number, kind)
        if ring is None or ring.kind is Kind.WORDS:
            return
        if ring.kind is not kind:
            ring.kind = Kind.NUMBER
        ring.add(*sums, number)

    def _new_ring(self, history: _ChildHistory, record: MetricRecord, first: float, number: int, kind: Kind) -> HourRing | None:
        """Give a metric its hour, `None` when this child has its share and this metric is not among its first ones."""
        if record.refused_at == self._shares.revision or record is history.overflow:
            return None
        if (grant := self._shares.ask(history.child)) is None:
            last = history.last_chart()
            if last is None or last.rank < record.rank:
                record.refused_at = self._shares.revision
                return None
            self._take_ring(last)
        elif grant.loser is not None and (last := self._children[grant.loser].last_chart()) is not None:
            self._take_ring(last)
        record.ring = HourRing(first, number, kind)
        return record.ring

    def _take_ring(self, record: MetricRecord) -> None:
        record.ring, record.refused_at = None, self._shares.revision


class _ChildHistory:
    """What is kept of one child."""

    __slots__ = ("changes", "child", "failures", "overflow", "pending", "rank", "records", "words")

    def __init__(self, child: str, rank: Callable[[Metric], Rank], words: Mapping[str, Sequence[str]]) -> None:
        self.child = child
        self.rank = rank
        self.words = words
        self.records: dict[str, MetricRecord] = {}
        self.pending: dict[MetricRow, _PendingBlocks] = {}
        self.changes: deque[AvailabilityChange] = deque(maxlen=MAX_CHANGES)
        self.failures = FailureCounts()
        self.overflow: MetricRecord | None = None
        """Takes the values of all metrics for which there is no room; it is not shown."""

    def record_of(self, metric: Metric) -> MetricRecord:
        """Return the record of this metric."""
        record = self.records.get(metric.name)
        if record is not None:
            if metric is not record.metric:
                if metric.headline != record.metric.headline:
                    record.rank = (*self.rank(metric), record.rank[-1])
                record.metric = metric
            return record
        if len(self.records) >= MAX_METRICS_PER_CHILD:
            self.overflow = self.overflow or MetricRecord(metric, ())
            return self.overflow
        record = self.records[metric.name] = MetricRecord(metric, (*self.rank(metric), len(self.records)))
        if metric.name in self.words:
            record.words = {word: number for number, word in enumerate(self.words[metric.name])}
        return record

    def charts(self) -> list[Chart]:
        """Return the metrics that have an hour, in their order."""
        drawn = [(record.rank, name, record) for name, record in self.records.items() if record.ring is not None]
        return [
            Chart(name, record.metric.unit, record.ring, tuple(record.words))
            for _, name, record in sorted(drawn)
            if record.ring is not None
        ]

    def last_chart(self) -> MetricRecord | None:
        """Return the least important metric that has an hour."""
        drawn = (record for record in self.records.values() if record.ring is not None)
        return max(drawn, key=lambda record: record.rank, default=None)


class _PendingBlocks:
    """Blocks of one row that are not merged yet, all of one half minute."""

    __slots__ = ("at", "blocks", "history", "records", "since", "until")

    def __init__(self, history: _ChildHistory, records: Sequence[MetricRecord]) -> None:
        self.history = history
        self.records = records
        self.blocks: list[Sequence[Value]] = []
        self.at = self.since = self.until = NEVER

    def open_bin(self, at: datetime) -> None:
        """Hold blocks of the half minute that contains this time from now on."""
        self.since = datetime.fromtimestamp(_bin_of(at) * BIN_SECONDS, UTC)
        self.until = self.since + timedelta(seconds=BIN_SECONDS)


def _bin_of(at: datetime) -> int:
    """Return the number of the half minute that contains this time."""
    return int(at.timestamp()) // BIN_SECONDS


def last_hour(chart: Chart, until: datetime) -> MetricHistory:
    """Return the hour of a metric before this time."""
    at, low, mean, high = columns_with_gaps(list(chart.ring.points(_bin_of(until))), BIN_SECONDS)
    return MetricHistory(
        metric=chart.metric, unit=chart.unit, kind=chart.ring.kind, words=tuple(chart.words), at=at, low=low, mean=mean, high=high
    )


def _latest_value(name: str, record: MetricRecord) -> LatestValue:
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
        kind=None if record.ring is None else record.ring.kind,
        is_unkept=record.was_refused,
        title=metric.title,
        decimals=metric.decimals,
        is_headline=metric.headline,
    )
