"""What the values of advertisements are called and measured in, and when a change is told at once. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import TypeAlias

from adapters.ble.advertisements.advertisement import BATTERY
from gateway.adapter import Metric, Value

Measured: TypeAlias = tuple[Metric, Value]
"""One value, and what it is a value of."""

LONGEST_TEXT = 200
"""Longer texts of a device are cut."""

NAMES: Mapping[str, str] = {
    "carbon_dioxide": "co2",
    "carbon_monoxide": "co",
    "volatile_organic_compounds": "voc",
    "mass": "weight",
    "mass_non_stabilized": "weight_unsettled",
    "non_stabilized_mass": "weight_unsettled",
    "status": "device_status",
}
"""What parsers call a value -> what we call it, where the two differ."""

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
"""The same for yes/no values, which must not be called like a measured value: a device can have both."""

EVENTS_OF_STATES = frozenset({"fingerprint", "lock", "motion", "vibration", "error", "status"})
"""Things that happen and are called like a state that the same device can be in: they get `_event` behind their name."""

UNTOLD = frozenset({"packet_id", "signal_strength", "rssi"})
"""What parsers add of their own: the strength is told for all devices alike, the packet's number means nothing."""

DEAD_BANDS: Mapping[str, float | None] = {
    "weight_unsettled": None,
    "temperature": 1.0,
    "dew_point": 1.0,
    "humidity": 5.0,
    "moisture": 5.0,
    "co2": 100.0,
    "pm1": 10.0,  # and pm10
    "pm25": 10.0,
    "pm4": 10.0,
    "formaldehyde": 0.05,
    "radon": 50.0,
    "specific_gravity_velocity": None,
    "specific_gravity": 0.002,
    "tank_level": 20.0,
    "volume_dispensed": 0.25,
    "weight": 0.2,
}
"""A change of so much is told at once, in the unit of the value; what is not here can wait. The first word that fits counts."""


def _same(number: float) -> float:
    return number


def _thousandth(number: float) -> float:
    return number / 1000


def _celsius(fahrenheit: float) -> float:
    return (fahrenheit - 32) / 1.8


UNITS: Mapping[str, tuple[str | None, Callable[[float], float]]] = {
    "mbar": ("hPa", _same),
    "°F": ("°C", _celsius),
    "mV": ("V", _thousandth),
    "mA": ("A", _thousandth),
    "ohm": ("Ω", _same),
    "dBa": ("dBA", _same),
    "UV index": (None, _same),
}
"""Units of parsers -> ours, and how the number becomes ours; others stay as they are."""


def measured(key: object, unit: str | None, value: object, part: str | None = None) -> Measured | None:
    """Return a measured value under its name and in its unit here; `None` where it is nothing to tell.

    Args:
        key: what the parser calls it.
        unit: the parser's unit.
        value: whatever the parser gives.
        part: the part of the device that it belongs to, where a parser tells parts apart: `remote`, `port 1`.
    """
    if str(key) in UNTOLD:
        return None
    name = value_name(key, part)
    own_unit, convert = UNITS.get(unit, (unit, _same)) if unit else (None, _same)
    return _metric(name, own_unit), plain(value, convert, is_number=own_unit is not None)


def state(key: object, value: object, part: str | None = None) -> Measured:
    """Return a yes/no value: a change of it is told at once."""
    name = value_name(key, part, is_state=True)
    return _urgent(name), value if isinstance(value, bool) else None


def event(key: object, happened: str, part: str | None = None) -> Measured:
    """Return something that happened, like a press of a button: told at once."""
    name = value_name(key, part)
    return _event(f"{name}_event" if name in EVENTS_OF_STATES else name), text(happened)


@lru_cache(maxsize=2048)
def value_name(key: object, part: str | None = None, *, is_state: bool = False) -> str:
    """Return what a value is called here: `temperature`, `temperature_2`, `humidity_remote`; the same for the same arguments."""
    written = key[-1] if isinstance(key, tuple) and key else key
    name = _snake(str(written))
    name, number = (found[1], found[2]) if (found := re.fullmatch(r"(.+?)(?:_probe)?_(\d+)", name)) else (name, "")
    known = _STATES if is_state else NAMES
    name = "_".join(filter(None, [known.get(name, name), number]))
    suffix = _snake(part or "")
    if not suffix or suffix == "primary" or name.endswith(suffix):
        return name or "value"
    return f"{name}_{suffix}"


def plain(value: object, convert: Callable[[float], float] = _same, *, is_number: bool = False) -> Value:
    """Return a value that the cloud can take: yes or no, a finite number or a short text; `None` for all else.

    Args:
        value: whatever a parser gives.
        convert: from its number to ours.
        is_number: it is measured in a unit, so that a text in its place only says that there is no number.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if convert is _same else _rounded(convert(value))
    if isinstance(value, float | Decimal):
        return _rounded(convert(float(value)))
    if isinstance(value, date):
        return value.isoformat()
    return text(value) if isinstance(value, str) and not is_number else None


def text(written: str) -> str:
    """Return a text of a device with nothing in it that cannot be shown."""
    cut = str(written)[:LONGEST_TEXT]
    return (cut if cut.isprintable() else "".join(character for character in cut if character.isprintable())).strip()


def family_of(names: Collection[str]) -> str | None:
    """Return what kind of device measures this; `None` when it could be anything."""
    return next((family for family, signs in _FAMILIES if any(_is_one(name, signs) for name in names)), None)


_FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("air-quality-sensor", frozenset({"co2", "co", "pm1", "pm25", "pm4", "pm10", "voc", "formaldehyde", "radon"})),
    ("smoke-detector", frozenset({"smoke", "gas_detected", "co_detected"})),
    ("leak-sensor", frozenset({"wet"})),
    ("contact-sensor", frozenset({"door", "window", "garage_door"})),
    ("motion-sensor", frozenset({"motion", "motion_event", "occupancy", "presence"})),
    ("scale", frozenset({"weight", "weight_unsettled"})),
    ("plant-sensor", frozenset({"moisture", "conductivity"})),
    ("power-meter", frozenset({"energy", "power"})),
    ("climate-sensor", frozenset({"temperature", "humidity", "dew_point"})),
    ("contact-sensor", frozenset({"opening"})),
    ("vibration-sensor", frozenset({"vibration", "vibration_event"})),
    ("button", frozenset({"button", "dimmer", "command"})),
    ("distance-sensor", frozenset({"distance"})),
    ("light-sensor", frozenset({"illuminance", "light_detected"})),
    ("barometer", frozenset({"pressure"})),
)
"""Families, and what only such a device measures: the first that fits counts."""


def _is_one(name: str, signs: frozenset[str]) -> bool:
    """Return whether the name is one of these, with or without a number or a side behind it: `button_left`."""
    return name in signs or name.partition("_")[0] in signs


_STATES: Mapping[str, str] = {**NAMES, **STATE_NAMES}


def _snake(written: str) -> str:
    return re.sub("[^a-z0-9]+", "_", written.lower()).strip("_")


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
