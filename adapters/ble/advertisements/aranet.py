"""Parse the advertisements of Aranet sensors, which contain values once "Smart Home integrations" are enabled. Pure.

SAF Tehnika publishes no description; the layout is that of its customers' public library (PyPI `aranet4` 2.6.0, `client.py`),
whose published captures are our test cases. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import Measured, measured
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement

COMPANY = 0x0702
MAKER = "SAF Tehnika"

_VALUES_FOLLOW = 0x20
"""A bit of the first byte: values follow."""

_ARANET4_LENGTHS = (7, 22)
"""The first model sends no byte with its kind: the lengths without values and with them."""


@dataclass(frozen=True, slots=True)
class _Model:
    """A model: its name, and the layout of the values after the header of eight bytes (six for the dosimeter)."""

    name: str
    layout: struct.Struct
    values: Callable[..., list[Measured | None]]


def _aranet4(co2: int, temperature: int, pressure: int, humidity: int, battery: int, _colour: int) -> list[Measured | None]:
    return [_co2(co2), _temperature(temperature), _pressure(pressure), _number("humidity", "%", humidity), _battery(battery)]


def _aranet2(temperature: int, humidity: int, battery: int) -> list[Measured | None]:
    return [_temperature(temperature), _humidity(humidity), _battery(battery)]


def _radiation(total: int, seconds: int, rate: int, battery: int) -> list[Measured | None]:
    return [
        _number("radiation_dose_rate", "µSv/h", rate / 1000),
        _number("radiation_dose", "µSv", total / 1000),
        _number("radiation_duration", "s", seconds),
        _battery(battery),
    ]


def _radon(radon: int, temperature: int, pressure: int, humidity: int, battery: int) -> list[Measured | None]:
    air = [_number("radon", "Bq/m³", None if radon >> 15 else radon), _temperature(temperature), _pressure(pressure)]
    return [*air, _humidity(humidity), _battery(battery)]


def _number(name: str, unit: str, value: float | None) -> Measured | None:
    return measured(name, unit, value)


def _co2(raw: int) -> Measured | None:
    return _number("co2", "ppm", None if raw >> 15 else raw)


def _temperature(raw: int) -> Measured | None:
    return _number("temperature", "°C", None if raw >> 14 & 1 else round(raw * 0.05, 2))


def _pressure(raw: int) -> Measured | None:
    return _number("pressure", "hPa", None if raw >> 15 else raw / 10)


def _humidity(tenths: int) -> Measured | None:
    return _number("humidity", "%", None if tenths >> 15 else tenths / 10)


def _battery(percent: int) -> Measured | None:
    return _number("battery", "%", percent)


_MODELS: Mapping[int, _Model] = {
    0: _Model("Aranet4", struct.Struct("<8xHHHBBB"), _aranet4),
    1: _Model("Aranet2", struct.Struct("<8x2xH2xHxB"), _aranet2),
    2: _Model("Aranet Radiation", struct.Struct("<6xIIHxB"), _radiation),
    3: _Model("Aranet Radon Plus", struct.Struct("<8xHHHHxB"), _radon),
}
"""The byte with the kind of sensor -> the model."""


class Aranet:
    """The parser of an Aranet sensor."""

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the values of the sensor, or the note that they have to be enabled."""
        if (sent := advertisement.manufacturer_data.get(COMPANY)) is None:
            return None
        kind, header = (0, sent) if len(sent) in _ARANET4_LENGTHS else (sent[0] if sent else 0, sent[1:])
        if (model := _MODELS.get(kind)) is None:
            return None
        if len(header) < 5:
            raise MalformedAdvertisement(f"an advertisement of an {model.name} is too short: {len(sent)} bytes")
        flags, patch, minor, major = struct.unpack_from("<BBBH", header)
        return ParsedAdvertisement(
            model=model.name,
            manufacturer=MAKER,
            name=advertisement.name,
            firmware_version=f"{major}.{minor}.{patch}",
            measured=_values(model, sent) if flags & _VALUES_FOLLOW else [],
            needs=() if flags & _VALUES_FOLLOW else ("its Smart Home integrations, which are disabled in its settings",),
        )


def _values(model: _Model, sent: bytes) -> list[Measured]:
    try:
        return list(filter(None, model.values(*model.layout.unpack_from(sent))))
    except struct.error as error:
        raise MalformedAdvertisement(f"an advertisement of an {model.name} is too short: {len(sent)} bytes") from error
