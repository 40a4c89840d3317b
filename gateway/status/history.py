"""The last hour of each metric, thinned, and the last changes of each child: bounded in memory. Nothing here waits.

Only what the page shows is kept, in memory alone: a restart begins with an empty hour.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import inf, isfinite, nan
from statistics import median
from typing import Final, TypeAlias

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

_Point: TypeAlias = tuple[int, float | None, float | None, float | None]

_FAR: Final = 1e38
"""Numbers beyond it, and those that are none, are not drawn."""
_NOTHING: Final = (inf, -inf)
"""The lowest and highest of no values."""


class History:
    """What children said lately. Fed with every reading and every change, in the order in which they came."""

    def __init__(self, *, most_metrics: int = 25_000) -> None:
        """Keep an hour of so many metrics over all children; of those beyond, the last value alone."""
        self._room = most_metrics
        self._children: dict[str, _Past] = {}

    def take(self, readings: Sequence[Reading]) -> None:
        """Fold readings in."""
        if isinstance(readings, Block):
            self._take_block(readings)
            return
        for child, metric, value, at in readings:
            track = self._past(child).track_of(metric)
            track.value, track.at = value, at
            self._draw(track, value, int(at.timestamp()) // BIN_SECONDS)

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
        past = self._children.get(child)
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
        past = self._children.get(child)
        return past is not None and past.spare is not None

    def outline(self, child: str, metric: str, *, until: datetime) -> Sequence[tuple[int, float]]:
        """Return the means of one metric in the hour before this moment, each with its time; for a picture of a glance."""
        past = self._children.get(child)
        track = None if past is None else past.tracks.get(metric)
        return [] if track is None or track.line is None else track.line.means(int(until.timestamp()) // BIN_SECONDS)

    def series(self, child: str, metric: str, *, until: datetime) -> Series | None:
        """Return the hour of one metric before this moment; `None` when it has none."""
        past = self._children.get(child)
        track = None if past is None else past.tracks.get(metric)
        if track is None or track.line is None:
            return None
        points = list(_with_gaps(list(track.line.points(int(until.timestamp()) // BIN_SECONDS))))
        at, low, mean, high = zip(*points, strict=True) if points else ((), (), (), ())
        return Series(metric=metric, unit=track.unit, at=at, low=low, mean=mean, high=high)

    def _past(self, child: str) -> _Past:
        past = self._children.get(child)
        if past is None:
            past = self._children[child] = _Past()
        return past

    def _take_block(self, block: Block) -> None:
        """Fold one transaction in: its metrics are looked up once, however often they are read."""
        past = self._past(block.child)
        tracks = past.rows.get(block.row)
        if tracks is None:
            tracks = past.tracks_of(block.row)
        at, moment = block.at, int(block.at.timestamp()) // BIN_SECONDS
        for track, value in zip(tracks, block.values, strict=True):
            track.value, track.at = value, at
            self._draw(track, value, moment)

    def _draw(self, track: _Track, value: Value, moment: int) -> None:
        if isinstance(value, str) or value is None or not -_FAR < value < _FAR:
            return
        if track.line is None:
            if self._room <= 0:
                return
            self._room -= 1
            track.line = _Line(float(value), moment)
        track.line.take(float(value), moment)


class _Past:
    """What is kept of one child."""

    __slots__ = ("changes", "errors", "rows", "spare", "tracks")

    def __init__(self) -> None:
        self.tracks: dict[str, _Track] = {}
        self.rows: dict[MetricRow, Sequence[_Track]] = {}
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

    def tracks_of(self, row: MetricRow) -> Sequence[_Track]:
        """Look up the tracks of a row, and remember them: for its present rows, since a new plan makes new ones."""
        if len(self.rows) >= ROWS_KEPT:
            self.rows.clear()
        tracks = [self.track_of(metric) for metric in row.metrics]
        self.rows[row] = tracks
        return tracks


class _Track:
    """What is kept of one metric: its last value and, where it is a number, its hour."""

    __slots__ = ("at", "line", "unit", "value")

    def __init__(self, unit: str | None) -> None:
        self.unit = unit
        self.value: Value = None
        self.at = datetime.min.replace(tzinfo=UTC)
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

    def take(self, value: float, moment: int) -> None:
        """Fold one value into its half minute."""
        if moment != self._bin:
            self._turn(moment)
        distance = value - self._base
        self._count += 1
        self._sum += distance
        if distance < self._low:
            self._low = distance
        if distance > self._high:
            self._high = distance

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
