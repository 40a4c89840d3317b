"""Keep the values of metrics over a restart, thinned out, in the history file: a day, a week and a year.

Nothing is done for each value. Every few minutes, the half minutes of the last hour, which `History` holds in memory, are folded
into bins of five minutes and written; six hours of those are folded into hours, and four days of hours into days, in the thread
of the file. Where the file is too small for all metrics, the first ones of each child are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from gateway.errors import StoreError
from gateway.state.database.sqlite import Transaction
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.value_segments import (
    MOST_CHILDREN,
    StoredChild,
    count_segments,
    read_children,
    read_saved_at,
    remove_children,
    remove_segments,
    segment_key,
    write_children,
    write_saved_at,
)
from gateway.status.history import History, last_hour
from gateway.status.series.catalogue import KeptChild, KeptMetric, words_by_child
from gateway.status.series.fair_share import fair_places
from gateway.status.series.folding import Columns, fold_newest, fold_up, merge_segments, read_bins, read_range
from gateway.status.series.levels import BIN_SECONDS, FIVE_MINUTES, HOUR_SECONDS, HOURS, LEVELS, Bin, Kind, Range
from gateway.status.series.points import columns_with_gaps, points_of
from gateway.status.series.records import Chart
from gateway.status.snapshot import MetricHistory, NoChart

T = TypeVar("T")

log = logging.getLogger(__name__)

SHARE_OF_FILE: Final = 0.75
"""So much of the history file is for values over time."""
BYTES_OF_METRIC: Final = sum(level.kept_seconds // level.segment_seconds * (8 + 6 * level.bins + 2) for level in LEVELS)
"""What a metric that changes all the time takes in the file, in a year: about 8 kB."""

SMALL_SITE: Final = 2000
"""Up to so many metrics, what is not complete is written as well, so that a kill costs five minutes instead of half an hour."""
FOLDED_AT_ONCE: Final = 100
"""Children whose segments are folded in one save: all of them in turn, long before anything is too old."""
PAUSE_EVERY: Final = 20
"""Children after which the event loop may do something else."""
WRONG_CLOCK: Final = timedelta(minutes=5)
"""Nothing is saved while the clock of the machine is further from the right time."""

CHILDREN_AT_ONCE: Final = 50
"""Children whose last hour is read in one transaction."""

_BINS_IN_MEMORY: Final = HOUR_SECONDS // FIVE_MINUTES.seconds - 1


@dataclass(frozen=True, slots=True)
class KeptShare:
    """How far the history file suffices."""

    metrics: int
    """For so many metrics there is room."""
    places: int
    """So many of each child are kept, at the most."""
    left_out: int
    """Metrics of which only the last hour is kept."""


class KeptValues:
    """The values of all metrics over time: a part of the history file.

    Args:
        history: the last hour, in memory.
        file: keeps them; `None`: there is the last hour alone.
        most_bytes: how large the file may be; 0: there is none.
        is_child: says whether there still is a child with this key.
        right_time: returns the right time, `None` while it is not known.
        now: returns the time of this machine, from which readings have theirs.
    """

    def __init__(
        self,
        history: History,
        file: HistoryFile | None = None,
        *,
        most_bytes: int = 0,
        is_child: Callable[[str], bool] = lambda key: True,
        right_time: Callable[[], datetime | None] = lambda: datetime.now(UTC),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._history = history
        self._file = file
        self._most_metrics = int(most_bytes * SHARE_OF_FILE) // BYTES_OF_METRIC
        self._is_child = is_child
        self._right_time = right_time
        self._now = now
        self._children: dict[str, KeptChild] = {}
        self._gone: list[int] = []
        self._saved_to: dict[str, int] = {}
        """The first bin of five minutes that is not complete in the file, by child."""
        self._folded: dict[str, int] = {}
        """The segment of hours that was current when the child was folded last."""
        self._handed_over = _Handed({}, {}, [], [])
        self.writes_all = False
        """Write what is not complete as well, as before a stop."""
        if file is not None:
            file.add_part(self)

    async def load(self) -> None:
        """Take up the last hour of an earlier run; without a usable file, nothing."""
        now = int(self._now().timestamp())
        try:
            stored = await self._read(read_children)
            saved_at = await self._read(read_saved_at)
        except StoreError:
            return
        for child in stored:
            try:
                self._children[child.key] = KeptChild.from_json(child.number, child.metrics)
            except ValueError:
                log.warning("history: the list of metrics of %s cannot be read; its values begin anew", child.key)
                self._gone.append(child.number)
        self._history.number_words_as(words_by_child(self._children.items()))
        for start in range(0, len(self._children), CHILDREN_AT_ONCE):
            some = islice(self._children.items(), start, start + CHILDREN_AT_ONCE)
            numbers = {key: child.number for key, child in some}
            try:
                read = await self._read(lambda db: _last_hours(db, numbers, now))  # noqa: B023 - it is called at once
            except StoreError:
                return
            for key, columns in read.items():
                self._restore(key, columns, saved_at // BIN_SECONDS)

    def _restore(self, key: str, columns: Columns, until: int) -> None:
        metrics = self._children[key].metrics
        for position, bins in columns.items():
            if position < len(metrics) and self._children[key].positions[metrics[position].name] == position:
                metric = metrics[position]
                self._history.restore(key, metric.name, metric.unit, metric.kind, bins, until)

    def share(self) -> KeptShare:
        """Return how far the file suffices for the metrics that there are now."""
        wanted = self._history.chart_counts
        places = fair_places(wanted, self._most_metrics)
        return KeptShare(self._most_metrics, places, sum(max(0, one - places) for one in wanted.values()))

    async def series(self, child: str, metric: str, wanted: Range, until: datetime) -> MetricHistory | NoChart:
        """Return one metric in the range before a time, or why there is none; waits for the file, except for the hour."""
        chart = self._history.chart(child, metric)
        if wanted is Range.HOUR:
            return last_hour(chart, until) if isinstance(chart, Chart) else chart
        kept = self._children.get(child)
        position = None if kept is None else kept.positions.get(metric)
        newest: Mapping[int, Bin] = {}
        if isinstance(chart, Chart):
            newest = chart.ring.folded(0, int(until.timestamp()) // FIVE_MINUTES.seconds + 1)
        seconds = (int(until.timestamp()) - wanted.seconds, int(until.timestamp()) + 1)
        if kept is None or position is None:
            if not isinstance(chart, Chart):
                return chart
            bins = fold_newest(newest, wanted, is_words=chart.ring.kind is Kind.WORDS)
            return _series(_shown(chart), bins, wanted, NoChart.NOT_KEPT if self._is_left_out(child, metric) else None)
        stored = kept.metrics[position]
        is_words, number, place = stored.kind is Kind.WORDS, kept.number, position
        try:
            bins = await self._read(lambda db: read_range(db, number, place, wanted, seconds, newest, is_words=is_words))
        except StoreError:
            bins = fold_newest(newest, wanted, is_words=is_words)
        first, last = (one // wanted.step_seconds for one in seconds)
        shown = {number: one for number, one in bins.items() if first <= number <= last}
        missing = NoChart.NOT_KEPT if self._is_left_out(child, metric) else None
        return _series(_shown(chart) if isinstance(chart, Chart) else stored, shown, wanted, missing)

    def is_kept(self, child: str, metric: str) -> bool:
        """Whether something of this metric is in the file."""
        kept = self._children.get(child)
        return kept is not None and metric in kept.positions

    def _is_left_out(self, child: str, metric: str) -> bool:
        places = self.share().places
        return metric not in {chart.metric for chart in self._history.charts(child)[:places]}

    async def _read(self, work: Callable[[Transaction], T]) -> T:
        if self._file is None:
            raise StoreError("there is no history file")
        return await self._file.transact(work)

    # the part of the file ---------------------------------------------------------------------------------------------

    async def unsaved(self, *, is_full: bool) -> Callable[[Transaction], None] | None:
        """Return what writes the bins that are not in the file yet, folds those that are complete and removes what is old."""
        right, now = self._right_time(), self._now()
        if not is_full or self._most_metrics == 0 or right is None or abs(right - now) > WRONG_CLOCK:
            return None
        seconds = int(now.timestamp())
        self._forget_gone()
        share = self.share()
        writes_all = self.writes_all or sum(self._history.chart_counts.values()) <= SMALL_SITE
        past = seconds // FIVE_MINUTES.seconds + 1 if writes_all else seconds // FIVE_MINUTES.segment_seconds * FIVE_MINUTES.bins
        columns: dict[int, Columns] = {}
        saved_to: dict[str, int] = {}
        for place, key in enumerate(list(self._history.children)):
            if place % PAUSE_EVERY == PAUSE_EVERY - 1:
                await asyncio.sleep(0)
            bins = self._new_bins(key, share.places, past)
            if bins:
                columns[self._children[key].number] = bins
            saved_to[key] = min(past, seconds // FIVE_MINUTES.seconds)
        current = seconds // HOURS.segment_seconds
        waiting = (key for key in self._children if self._folded.get(key) != current)
        folded = dict.fromkeys(islice(waiting, FOLDED_AT_ONCE), current)
        changed = [child for child in self._children.values() if child.is_changed]
        self._handed_over = _Handed(saved_to, folded, changed, list(self._gone))
        rows = [StoredChild(one.number, key, one.to_json()) for key, one in self._children.items() if one.is_changed]
        words = {self._children[key].number: self._children[key].word_positions for key in folded}
        gone = tuple(self._gone)

        def write(db: Transaction) -> None:
            remove_children(db, gone)
            write_children(db, rows)
            for child, bins in columns.items():
                merge_segments(db, child, FIVE_MINUTES, bins)
            for child, positions in words.items():
                fold_up(db, child, positions, seconds)
            write_saved_at(db, seconds)
            if not words:
                _remove_old(db, seconds, most=200 + 4 * len(columns))

        return write

    def saved(self) -> None:
        """Note what is in the file now."""
        handed = self._handed_over
        self._saved_to.update(handed.saved_to)
        self._folded.update(handed.folded)
        for child in handed.changed:
            child.is_changed = False
        self._gone = [number for number in self._gone if number not in handed.gone]

    def begin_anew(self) -> None:
        """Write everything that is in memory into the new file."""
        self._saved_to.clear()
        self._folded.clear()
        self._gone.clear()
        for child in self._children.values():
            child.is_changed = True

    def thin(self, db: Transaction) -> bool:
        """Remove the oldest tenth of the days, then of the hours, then of the five minutes."""
        for level in reversed(LEVELS):
            if count := count_segments(db, level.number):
                bounds = segment_key(level.number, 0, 0), segment_key(level.number + 1, 0, 0)
                remove_segments(db, *bounds, most=count // 10 + 1)
                return True
        return False

    def _new_bins(self, key: str, places: int, past: int) -> Columns:
        """Return the bins of a child from the last ones that were saved until before `past`, by position."""
        charts = self._history.charts(key)[:places]
        first = self._saved_to.get(key, past - _BINS_IN_MEMORY)
        if first > past:  # the clock was put back
            first = past - _BINS_IN_MEMORY
        columns: Columns = {}
        for chart in charts:
            bins = chart.ring.folded(first, past)
            if bins and (position := self._kept_child(key).position_of(chart)) is not None:
                columns[position] = bins
        return columns

    def _kept_child(self, key: str) -> KeptChild:
        child = self._children.get(key)
        if child is None:
            number = max((one.number for one in self._children.values()), default=0) + 1
            child = self._children[key] = KeptChild(min(number, MOST_CHILDREN - 1))
        return child

    def _forget_gone(self) -> None:
        for key in [key for key in self._children if not self._is_child(key)]:
            self._gone.append(self._children.pop(key).number)
            self._saved_to.pop(key, None)
            self._folded.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Handed:
    """What was handed over to be saved."""

    saved_to: Mapping[str, int]
    folded: Mapping[str, int]
    changed: list[KeptChild]
    gone: list[int]


def _shown(chart: Chart) -> KeptMetric:
    return KeptMetric(chart.metric, chart.unit, chart.ring.kind, chart.words)


def _series(metric: KeptMetric, bins: Mapping[int, Bin], wanted: Range, missing: NoChart | None) -> MetricHistory:
    at, low, mean, high = columns_with_gaps(points_of(bins, wanted.step_seconds), wanted.step_seconds)
    return MetricHistory(
        metric=metric.name,
        unit=metric.unit,
        kind=metric.kind,
        words=tuple(metric.words),
        range=wanted,
        step_seconds=wanted.step_seconds,
        at=at,
        low=low,
        mean=mean,
        high=high,
        missing=missing,
    )


def _last_hours(db: Transaction, numbers: Mapping[str, int], now: int) -> dict[str, Columns]:
    return {key: read_bins(db, number, FIVE_MINUTES, (now - HOUR_SECONDS, now), None) for key, number in numbers.items()}


def _remove_old(db: Transaction, now: int, *, most: int) -> None:
    """Remove what is too old, a little at a time: a clock that is wrong for a moment removes little."""
    for level in LEVELS:
        first, past = (segment_key(level.number, at // level.segment_seconds, 0) for at in (0, now - level.kept_seconds))
        remove_segments(db, first, past, most=most)
