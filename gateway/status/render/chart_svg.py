"""Turn values over time into the shapes of an SVG picture: lines with the room between lowest and highest, and bands. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor, log10
from typing import Final

from gateway.status.languages.texts import decimal, gettext_noop
from gateway.status.languages.texts import gettext as _
from gateway.status.render.shown_values import shown_word
from gateway.status.series.levels import Kind, Range
from gateway.status.snapshot import MetricHistory

WIDTH: Final = 720
HEIGHT: Final = 220
BAND_HEIGHT: Final = 26
ON, OFF, MIXED = "on", "off", "mixed"
COLOURS: Final = 8
"""Words have one of so many colours."""
MONTHS: Final = (
    *(
        gettext_noop("Jan"),
        gettext_noop("Feb"),
        gettext_noop("Mar"),
        gettext_noop("Apr"),
        gettext_noop("May"),
        gettext_noop("Jun"),
    ),
    *(
        gettext_noop("Jul"),
        gettext_noop("Aug"),
        gettext_noop("Sep"),
        gettext_noop("Oct"),
        gettext_noop("Nov"),
        gettext_noop("Dec"),
    ),
)
DAYS: Final = (
    *(
        gettext_noop("Mon"),
        gettext_noop("Tue"),
        gettext_noop("Wed"),
        gettext_noop("Thu"),
        gettext_noop("Fri"),
        gettext_noop("Sat"),
    ),
    gettext_noop("Sun"),
)
_TICK_SECONDS: Final = {Range.HOUR: 600, Range.DAY: 4 * 3600, Range.WEEK: 86400}
_MOST_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place of an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A metric of numbers."""

    series: MetricHistory
    lines: Sequence[str]
    """Points of each part without a gap."""
    areas: Sequence[str]
    """The room between lowest and highest of each part."""
    ticks: Sequence[Tick]
    """Of its axis."""


@dataclass(frozen=True, slots=True)
class Part:
    """A span of time with one value."""

    x: float
    width: float
    mark: str
    """The CSS class of its colour."""
    text: str


@dataclass(frozen=True, slots=True)
class Bands:
    """A switch or a metric of words."""

    series: MetricHistory
    parts: Sequence[Part]

    @property
    def legend(self) -> Sequence[Part]:
        """One part for each value that occurs."""
        return list({part.text: part for part in sorted(self.parts, key=lambda part: part.mark)}.values())


def number_lines(series: Sequence[MetricHistory], until: datetime, *, width: float = WIDTH) -> list[Line]:
    """Return the metrics of numbers as lines; those with the same unit share their axis."""
    numbers = [one for one in series if one.kind is Kind.NUMBER and any(mean is not None for mean in one.mean)]
    shares_axis = len({one.unit for one in numbers}) == 1
    spans = [_span([one]) for one in numbers]
    if shares_axis and numbers:
        spans = [_span(numbers)] * len(numbers)
    return [_line(one, span, until, width) for one, span in zip(numbers, spans, strict=True)]


def bands(series: MetricHistory, until: datetime, *, width: float = WIDTH) -> Bands:
    """Return a switch or a metric of words as bands, one part for each span in which the value is the same."""
    half = series.step_seconds / 2
    parts: list[tuple[float, float, str, str]] = []
    for at, low, mean, high in zip(series.at, series.low, series.mean, series.high, strict=True):
        if low is None or mean is None or high is None:
            continue
        mark, text = _value_of(series, low, mean, high)
        start, end = at - half, at + half
        if parts and parts[-1][3] == text and start - parts[-1][1] <= 2 * series.step_seconds:
            parts[-1] = (parts[-1][0], end, mark, text)
        else:
            parts.append((start, end, mark, text))
    return Bands(series, list(_placed(parts, series, until, width)))


def time_ticks(wanted: Range, until: datetime, *, width: float = WIDTH) -> list[Tick]:
    """Return the labelled times of a range, in UTC."""
    first = until - timedelta(seconds=wanted.seconds)
    if wanted is Range.YEAR:
        months = [
            datetime(first.year + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(first.month, first.month + 12)
        ]
        return [
            Tick(_x(at.timestamp(), wanted, until, width), _(MONTHS[at.month - 1])) for at in months[::2] if first <= at <= until
        ]
    every = _TICK_SECONDS[wanted]
    times = range(-(-int(first.timestamp()) // every) * every, int(until.timestamp()), every)
    return [Tick(_x(at, wanted, until, width), _time_label(datetime.fromtimestamp(at, UTC), wanted)) for at in times]


def _time_label(at: datetime, wanted: Range) -> str:
    return f"{_(DAYS[at.weekday()])} {at:%d}" if wanted is Range.WEEK else f"{at:%H:%M}"


def _x(at: float, wanted: Range, until: datetime, width: float) -> float:
    share = (at - until.timestamp() + wanted.seconds) / wanted.seconds
    return round(min(max(share, 0.0), 1.0) * width, 1)


def _placed(
    parts: Sequence[tuple[float, float, str, str]], series: MetricHistory, until: datetime, width: float
) -> Iterator[Part]:
    for start, end, mark, text in parts:
        x, past = _x(start, series.range, until, width), _x(end, series.range, until, width)
        if past > x:
            yield Part(x, round(past - x, 1), mark, text)


def _value_of(series: MetricHistory, low: float, mean: float, high: float) -> tuple[str, str]:
    if series.kind is Kind.SWITCH:
        return (ON, _("on")) if low == 1 else (OFF, _("off")) if high == 0 else (MIXED, _("on and off"))
    if low != high:
        return MIXED, _("several")
    number = int(mean)
    return f"word-{number % COLOURS}", shown_word(series.words[number]) if 0 <= number < len(series.words) else _("unknown")


def _span(series: Sequence[MetricHistory]) -> tuple[float, float]:
    low = min(value for one in series for value in one.low if value is not None)
    high = max(value for one in series for value in one.high if value is not None)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _line(series: MetricHistory, span: tuple[float, float], until: datetime, width: float) -> Line:
    low, high = span

    def y(value: float) -> float:
        return round(HEIGHT - (value - low) / (high - low) * HEIGHT, 1)

    lines, areas = list[str](), list[str]()
    for part in _without_gaps(series):
        places = [(_x(at, series.range, until, width), *map(y, values)) for at, *values in part]
        lines.append(" ".join(f"{x},{mean}" for x, _, mean, _ in places))
        if any(bottom != top for _, bottom, _, top in places):
            outline = [f"{x},{top}" for x, _, _, top in places] + [f"{x},{bottom}" for x, bottom, _, _ in reversed(places)]
            areas.append(" ".join(outline))
    ticks = [Tick(y(value), decimal(f"{value:.12g}")) for value in _round_values(low, high)]
    return Line(series, lines, areas, ticks)


def _without_gaps(series: MetricHistory) -> Iterator[list[tuple[int, float, float, float]]]:
    part: list[tuple[int, float, float, float]] = []
    for at, low, mean, high in zip(series.at, series.low, series.mean, series.high, strict=True):
        if low is None or mean is None or high is None:
            if part:
                yield part
            part = []
        else:
            part.append((at, low, mean, high))
    if part:
        yield part


def _round_values(low: float, high: float) -> list[float]:
    """Return a few round values within a span."""
    size = 10.0 ** floor(log10((high - low) / _MOST_TICKS))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= _MOST_TICKS)
    first = -floor(-low / step)
    return [round(number * step, 12) for number in range(first, floor(high / step) + 1)]
