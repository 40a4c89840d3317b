"""Map the names, units and values of parsers to metrics, with their dead bands. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import TypeAlias

from adapters.ble.advertisements.advertisement import BATTERY
from adapters.ble.advertisements.plausibility import plausible
from gateway.adapter import Metric, Value, vocabulary

Measured: TypeAlias = tuple[Metric, Value]
"""A metric and its value."""

MAX_TEXT_LENGTH = 200
"""Longer texts of a device are truncated."""

NAMES: Mapping[str, str] = {
    "carbon_dioxide": "co2",
    "carbon_monoxide": "co",
    "volatile_organic_compounds": "voc",
    "mass": "weight",
    "mass_non_stabilized": "weight_unsettled",
    "power": "active_power",
    "non_stabilized_mass": "weight_unsettled",
    "status": "device_status",
}
"""The name of a value in parsers -> the name of its metric, where the two differ."""

STATE_NAMES: Mapping[str, str] = {
    "battery": "battery_low",
    "carbon_monoxide": "co_detected",
    "gas": "gas_detected",
    "light": "light_detected",
    "moisture": "wet",
    "motion": "motion",
    "power": "power_on",
    "sound": "sound_detected",
    "status": "device_status",
}
"""The same for yes/no values, which must not share a name with a measured value: a device can have both."""

EVENTS_OF_STATES = frozenset({"fingerprint", "lock", "motion", "vibration", "error", "status"})
"""Events with the name of a state that the same device can have: their metrics end in `_event`."""

IGNORED = frozenset({"packet_id", "signal_strength", "rssi"})
"""Values that parsers add: every device has the signal strength anyway, and the packet's number means nothing."""

DEAD_BANDS: Mapping[str, float | None] = {
    name: entry.dead_band for name, entry in sorted(vocabulary().entries.items(), key=lambda one: -len(one[0]))
}
"""The change that is reported at once, from the vocabulary of metrics; the longest of its names that is in a name counts."""


def _unchanged(number: float) -> float:
    return number


def _divided_by_1000(number: float) -> float:
    return number / 1000


def _celsius(fahrenheit: float) -> float:
    return (fahrenheit - 32) / 1.8


UNITS: Mapping[str, tuple[str | None, Callable[[float], float]]] = {
    "mbar": ("hPa", _unchanged),
    "°F": ("°C", _celsius),
    "mV": ("V", _divided_by_1000),
    "mA": ("A", _divided_by_1000),
    "ohm": ("Ω", _unchanged),
    "dBa": ("dBA", _unchanged),
    "UV index": (None, _unchanged),
}
"""Units of parsers -> the unit of the metric, and the conversion; other units stay as they are."""


def measured(key: object, unit: str | None, value: object, part: str | None = None) -> Measured | None:
    """Return the metric of a measured value and its converted value; `None` for a value that is ignored.

    The value is `None` where it is not plausible for the metric.

    Args:
        key: the parser's name of the value.
        unit: the parser's unit.
        value: the parser's value, of any type.
        part: the part of the device, where a parser distinguishes parts: `remote`, `port 1`.
    """
    if str(key) in IGNORED:
        return None
    name = metric_name(key, part)
    own_unit, convert = UNITS.get(unit, (str.__str__(unit), _unchanged)) if unit else (None, _unchanged)  # may be an enumeration
    metric = _metric(name, own_unit)
    return metric, plausible(metric, plain_value(value, convert, is_number=own_unit is not None))


def state(key: object, value: object, part: str | None = None) -> Measured:
    """Return the metric of a yes/no value and the value: each change is reported at once."""
    name = metric_name(key, part, is_state=True)
    return _urgent(name), value if isinstance(value, bool) else None


def event(key: object, event_type: str, part: str | None = None) -> Measured:
    """Return the metric of an event, like a press of a button, and its type: reported at once."""
    name = metric_name(key, part)
    return _event(f"{name}_event" if name in EVENTS_OF_STATES else name), printable(event_type)


