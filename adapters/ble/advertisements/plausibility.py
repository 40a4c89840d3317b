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

from gateway.adapter import Metric, Value


@dataclass(frozen=True, slots=True)
class PlausibleRange:
    """The lowest and the highest number that is a value, for metrics with this unit whose name contains this word."""

    unit: str
    word: str
    lowest: float
    highest: float
    source: str
    """The document that sets the range."""


RANGES: tuple[PlausibleRange, ...] = (
    PlausibleRange(
        "%",
        "humidity",
        -6.0,
        119.0,
        "Sensirion SHT4x data sheet, 4.6: dry sensors show down to -6 %, wet ones up to 119 %; a BME280 that fails tells 120 %",
    ),
    PlausibleRange(
        "%", "", 0.0, 100.0, "GATT Specification Supplement, Battery Level: 0 to 100, all else is reserved; BTHome sends 255"
    ),
    PlausibleRange("°C", "", -273.15, 2500.0, "absolute zero; the hottest thermocouple, type C of ASTM E230, ends at 2315 °C"),
    PlausibleRange("ppm", "co2", 0.0, 65534.0, "GATT Specification Supplement, CO2 Concentration: 0xFFFF is not known"),
    PlausibleRange("ppb", "voc", 0.0, 65534.0, "GATT Specification Supplement, VOC Concentration: 0xFFFF is not known"),
    PlausibleRange("µg/m³", "voc", 0.0, 65534.0, "BTHome, object 0x13: the same number, without a text about it"),
    PlausibleRange("lx", "", 0.0, 167772.14, "GATT Specification Supplement, Illuminance: 0xFFFFFF hundredths are not known"),
    PlausibleRange(
        "hPa",
        "pressure",
        -4294967.294,
        4294967.294,
        "GATT Specification Supplement, Pressure: 32 bits of tenths of a pascal; a difference of pressures can be negative",
    ),
    PlausibleRange("SG", "", 0.5, 2.0, "hydrometers for brewing: RAPT Pill and Tilt measure 0.990 to 1.170"),
    PlausibleRange("dBm", "rssi", -127.0, 20.0, "Core Specification, Vol 4 Part E, 7.7.65.2: 127 is not available"),
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
