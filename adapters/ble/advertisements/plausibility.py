"""Hold the ranges of measured values: a number beyond its range means "not available". Pure.

Devices without a value send the largest or the smallest number of its format, and most parser libraries pass it on. All values of
this adapter are checked here: those of parser libraries, of the gateway's own parsers, and of characteristics. A number that is a
value of one format and means "not available" in another one is written where the format is: `[not_available]` of a file in
`advertisers/`, `not_available` and `valid` of a point in `profiles/` and `services/`. A point with `valid` is not checked here: a
slope of -3 % is a value, and so is a load of 130 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gateway.adapter import Metric, Value, vocabulary


@dataclass(frozen=True, slots=True)
class PlausibleRange:
    """The lowest and the highest number that is a value, for metrics with this unit whose name contains this word."""

    unit: str
    word: str
    lowest: float
    highest: float
    source: str
    """The document that sets the range."""


def _of_metric(name: str, *, word: str | None = None) -> PlausibleRange:
    """Return the range that the vocabulary has for a metric; for any metric with its unit, where `word` is empty."""
    entry = vocabulary().entries[name]
    if entry.unit is None or entry.plausible is None:
        raise ValueError(f"the vocabulary of metrics has no range for {name}")
    return PlausibleRange(entry.unit, name if word is None else word, *entry.plausible, entry.plausible_source)


RANGES: tuple[PlausibleRange, ...] = (
    _of_metric("humidity"),
    _of_metric("battery", word=""),
    _of_metric("temperature", word=""),
    _of_metric("co2"),
    _of_metric("voc"),
    PlausibleRange("µg/m³", "voc", 0.0, 65534.0, "BTHome, object 0x13: the same number, without a text about it"),
    _of_metric("illuminance", word=""),
    _of_metric("pressure"),
    _of_metric("specific_gravity", word=""),
    _of_metric("rssi"),
)
"""The ranges: the first that fits a metric counts."""


def plausible(metric: Metric, value: Value) -> Value:
    """Return the value, or `None` where it is a number that no such device can have measured."""
    if value is None or isinstance(value, bool | str):
        return value
    limits = _range_of(metric.name, metric.unit)
    return value if limits is None or limits.lowest <= value <= limits.highest else None


@lru_cache(maxsize=2048)
def _range_of(name: str, unit: str | None) -> PlausibleRange | None:
    return next((known for known in RANGES if known.unit == unit and known.word in name), None)
