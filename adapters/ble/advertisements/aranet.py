"""Aranet sensors, which send their values around once "Smart Home integrations" are switched on. Nothing here waits.

SAF Tehnika publishes no description; the layout is that of its customers' public library (PyPI `aranet4` 2.6.0, `client.py`),
whose published captures are our test cases. All numbers have their lowest byte first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import Measured, measured
from adapters.ble.advertisements.parser import NotUnderstood, Said

COMPANY = 0x0702
MAKER = "SAF Tehnika"

_OPEN = 0x20
"""The bit of the first byte that says that values follow."""

_ARANET4_LENGTHS = (7, 22)
"""The first model sends no byte that tells its kind: without values and with them."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A model: its name, and the values that follow the header of eight bytes (six with the dosimeter)."""

    model: str
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
    told = [_number("radon", "Bq/m³", None if radon >> 15 else radon), _temperature(temperature), _pressure(pressure)]
    return [*told, _humidity(humidity), _battery(battery)]


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


_KINDS: Mapping[int, _Kind] = {
    0: _Kind("Aranet4", struct.Struct("<8xHHHBBB"), _aranet4),
    1: _Kind("Aranet2", struct.Struct("<8x2xH2xHxB"), _aranet2),
    2: _Kind("Aranet Radiation", struct.Struct("<6xIIHxB"), _radiation),
    3: _Kind("Aranet Radon Plus", struct.Struct("<8xHHHHxB"), _radon),
}
"""The byte that tells the kind -> the model."""


class Aranet:
    """An Aranet sensor."""

    def parse(self, advertisement: Advertisement, at: float) -> Said | None:
        """Return the values of the sensor, or that they have to be switched on."""
        if (sent := advertisement.manufacturer_data.get(COMPANY)) is None:
            return None
        number, header = (0, sent) if len(sent) in _ARANET4_LENGTHS else (sent[0] if sent else 0, sent[1:])
        if (kind := _KINDS.get(number)) is None:
            return None
        if len(header) < 5:
            raise NotUnderstood(f"an advertisement of an {kind.model} is too short: {len(sent)} bytes")
        flags, patch, minor, major = struct.unpack_from("<BBBH", header)
        return Said(
            model=kind.model,
            manufacturer=MAKER,
            name=advertisement.name,
            firmware_version=f"{major}.{minor}.{patch}",
            measured=_values(kind, sent) if flags & _OPEN else [],
            needs=() if flags & _OPEN else ("its Smart Home integrations, which are switched off in its settings",),
        )


def _values(kind: _Kind, sent: bytes) -> list[Measured]:
    try:
        return list(filter(None, kind.values(*kind.layout.unpack_from(sent))))
    except struct.error as error:
        raise NotUnderstood(f"an advertisement of an {kind.model} is too short: {len(sent)} bytes") from error
