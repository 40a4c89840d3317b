"""Give metrics the titles that people read, and the order in which people want them. Pure.

A profile may name a title and the headline metrics; what it leaves out is made from the vocabulary of metrics, or else
from their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from gateway.metrics.vocabulary import vocabulary
from gateway.models import Metric
from gateway.status.snapshot import LatestValue

WORDS: Final[Mapping[str, str]] = {
    **{word.lower(): word for word in ("CO", "CO2", "eCO2", "NO2", "SO2", "O2", "O3", "NH3", "H2S", "CH4", "NOx", "VOC", "TVOC")},
    **{
        word.lower(): word for word in ("pH", "PM1", "PM4", "PM10", "AC", "DC", "PV", "EV", "UV", "THD", "GPS", "ID", "IP", "MAC")
    },
    **{word.lower(): word for word in ("LED", "HDMI", "USB", "CPU", "RAM", "TX", "RX", "IAQ", "AQI", "MPPT", "BMS", "UPS")},
    "pm25": "PM2.5",
    "avg": "average",
    "batt": "battery",
    "export": "exported",
    "hum": "humidity",
    "import": "imported",
    "max": "maximum",
    "min": "minimum",
    "rssi": "signal strength",
    "soc": "state of charge",
    "soh": "state of health",
    "tariff": ", tariff",
    "temp": "temperature",
    "wifi": "Wi-Fi",
    "rr": "RR",
}
"""Words of metric names -> how they are written; other words stay as they are."""

LINES: Final = re.compile(r"l[1-3]|n|l[1-3]l?[1-3n]")
"""A phase or the neutral of a mains connection, or two of them: `l1`, `l1n`, `l2l3`."""

QUANTITIES: Final[Mapping[str, frozenset[str]]] = {
    "state of charge": frozenset({"soc", "charge"}),
    "late": frozenset(
        {"rssi", "battery", "signal", "uptime", "firmware", "version", "time", "ago", "every", "interval", "count", "counter"}
        | {"error", "errors", "fault", "faults", "failures", "failure", "alarm", "warning", "packet", "tx", "id", "dilution"}
        | {"factor", "thd", "hours"}
    ),
    "power": frozenset({"power", "W", "kW", "MW"}),
    "energy": frozenset({"energy", "gas", "water", "heat", "yield", "Wh", "kWh", "MWh"}),
    "temperature": frozenset({"temperature", "temp", "°C", "°F", "K"}),
    "humidity": frozenset({"humidity", "moisture", "hum"}),
    "air": frozenset({"co2", "eco2", "pm25", "pm10", "voc", "tvoc", "radon", "formaldehyde", "co", "iaq", "ppm", "ppb", "Bq/m³"}),
    "level": frozenset({"level", "weight", "mass", "gravity", "distance", "volume", "mm", "kg", "g"}),
    "state": frozenset(
        {
            "state",
            "status",
            "output",
            "input",
            "relay",
            "motion",
            "door",
            "window",
            "opening",
            "open",
            "contact",
            "lock",
            "button",
        }
        | {"presence", "occupancy", "mode", "on", "detected", "wet", "stable", "mute", "tariff", "quality"}
    ),
    "speed": frozenset({"speed", "rpm", "m/s", "km/h", "frequency", "Hz"}),
    "other": frozenset(),
    "current": frozenset({"current", "A"}),
    "voltage": frozenset({"voltage", "V"}),
    "pressure": frozenset({"pressure", "hPa", "bar", "Pa"}),
    "reactive power": frozenset({"reactive", "apparent", "VA", "kVA", "var", "kvar"}),
}
"""Quantities -> the words of names, and the units, by which a metric is one; the first that fits counts."""

ORDER: Final = (
    *("state of charge", "power", "temperature", "humidity", "air", "level", "state", "energy", "speed", "other"),
    *("current", "voltage", "pressure", "reactive power", "late"),
)
"""The order of the quantities in which most people want them."""

ORDER_OF_FAMILY: Final[Mapping[str, Sequence[str]]] = {
    "air-quality-sensor": ("air",),
    "drive": ("speed", "current"),
    "ev-charger": ("state", "power"),
    "inverter": ("power", "energy", "state"),
    "plant-sensor": ("humidity",),
    "power-meter": ("power", "energy"),
    "power-supply": ("voltage", "current"),
    "projector": ("power", "state"),
    "display": ("power", "state"),
    "switcher": ("state",),
}
"""What comes before that order, for devices of a family."""

DETAILS: Final = frozenset(
    {
        "reactive",
        "apparent",
        "cabinet",
        "sink",
        "set",
        "setpoint",
        "point",
        "limit",
        "maximum",
        "minimum",
        "average",
        "max",
        "min",
    }
    | {
        "demand",
        "peak",
        "long",
        "dew",
        "dc",
        "export",
        "exported",
        "tariff",
        "phase",
        "unsettled",
        "probe",
        "ambient",
        "index",
        "chill",
    }
)
"""Words that mark one of several values of a quantity, which stands behind the plain one; so do digits and phases."""


@lru_cache(maxsize=4096)
def metric_title(name: str, title: str | None = None) -> str:
    """Return what a person calls a metric: its title, or one that is made from its name, such as `Voltage L1-N`."""
    if title:
        return title
    if (entry := vocabulary().entries.get(name)) is not None:
        return entry.title
    words: list[str] = []
    for part in _parts(name):
        text = _line_text(part) if LINES.fullmatch(part) else WORDS.get(part.lower(), part)
        if words and LINES.fullmatch(part) and re.search(r"L[1-3]$", words[-1]):
            words[-1] = f"{words[-1]}-{text}"
        else:
            words.append(text)
    whole = " ".join(words).replace(" , ", ", ").strip(" ,")
    if not whole:
        return name
    starts_small = words[0] in WORDS.values() and not words[0].islower()
    return whole if starts_small else whole[0].upper() + whole[1:]


def headline_order(values: Iterable[LatestValue], family: str | None = None) -> list[LatestValue]:
    """Return the values with the two that a list shows first, and the others by quantity.

    The first two are those that the profile names; otherwise two of different quantities, as people want them of this family.
    """
    ordered = sorted(values, key=lambda value: (not value.is_headline, *_sort_key(value.metric, value.unit, family)))
    if len(ordered) < 3 or ordered[1].is_headline:
        return ordered
    quantity = quantity_of(ordered[0].metric, ordered[0].unit)
    second = next((one for one in ordered[1:] if _may_be_second(one, quantity)), ordered[1])
    ordered.remove(second)
    ordered.insert(1, second)
    return ordered


def metric_rank(metric: Metric) -> tuple[int, ...]:
    """Return a rank that is lower for metrics that people want first, of a device of any family."""
    late, quantity, details, _ = _sort_key(metric.name, metric.unit, None)
    return not metric.headline, late, quantity, details


def words_of(name: str) -> frozenset[str]:
    """Return the words of a metric's name, in lower case."""
    return frozenset(part.lower() for part in _parts(name))


