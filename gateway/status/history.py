"""The last hour of each metric, thinned, and the last changes of each child: bounded in memory. Nothing here waits.

Only what the page shows is kept, in memory alone: a restart begins with an empty hour.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf, isfinite, nan
from statistics import median
from typing import Final, TypeAlias, cast

from gateway.models import Block, Metric, MetricRow, Reach, Reading, Value
from gateway.status.snapshot import ChangeShown, Series, ValueShown

BIN_SECONDS: Final = 30
BINS: Final = 120
"""An hour."""
CHANGES_KEPT: Final = 50
ERROR_KINDS_KEPT: Final = 12
OTHER: Final = "other reasons"
ROWS_KEPT: Final = 64
METRICS_KEPT: Final = 500
"""Of one child: a device that makes up new names for what it says must not fill the memory."""
VALUES_HELD: Final = 320_000
"""Over all children, before they are folded in, some 10 MB: half a minute of 10,000 values a second is folded in at once."""

_Point: TypeAlias = tuple[int, float | None, float | None, float | None]

_FAR: Final = 1e38
"""Numbers beyond it, and those that are none, are not drawn."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_NOTHING: Final = (inf, -inf)
"""The lowest and highest of no values."""


class History:
    """What children said lately. Fed with every reading and every change, in the order in which they came."""

    def __init__(self, *, most_metrics: int = 10_000) -> None:
        """Keep an hour of so many metrics over all children; of those beyond, the last value alone."""
        self._room = most_metrics
        self._held = 0
        self._children: dict[str, _Past] = {}

    def take(self, readings: Sequence[Reading]) -> None:
        """Take readings in. Those of a `Block` are only held until their half minute is over or somebody looks."""
        if isinstance(readings, Block):
            self._take_block(readings)
            return
        for child, metric, value, at in readings:
            past = self._past(child)
            if past.rows:
                self._fold_all(past)
            track = past.track_of(metric)
            track.value, track.at = value, at
            self._draw(track, value, _half_minute(at))

    def changed(self, child: str, reach: Reach, at: datetime, why: str | None) -> None:
        """Note that a child fell silent, or is back."""
        self._past(child).changes.appendleft(ChangeShown(at=at, reach=reach, why=why))

    def missed(self, child: str, why: str) -> None:
        """Note a transaction that was not answered, or not in a way that can be trusted."""
        errors = self._past(child).errors
        kind = why if why in errors or len(errors) < ERROR_KINDS_KEPT else OTHER
        errors[kind] = errors.get(kind, 0) + 1

    def latest(self, child: str) -> tuple[ValueShown, ...]:
        """Return the last value of each metric of this child, by name."""
        past = self._up_to_date(child)
        if past is None:
            return ()
        return tuple(_shown(name, track) for name, track in sorted(past.tracks.items()))

    def errors(self, child: str) -> Mapping[str, int]:
        """Return how many transactions of this child failed, by reason, the most frequent first."""
        past = self._children.get(child)
        return {} if past is None else dict(sorted(past.errors.items(), key=lambda item: -item[1]))

    def changes(self, child: str) -> tuple[ChangeShown, ...]:
        """Return when this child fell silent and was back, the latest first."""
        past = self._children.get(child)
        return () if past is None else tuple(past.changes)

    def is_full(self, child: str) -> bool:
        """Whether this child has said so many metrics that further ones are not kept."""
        past = self._up_to_date(child)
        return past is not None and past.spare is not None

    def outline(self, child: str, metric: str, *, until: datetime) -> Sequence[tuple[int, float]]:
        """Return the means of one metric in the hour before this moment, each with its time; for a picture of a glance."""
        past = self._up_to_date(child)
        track = None if past is None else past.tracks.get(metric)
        return [] if track is None or track.line is None else track.line.means(_half_minute(until))

    def series(self, child: str, metric: str, *, until: datetime) -> Series | None:
        """Return the hour of one metric before this moment; `None` when it has none."""
        past = self._up_to_date(child)
        track = None if past is None else past.tracks.get(metric)
        if track is None or track.line is None:
            return None
        points = list(_with_gaps(list(track.line.points(_half_minute(until)))))
        at, low, mean, high = zip(*points, strict=True) if points else ((), (), (), ())
        return Series(metric=metric, unit=track.unit, at=at, low=low, mean=mean, high=high)

    def _past(self, child: str) -> _Past:
        past = self._children.get(child)
        if past is None:
            past = self._children[child] = _Past()
        return past

    def _up_to_date(self, child: str) -> _Past | None:
        """Return what is kept of this child, with all that it said folded in."""
        past = self._children.get(child)
        if past is not None:
            self._fold_all(past)
        return past

    def _take_block(self, block: Block) -> None:
        past = self._past(block.child)
        row = past.rows.get(block.row)
        if row is None:
            row = self._new_row(past, block.row)
        at, values = block.at, block.values
        if len(values) != len(row.tracks):
            raise ValueError(f"a row of {len(row.tracks)} metrics came with {len(values)} values")
        if not row.since <= at < row.until:
            self._fold(row)
            row.open(at)
        row.blocks.append(values)
        row.at = at
        self._held += len(values)
        if self._held > VALUES_HELD:
            self._fold(row)

    def _new_row(self, past: _Past, metrics: MetricRow) -> _Row:
        """Look up the tracks of a row, and remember them: for its present rows, since a new plan makes new ones.

        No two of them hold values of the same metric, so that they are folded in in the order in which they came.
        """
        tracks = [past.track_of(metric) for metric in metrics.metrics]
        is_full = len(past.rows) >= ROWS_KEPT
        shared = {track for track in tracks if track is not past.spare}
        for known, row in list(past.rows.items()):
            if is_full or not shared.isdisjoint(row.tracks):
                self._fold(row)
                del past.rows[known]
        row = past.rows[metrics] = _Row(tracks)
        return row

    def _fold_all(self, past: _Past) -> None:
        for row in past.rows.values():
            self._fold(row)

    def _fold(self, row: _Row) -> None:
        """Fold in what a row holds, metric by metric: together, values cost a fraction of what each costs alone."""
        if not row.blocks:
            return
        blocks, row.blocks = row.blocks, []
        count, moment, at = len(blocks), _half_minute(row.since), row.at
        self._held -= count * len(row.tracks)
        for track, values in zip(row.tracks, zip(*blocks, strict=True), strict=True):
            track.value, track.at = values[-1], at
            numbers = cast("Sequence[float]", values)
            try:
                total, low, high = sum(numbers), min(numbers), max(numbers)
                are_drawn = low > -_FAR and high < _FAR and total == total  # not so where one is no number
            except (TypeError, OverflowError):  # a text is among them, or nothing, or a number without end
                are_drawn = False
            if are_drawn and (line := track.line or self._new_line(track, numbers[0], moment)) is not None:
                line.take(count, total, low, high, moment)
            elif not are_drawn:
                for value in values:
                    self._draw(track, value, moment)

    def _draw(self, track: _Track, value: Value, moment: int) -> None:
        if isinstance(value, str) or value is None or not -_FAR < value < _FAR:
            return
        if (line := track.line or self._new_line(track, value, moment)) is not None:
            line.take(1, value, value, value, moment)

    def _new_line(self, track: _Track, first: float, moment: int) -> _Line | None:
        if self._room <= 0:
            return None
        self._room -= 1
        track.line = _Line(float(first), moment)
        return track.line