@lru_cache(maxsize=2048)
def metric_name(key: object, part: str | None = None, *, is_state: bool = False) -> str:
    """Return the name of a metric: `temperature`, `temperature_2`, `humidity_remote`; equal for equal arguments."""
    raw_name = key[-1] if isinstance(key, tuple) and key else key
    name = _snake(str(raw_name))
    name, number = (found[1], found[2]) if (found := re.fullmatch(r"(.+?)(?:_probe)?_(\d+)", name)) else (name, "")
    known = _STATES if is_state else NAMES
    name = "_".join(filter(None, [known.get(name, name), number]))
    suffix = _snake(part or "")
    if not suffix or suffix == "primary" or name.endswith(suffix):
        return name or "value"
    return f"{name}_{suffix}"


def plain_value(value: object, convert: Callable[[float], float] = _unchanged, *, is_number: bool = False) -> Value:
    """Return a value that the cloud accepts: yes or no, a finite number or a short text; `None` for all else.

    Args:
        value: the parser's value, of any type.
        convert: converts the parser's number to the unit of the metric.
        is_number: the value has a unit, so that a text in its place means that there is no number.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if convert is _unchanged else _rounded(convert(value))
    if isinstance(value, float | Decimal):
        return _rounded(convert(float(value)))
    if isinstance(value, date):
        return value.isoformat()
    return printable(value) if isinstance(value, str) and not is_number else None


def printable(received: str) -> str:
    """Return a text of a device without the characters that cannot be shown, and not longer than 200 characters."""
    cut = str(received)[:MAX_TEXT_LENGTH]
    return (cut if cut.isprintable() else "".join(character for character in cut if character.isprintable())).strip()


def family_of(names: Collection[str]) -> str | None:
    """Return the family of a device with these metrics; `None` when they fit any device."""
    return next((family for family, typical in _FAMILIES if any(_is_one_of(name, typical) for name in names)), None)


_FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("air-quality-sensor", frozenset({"co2", "co", "pm1", "pm25", "pm4", "pm10", "voc", "formaldehyde", "radon"})),
    ("smoke-detector", frozenset({"smoke", "gas_detected", "co_detected"})),
    ("leak-sensor", frozenset({"wet"})),
    ("contact-sensor", frozenset({"door", "window", "garage_door"})),
    ("motion-sensor", frozenset({"motion", "motion_event", "occupancy", "presence"})),
    ("scale", frozenset({"weight", "weight_unsettled"})),
    ("plant-sensor", frozenset({"moisture", "conductivity"})),
    ("power-meter", frozenset({"energy", "active_power"})),
    ("climate-sensor", frozenset({"temperature", "humidity", "dew_point"})),
    ("contact-sensor", frozenset({"opening"})),
    ("vibration-sensor", frozenset({"vibration", "vibration_event"})),
    ("button", frozenset({"button", "dimmer", "command"})),
    ("distance-sensor", frozenset({"distance"})),
    ("light-sensor", frozenset({"illuminance", "light_detected"})),
    ("barometer", frozenset({"pressure"})),
)
"""Families, and the metrics that are typical of each: the first that fits counts."""


def _is_one_of(name: str, names: frozenset[str]) -> bool:
    """Return whether the name is one of these, with or without a suffix: `button_left`, `temperature_2`."""
    return name in names or name.partition("_")[0] in names or re.sub(r"_[0-9]+$", "", name) in names


_STATES: Mapping[str, str] = {**NAMES, **STATE_NAMES}


def _snake(name: str) -> str:
    return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")


@lru_cache(maxsize=2048)
def _metric(name: str, unit: str | None) -> Metric:
    if (name, unit) == (BATTERY.name, BATTERY.unit):
        return BATTERY
    return Metric(name, unit, dead_band=next((band for word, band in DEAD_BANDS.items() if word in name), None))


@lru_cache(maxsize=2048)
def _urgent(name: str) -> Metric:
    return Metric(name, urgent=True)


@lru_cache(maxsize=2048)
def _event(name: str) -> Metric:
    return Metric(name, is_event=True)


def _rounded(number: float) -> float | None:
    return round(number, 6) if isfinite(number) else None
