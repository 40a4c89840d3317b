"""Decode meter telegrams: lines such as `1-0:1.8.1(000581.161*kWh)` with an OBIS code (IEC 62056-21; DSMR P1). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapters.serial.codec import Codec, DecodedFrame, DecryptionKeys
from adapters.serial.codecs.connected_meters import connected_meters, is_time
from adapters.serial.codecs.dlms import CipheredTelegram, WrongKey
from adapters.serial.codecs.free_text import NO_VALUE
from gateway.adapter import Value

LINE = re.compile(r"(?:(\d+-\d+:[0-9A-F.]+)(?:\*\d+)?)?((?:\([^()\r\n]*\))+)\s*", re.IGNORECASE)

CODE = re.compile(r"\d+-\d+:[0-9A-F.]+", re.IGNORECASE)

TIMESTAMP = re.compile(r"\d{12}[SW]?")
"""Year, month, day, hour, minute, second; S for summer time, W for winter time."""

PEAK_DEMAND_TIME = "1-0:1.6.0@"
"""The end of the quarter of an hour with the highest demand of the month (eMUCS P1)."""

THOUSANDS: Mapping[str, str] = {"W": "kW", "Wh": "kWh", "var": "kvar", "varh": "kvarh", "VA": "kVA", "VAh": "kVAh"}
"""Units of some meters -> the units that the others use."""

MAX_NUMBER_LENGTH = 10
"""Longer digit strings are device numbers and timestamps, not measurements."""

SERIAL_NUMBERS = ("0-0:96.1.1", "0-0:96.1.0", "0-0:42.0.0", "0-0:96.1.255", "1-0:96.1.0", "1-0:0.0.0")
"""Codes of the number of the meter, the best one first: DSMR and Belgium; Hungary; the logical device name in Luxembourg and
Austria; German meters."""

NO_NUMBER = re.compile(r"[0\s]*")

NEEDS_KEY = "its telegrams are encrypted: ask its grid operator for the `decryption_key`"


class ObisCodec(Codec):
    """Decodes the telegram of a P1 port, plain or encrypted. Fields are named by their codes: `1-0:1.8.1`.

    The timestamp of a value is the field with `@` after the code. Readings of connected meters are also named `gas`, `heat`,
    `water` and so on, independent of their channel (`connected_meters.py`). `serial_number` is the number of the meter; for one
    that encrypts, always the system title of its frames, which can be read without a key.
    """

    def __init__(self, keys: DecryptionKeys | None = None) -> None:
        self._keys = keys

    def with_keys(self, keys: DecryptionKeys) -> Codec:
        """Return the codec that decrypts telegrams with these keys."""
        return ObisCodec(keys)

    def read(self, payload: bytes) -> DecodedFrame | None:
        """Decode a telegram; return `None` if it contains no valid line."""
        ciphered = CipheredTelegram.parse(payload) if payload[:1] == b"\xdb" else None
        return _decoded(payload) if ciphered is None else self._read_ciphered(ciphered)

    def _read_ciphered(self, telegram: CipheredTelegram) -> DecodedFrame | None:
        known: dict[str, Value] = {"serial_number": telegram.maker_and_number, "encryption": "AES-128-GCM"}
        try:
            decoded = None if self._keys is None else _decoded(telegram.decrypted(self._keys)[1:])
        except WrongKey as error:
            return DecodedFrame("telegram", known, problem=str(error))
        if self._keys is None:
            return DecodedFrame("telegram", known, problem=NEEDS_KEY)
        return None if decoded is None else replace(decoded, values={**decoded.values, **known})


def _decoded(payload: bytes) -> DecodedFrame | None:
    head, *lines = payload.decode("latin-1").splitlines() or [""]
    telegram = _Telegram()
    for line in lines:
        if (found := LINE.fullmatch(line)) is not None:
            telegram.take(found[1], found[2][1:-1].split(")("))
    if not telegram.values:
        return None
    values: dict[str, Value] = {"identification": head.strip(), **telegram.values}
    values |= {code: None for code, value in telegram.values.items() if value == 0 and _was_never(values.get(f"{code}@"))}
    values["serial_number"] = _serial_number(values)
    if (peak_time := values.get(PEAK_DEMAND_TIME)) is not None:
        values["peak_demand_time"] = _moment(peak_time)
    for meter in connected_meters(telegram.values):
        values[meter.name] = meter.value
        telegram.units[meter.name] = telegram.units.get(meter.code, meter.usual_unit)
    return DecodedFrame("telegram", values, telegram.units)


@dataclass(slots=True)
class _Telegram:
    values: dict[str, Value] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    _previous_line: Sequence[str] = ()
    """Values of the previous line; up to DSMR 3, they describe a value in the next line: time, ..., code, unit."""

    def take(self, code: str | None, values: Sequence[str]) -> None:
        """Process one line. Of several values, the last one is the measurement, and the first one its timestamp."""
        if code is None:
            values = (*self._previous_line, *values)
        elif not _names_another_code(values):
            self._take_plain(code, values)
            return
        if _names_another_code(values):
            self._store(values[-3], values[-1], values[-2])
            self.values[f"{values[-3]}@"] = values[0]
        self._previous_line = ()

    def _take_plain(self, code: str, values: Sequence[str]) -> None:
        number, _, unit = values[-1].partition("*")
        self._store(code, number, unit)
        if len(values) > 1:
            self.values[f"{code}@"] = values[0]
        self._previous_line = values

    def _store(self, code: str, number: str, unit: str) -> None:
        value = number if code in SERIAL_NUMBERS[1:] else _value(number)
        if unit in THOUSANDS and isinstance(value, int | float):
            value, unit = value / 1000, THOUSANDS[unit]
        self.values[code] = value
        if unit:
            self.units[code] = unit


def _names_another_code(values: Sequence[str]) -> bool:
    """Return whether the values are those of two lines up to DSMR 3, which some readers join: time, ..., code, unit, value."""
    return len(values) > 3 and CODE.fullmatch(values[-3]) is not None and not values[-2][:1].isdigit()


def _was_never(moment: Value) -> bool:
    return isinstance(moment, str) and TIMESTAMP.fullmatch(moment) is not None and not is_time(moment)


def _moment(written: Value) -> str | None:
    """Return `2023-01-16T09:00:00`, local time, from a timestamp `230116090000W`."""
    if not isinstance(written, str) or TIMESTAMP.fullmatch(written) is None or not is_time(written):
        return None
    year, month, day, hour, minute, second = re.findall("..", written[:12])
    return f"20{year}-{month}-{day}T{hour}:{minute}:{second}"


def _serial_number(values: Mapping[str, Value]) -> Value:
    numbers = (values.get(code) for code in SERIAL_NUMBERS)
    return next((number for number in numbers if number and NO_NUMBER.fullmatch(str(number)) is None), None)


def _value(written: str) -> Value:
    if re.fullmatch(r"-?\d{1,40}\.\d{1,40}", written):
        return float(written)
    if written.isascii() and written.isdigit() and len(written) <= MAX_NUMBER_LENGTH:
        return int(written)
    return None if NO_VALUE.fullmatch(written.strip()) is not None else written or None