class _Past:
    """What is kept of one child."""

    __slots__ = ("changes", "errors", "rows", "spare", "tracks")

    def __init__(self) -> None:
        self.tracks: dict[str, _Track] = {}
        self.rows: dict[MetricRow, _Row] = {}
        self.changes: deque[ChangeShown] = deque(maxlen=CHANGES_KEPT)
        self.errors: dict[str, int] = {}
        self.spare: _Track | None = None
        """Takes the values of all metrics for which there is no room, and is not shown."""

    def track_of(self, metric: Metric) -> _Track:
        """Return where this metric is kept."""
        track = self.tracks.get(metric.name)
        if track is not None:
            return track
        if len(self.tracks) >= METRICS_KEPT:
            self.spare = self.spare or _Track(None)
            return self.spare
        track = self.tracks[metric.name] = _Track(metric.unit)
        return track


class _Row:
    """Blocks of one row that are not folded in yet: all of one half minute."""

    __slots__ = ("at", "blocks", "since", "tracks", "until")

    def __init__(self, tracks: Sequence[_Track]) -> None:
        self.tracks = tracks
        self.blocks: list[Sequence[Value]] = []
        self.at = self.since = self.until = _NEVER

    def open(self, at: datetime) -> None:
        """Hold blocks of the half minute of this moment from now on."""
        self.since = datetime.fromtimestamp(_half_minute(at) * BIN_SECONDS, UTC)
        self.until = self.since + timedelta(seconds=BIN_SECONDS)


