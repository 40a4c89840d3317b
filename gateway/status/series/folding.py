"""Read the bins of metrics from the history file, and fold segments that are complete into those of the next level."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from gateway.state.database.sqlite import Transaction
from gateway.state.history.value_segments import oldest_segment, read_segments, segment_key, write_segments
from gateway.status.series.encoding import decode_segment, encode_segment
from gateway.status.series.levels import DAYS, FIVE_MINUTES, HOURS, LEVELS, Bin, Level, Range, fold

Columns: TypeAlias = dict[int, dict[int, Bin]]
"""The bins of several metrics, by position and number."""


def read_bins(db: Transaction, child: int, level: Level, seconds: tuple[int, int], positions: Collection[int] | None) -> Columns:
    """Return the bins of a child at one level.

    Args:
        db: the history file.
        child: its number.
        level: how fine.
        seconds: from which time until before which time, in seconds since 1970; whole segments are returned.
        positions: of which metrics; `None` for all.
    """
    segments = range(seconds[0] // level.segment_seconds, -(-seconds[1] // level.segment_seconds))
    keys = {segment_key(level.number, segment, child): segment for segment in segments}
    columns: Columns = {}
    for key, blob in read_segments(db, list(keys)).items():
        try:
            decoded = decode_segment(blob, positions)
        except ValueError:  # damaged
            continue
        for position, bins in decoded.items():
            first = keys[key] * level.bins
            columns.setdefault(position, {}).update({first + place: one for place, one in bins.items()})
    return columns


def merge_segments(db: Transaction, child: int, level: Level, columns: Columns) -> None:
    """Write bins of a child; what is there of the same segments already, and is not among them, stays."""
    if not columns:
        return
    numbers = [number for bins in columns.values() for number in bins]
    span = (min(numbers) * level.seconds, (max(numbers) + 1) * level.seconds)
    whole = read_bins(db, child, level, span, None)
    for position, bins in columns.items():
        whole.setdefault(position, {}).update(bins)
    segments: dict[int, Columns] = {}
    for position, bins in whole.items():
        for number, one in bins.items():
            segment = segments.setdefault(number // level.bins, {})
            segment.setdefault(position, {})[number % level.bins] = one
    keyed = {segment_key(level.number, number, child): encode_segment(segment) for number, segment in segments.items()}
    write_segments(db, keyed)


def fold_up(db: Transaction, child: int, words: Collection[int], now: int) -> None:
    """Fold what is complete and was not folded yet, into hours and then into days.

    Args:
        db: the history file.
        child: the number of the child.
        words: the positions of its metrics of words.
        now: seconds since 1970.
    """
    for finer, coarser in ((FIVE_MINUTES, HOURS), (HOURS, DAYS)):
        oldest = oldest_segment(db, finer.number)
        if oldest is None:
            continue
        segments = range(oldest * finer.segment_seconds // coarser.segment_seconds, now // coarser.segment_seconds)
        keys = {segment: segment_key(coarser.number, segment, child) for segment in segments}
        there = read_segments(db, list(keys.values()))
        for segment in (segment for segment, key in keys.items() if key not in there):
            start = segment * coarser.segment_seconds
            bins = read_bins(db, child, finer, (start, start + coarser.segment_seconds), None)
            if bins:
                merge_segments(db, child, coarser, _folded(bins, finer, coarser, words))


def read_range(
    db: Transaction,
    child: int,
    position: int,
    wanted: Range,
    seconds: tuple[int, int],
    newest: Mapping[int, Bin],
    *,
    is_words: bool,
) -> dict[int, Bin]:
    """Return the bins of one metric in a range: from the level of the range, and from finer ones what is not folded yet.

    Args:
        db: the history file.
        child: its number.
        position: of the metric.
        wanted: the range, which decides how fine the bins are; not the hour.
        seconds: from which time until before which time.
        newest: bins of five minutes that are not in the file yet.
        is_words: the metric is one of words.
    """
    words = {position} if is_words else set[int]()
    bins: Columns = {}
    for finer, level in zip((None, *LEVELS), LEVELS, strict=False):
        begin = max(seconds[0], seconds[1] - level.kept_seconds) // level.segment_seconds * level.segment_seconds
        read = read_bins(db, child, level, (begin, seconds[1]), {position}).get(position, {})
        below = dict(newest) if finer is None else _folded(bins, finer, level, words).get(position, {})
        # what was folded is whole; what is finer may have lost its beginning
        bins = {position: read | below if finer is None else below | read}
        if level.seconds == wanted.step_seconds:
            break
    return bins.get(position, {})


def fold_newest(newest: Mapping[int, Bin], wanted: Range, *, is_words: bool) -> dict[int, Bin]:
    """Return the bins of a range from the bins of five minutes that are in memory alone."""
    return fold(newest, wanted.step_seconds // FIVE_MINUTES.seconds, is_words=is_words)


def _folded(columns: Columns, finer: Level, coarser: Level, words: Collection[int]) -> Columns:
    times = coarser.seconds // finer.seconds
    return {position: fold(bins, times, is_words=position in words) for position, bins in columns.items()}
