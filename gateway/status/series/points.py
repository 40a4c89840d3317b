"""Turn bins into the columns of a chart, with an empty point where values are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import TypeAlias

from gateway.status.series.levels import Bins
from gateway.status.series.ring import Point

_MaybePoint: TypeAlias = Point | tuple[int, None, None, None]
Columns: TypeAlias = tuple[tuple[int, ...], tuple[float | None, ...], tuple[float | None, ...], tuple[float | None, ...]]
"""Times in seconds since 1970, lowest, mean, highest."""


def columns_with_gaps(points: Sequence[Point], step_seconds: int) -> Columns:
    """Return points as columns, with an empty point where values are missing, compared with their usual distance."""
    if not points:
        return (), (), (), ()
    at, low, mean, high = zip(*_with_gaps(points, step_seconds), strict=True)
    return at, low, mean, high


def points_of(bins: Bins, step_seconds: int) -> list[Point]:
    """Return bins as points, each at the middle of its bin."""
    return [(number * step_seconds + step_seconds // 2, *bins[number]) for number in sorted(bins)]


def _with_gaps(points: Sequence[Point], step_seconds: int) -> Iterator[_MaybePoint]:
    usual = median([later[0] - former[0] for former, later in pairwise(points)] or [step_seconds])
    before: int | None = None
    for point in points:
        if before is not None and point[0] - before > 2.5 * usual:
            yield before + step_seconds, None, None, None
        yield point
        before = point[0]
