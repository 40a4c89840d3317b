"""Keep the last hour of one metric in half minutes, each value as its small difference from the first one. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import inf, nan
from typing import Final, TypeAlias

from gateway.status.series.levels import BIN_SECONDS, BINS, FOLD, Bin, Kind, fold_group

Point: TypeAlias = tuple[int, float, float, float]
"""Time in seconds since 1970, lowest, mean, highest."""

_EMPTY_RANGE: Final = (inf, -inf)
"""The lowest and highest of no values."""


class HourRing:
    """An hour of one metric: ring buffers of half minutes.

    The lowest and highest are stored from the first half minute on in which they differ: a number that is read once in it, or
    does not change, takes a third of the memory.
    """

    __slots__ = ("_base", "_bin", "_count", "_high", "_highs", "_low", "_lows", "_means", "_sum", "kind")

    def __init__(self, first: float, number: int, kind: Kind = Kind.NUMBER) -> None:
        self.kind = kind
        self._base = first
        self._means = array("f", [nan]) * BINS
        self._lows: array[float] | None = None
        self._highs: array[float] | None = None
        self._bin, self._count, self._sum = number, 0, 0.0
        self._low, self._high = _EMPTY_RANGE

    @property
    def last_bin(self) -> int:
        """The number of the half minute with the last value."""
        return self._bin

    def add(self, count: int, total: float, low: float, high: float, number: int) -> None:
        """Add this many values of one half minute."""
        if number != self._bin:
            self._start_bin(number)
        base = self._base
        self._count += count
        self._sum += total - count * base
        low, high = low - base, high - base
        if low < self._low:
            self._low = low
        if high > self._high:
            self._high = high

    def add_word(self, word: int, number: int) -> None:
        """Add the number of a word: the last one of a half minute stands for it."""
        if number != self._bin:
            self._start_bin(number)
        value = word - self._base
        self._count, self._sum = 1, value
        self._low, self._high = min(self._low, value), max(self._high, value)

    def points(self, until: int) -> Iterator[Point]:
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

    def folded(self, first: int, past: int) -> dict[int, Bin]:
        """Return the bins of five minutes from `first` until before `past`, as far as they are within the hour."""
        self._store_bin()
        folded: dict[int, Bin] = {}
        earliest = -((BINS - 1 - self._bin) // FOLD)  # the first whose half minutes are all within the hour
        base, is_words = self._base, self.kind is Kind.WORDS
        for number in range(max(first, earliest), min(past, self._bin // FOLD + 1)):
            start = number * FOLD % BINS
            means = self._means[start : start + min(FOLD, self._bin + 1 - number * FOLD)]  # behind it is the hour before
            there = [place for place, mean in enumerate(means, start) if mean == mean]
            if not there:
                continue
            lows, highs = self._lows or self._means, self._highs or self._means
            group = [Bin(lows[place], self._means[place], highs[place]) for place in there]
            low, mean, high = group[0] if len(group) == 1 else fold_group(group, is_words=is_words)
            folded[number] = Bin(base + low, base + mean, base + high)
        return folded

    def restore(self, bins: Mapping[int, Bin], until: int) -> None:
        """Fill empty half minutes with what the bins of five minutes say, of an earlier run.

        Args:
            bins: by their number.
            until: the number of the half minute in which they were saved; nothing is known after it.
        """
        lows, highs = array("f", self._lows or self._means), array("f", self._highs or self._means)
        for number, (low, mean, high) in bins.items():
            first, past = max(number * FOLD, self._bin - BINS + 1), min((number + 1) * FOLD, until + 1, self._bin)
            for slot in range(first % BINS, first % BINS + past - first):
                if self._means[slot] != self._means[slot]:
                    lows[slot], self._means[slot], highs[slot] = low - self._base, mean - self._base, high - self._base
        self._lows, self._highs = (None, None) if lows == self._means == highs else (lows, highs)

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
