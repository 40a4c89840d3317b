"""Define how finely the values of a metric are kept, for how long, and how fine bins become coarse ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

BIN_SECONDS: Final = 30
"""A bin of the hour that is kept in memory."""
BINS: Final = 120
"""Bins of an hour."""

HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 24 * HOUR_SECONDS


class Bin(NamedTuple):
    """The values of one span of time. Of a metric of words, they are the numbers of its words, and `mean` is the last one."""

    low: float
    mean: float
    high: float


Bins: TypeAlias = Mapping[int, Bin]
"""Bins by their number: seconds since 1970 divided by the length of a bin."""


@dataclass(frozen=True, slots=True)
class Level:
    """One fineness in which values are kept in the file, in segments of a few bins of one child, each written once."""

    number: int
    """From 1, the finest."""
    seconds: int
    """The length of a bin."""
    bins: int
    """Of a segment."""
    kept_seconds: int
    """Older segments are removed."""

    @property
    def segment_seconds(self) -> int:
        """The length of a segment."""
        return self.seconds * self.bins


FIVE_MINUTES: Final = Level(1, 300, 6, 31 * HOUR_SECONDS)
"""Kept until the six hours behind a day are surely folded into hours."""
HOURS: Final = Level(2, HOUR_SECONDS, 6, 12 * DAY_SECONDS)
"""Kept until the four days behind a week are surely folded into days."""
DAYS: Final = Level(3, DAY_SECONDS, 4, 370 * DAY_SECONDS)
LEVELS: Final = (FIVE_MINUTES, HOURS, DAYS)

FOLD: Final = FIVE_MINUTES.seconds // BIN_SECONDS
"""Half minutes of a bin of the finest level."""


class Range(StrEnum):
    """A range of time that a chart shows."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    YEAR = "year"

    @property
    def seconds(self) -> int:
        """Its length."""
        return _SECONDS[self]

    @property
    def step_seconds(self) -> int:
        """The length of one of its bins."""
        return _STEPS[self]


_SECONDS: Final = {
    Range.HOUR: HOUR_SECONDS,
    Range.DAY: DAY_SECONDS,
    Range.WEEK: 7 * DAY_SECONDS,
    Range.YEAR: 365 * DAY_SECONDS,
}
_STEPS: Final = {Range.HOUR: BIN_SECONDS, Range.DAY: FIVE_MINUTES.seconds, Range.WEEK: HOURS.seconds, Range.YEAR: DAYS.seconds}


class Kind(StrEnum):
    """What the values of a metric are, which decides how they are drawn."""

    NUMBER = "number"
    SWITCH = "switch"
    """On or off: kept as 1 and 0, so that a mean is the share of the time in which it was on."""
    WORDS = "words"


def fold(bins: Bins, times: int, *, is_words: bool = False) -> dict[int, Bin]:
    """Return bins that are so many times as long: the lowest, the mean of the means (of words the last), the highest."""
    groups: dict[int, list[Bin]] = {}
    for number in sorted(bins):
        groups.setdefault(number // times, []).append(bins[number])
    return {number: fold_group(group, is_words=is_words) for number, group in groups.items()}


def fold_group(group: list[Bin], *, is_words: bool) -> Bin:
    """Return one bin for several, the earliest first."""
    lows, means, highs = zip(*group, strict=True)
    return Bin(min(lows), means[-1] if is_words else sum(means) / len(means), max(highs))