class _Track:
    """What is kept of one metric: its last value and, where it is a number, its hour."""

    __slots__ = ("at", "line", "unit", "value")

    def __init__(self, unit: str | None) -> None:
        self.unit = unit
        self.value: Value = None
        self.at = _NEVER
        self.line: _Line | None = None


class _Line:
    """An hour of one number: half minutes in rings, each value as the short distance from the first one.

    The lowest and highest are kept from the first half minute on in which they differ: a number that is read once in it, or
    stands still, costs a third.
    """

    __slots__ = ("_base", "_bin", "_count", "_high", "_highs", "_low", "_lows", "_means", "_sum")

    def __init__(self, first: float, moment: int) -> None:
        self._base = first
        self._means = array("f", [nan]) * BINS
        self._lows: array[float] | None = None
        self._highs: array[float] | None = None
        self._bin, self._count, self._sum = moment, 0, 0.0
        self._low, self._high = _NOTHING

    def take(self, count: int, total: float, low: float, high: float, moment: int) -> None:
        """Fold so many values of one half minute into it."""
        if moment != self._bin:
            self._turn(moment)
        base = self._base
        self._count += count
        self._sum += total - count * base
        if low - base < self._low:
            self._low = low - base
        if high - base > self._high:
            self._high = high - base

    def points(self, until: int) -> Iterator[_Point]:
        """Yield a point for each half minute of the hour before `until` that has one."""
        self._keep()
        lows, highs = self._lows or self._means, self._highs or self._means
        for one in range(max(self._bin, until) - BINS + 1, self._bin + 1):
            slot = one % BINS
            if (mean := self._means[slot]) == mean:  # not so where there is none
                at = one * BIN_SECONDS + BIN_SECONDS // 2
                yield at, self._base + lows[slot], self._base + mean, self._base + highs[slot]

    def means(self, until: int) -> Sequence[tuple[int, float]]:
        """Return the mean of each whole half minute of the hour before `until` that has one; the open one is not whole."""
        first, base, means = max(self._bin, until) - BINS + 1, self._base, self._means
        return [
            (one * BIN_SECONDS + BIN_SECONDS // 2, base + mean)
            for one in range(first, self._bin)
            if (mean := means[one % BINS]) == mean
        ]

    def _turn(self, moment: int) -> None:
        """Close the half minute; forget everything when the clock was put back."""
        if moment == self._bin - 1:  # told a moment late: it counts for the half minute that is open
            return
        self._keep()
        for one in range(self._bin + 1, moment + 1) if self._bin < moment < self._bin + BINS else range(BINS):
            self._means[one % BINS] = nan
        self._bin, self._count, self._sum = moment, 0, 0.0
        self._low, self._high = _NOTHING

    def _keep(self) -> None:
        """Put the open half minute into its place."""
        if not self._count:
            return
        slot = self._bin % BINS
        self._means[slot] = self._sum / self._count
        if self._lows is None and self._low != self._high:
            self._lows, self._highs = array("f", self._means), array("f", self._means)
        if self._lows is not None and self._highs is not None:
            self._lows[slot], self._highs[slot] = self._low, self._high


def _half_minute(at: datetime) -> int:
    return int(at.timestamp()) // BIN_SECONDS


def _with_gaps(points: Sequence[_Point]) -> Iterator[_Point]:
    """Put a point of nothing where points are missing, measured by how far apart they usually are."""
    usual = median([later[0] - former[0] for former, later in pairwise(points)] or [BIN_SECONDS])
    before: int | None = None
    for point in points:
        if before is not None and point[0] - before > 2.5 * usual:
            yield before + BIN_SECONDS, None, None, None
        yield point
        before = point[0]


def _shown(name: str, track: _Track) -> ValueShown:
    value = track.value
    if isinstance(value, float) and not isfinite(value):
        value = None  # JSON has no word for what is no number
    return ValueShown(metric=name, value=value, unit=track.unit, at=track.at, has_history=track.line is not None)