def _may_be_second(value: LatestValue, first: str) -> bool:
    quantity = quantity_of(value.metric, value.unit)
    return quantity not in (first, "late") and not _details(value.metric)


@lru_cache(maxsize=4096)
def quantity_of(name: str, unit: str | None) -> str:
    """Return the quantity of a metric, one of `QUANTITIES`."""
    words = words_of(name)
    if {"power", "on"} <= words:
        return "state"
    by_name = [quantity for quantity, marks in QUANTITIES.items() if marks & words]
    if by_name and by_name[0] in ("state of charge", "late"):
        return by_name[0]
    by_unit = [quantity for quantity, marks in QUANTITIES.items() if unit in marks]
    return next(iter(by_unit + by_name), "other")


@lru_cache(maxsize=4096)
def _sort_key(name: str, unit: str | None, family: str | None) -> tuple[bool, int, int, Sequence[tuple[int, str]]]:
    quantity = quantity_of(name, unit)
    order = [*ORDER_OF_FAMILY.get(family or "", ()), *ORDER]
    return quantity == "late", order.index(quantity), _details(name), _natural_order(name)


def _details(name: str) -> int:
    return sum(
        part.lower() in DETAILS or (any(letter.isdigit() for letter in part) and part.lower() not in WORDS)
        for part in _parts(name)
    )


def _natural_order(name: str) -> Sequence[tuple[int, str]]:
    return [
        (int(part), "") if part.isascii() and part.isdigit() and len(part) < 19 else (-1, part)
        for part in re.split(r"([0-9]+)", name.casefold())
    ]


def _parts(name: str) -> Sequence[str]:
    """Return the words of a name: `voltage_l1_n`, `activePower` and `relay1` are taken apart."""
    name = re.sub(r"(?i)pm_?2[_.]5", "pm25", name)
    name = re.sub(r"(?<=[a-z]{2})[A-Z](?=[a-z])", lambda match: f" {match[0].lower()}", name)
    parts = [part for part in re.split(r"[_\s]+|(?<=[A-Za-z0-9])[-./](?=[A-Za-z])", name) if part]
    return [piece for part in parts for piece in _without_number(part)]


def _without_number(part: str) -> Sequence[str]:
    match = re.fullmatch(r"([A-Za-z]{3,})(\d{1,3})", part)
    return [part] if match is None or part.lower() in WORDS else [match[1], match[2]]


def _line_text(part: str) -> str:
    """Return `L1-N` for `l1n`, and `L1-L2` for `l12` and `l1l2`."""
    if len(part) < 3:
        return part.upper()
    second = part[-1].upper()
    return f"{part[:2].upper()}-{second if second == 'N' else f'L{second}'}"
