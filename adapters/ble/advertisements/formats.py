"""Decode one value of a characteristic, and encode it. Pure.

Number formats have the names of the GATT Specification Supplement. `special_formats` contains the others.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache, partial
from math import isfinite, lcm
from typing import Literal

from adapters.ble.advertisements import special_formats
from adapters.ble.advertisements.metrics import printable
from adapters.ble.advertisements.special_formats import MedFloat, NotInPayload, first_bytes
from gateway.adapter import Value, divisor, raw_number


class Format(StrEnum):
    """The format of a value."""

    BOOL = "bool"
    """One byte: 0 is false, anything else true."""
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT24 = "uint24"
    UINT32 = "uint32"
    UINT48 = "uint48"
    UINT64 = "uint64"
    SINT8 = "sint8"
    SINT16 = "sint16"
    SINT24 = "sint24"
    SINT32 = "sint32"
    SINT48 = "sint48"
    SINT64 = "sint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    MEDFLOAT16 = "medfloat16"
    """IEEE 11073-20601 SFLOAT: 4 bits of power of ten, 12 bits of number."""
    MEDFLOAT32 = "medfloat32"
    """IEEE 11073-20601 FLOAT: 8 bits of power of ten, 24 bits of number."""
    UTF8 = "utf8"
    """Text, to the end of the payload unless it has a length; terminated by a NUL or padded with blanks."""
    HEX = "hex"
    """The bytes as hexadecimal text."""
    DOTTED = "dotted"
    """The bytes as decimal numbers separated by dots, like a firmware version."""
    DATE_TIME = "date-time"
    """Year (2 bytes), month, day, hours, minutes, seconds: local time of the device, without a time zone."""
    HEART_RATE = "heart-rate"
    """Heart Rate Measurement: beats per minute, in one or two bytes."""
    SKIN_CONTACT = "heart-rate.skin-contact"
    """Heart Rate Measurement: whether the sensor touches the skin, for sensors with contact detection."""
    ENERGY_EXPENDED = "heart-rate.energy-expended"
    """Heart Rate Measurement: kJ, sent in some measurements only."""
    RR_INTERVAL = "heart-rate.rr-interval"
    """Heart Rate Measurement: mean time between two beats, in seconds."""
    SINT8_HUNDREDTHS = "sint8.hundredths"
    """A whole number, followed by a byte with its hundredths."""
    SINT32_HUNDREDTHS = "sint32.hundredths"
    GLUCOSE_TIME = "glucose.time"
    """Glucose Measurement: the base time plus the offset, if there is one: the time that the meter shows."""
    TENTHS_AND_WHOLE = "tenths.whole"
    """A byte with tenths in its low 4 bits, then one with the whole number, whose highest bit means plus."""
    ESTIMOTE_LIGHT = "estimote.light"
    """4 bits of power of two, 4 bits of number, in 0.72 lux."""
    ESTIMOTE_UPTIME = "estimote.uptime"
    """2 bits of unit (seconds, minutes, hours, days) above 12 bits of number, in seconds; the two highest bits are ignored."""
    SINT8_SIGN_MAGNITUDE = "sint8.sign-magnitude"
    """A byte whose highest bit means minus, and whose other bits are the number."""
    OPT3001 = "opt3001"
    """4 bits of power of two, 12 bits of number, in 0.01 lux: the result register of the sensor OPT3001."""


INTEGERS: Mapping[Format, tuple[int, bool]] = {
    Format(f"{kind}{bits}"): (bits // 8, kind == "sint") for kind in ("uint", "sint") for bits in (8, 16, 24, 32, 48, 64)
}
"""Whole numbers: the number of bytes, and whether they have a sign."""

FLOATS: Mapping[Format, str] = {Format.FLOAT32: "f", Format.FLOAT64: "d"}
"""IEEE 754 numbers, and their letters in the `struct` module."""
MEDFLOATS: Mapping[Format, MedFloat] = {Format.MEDFLOAT16: special_formats.SFLOAT, Format.MEDFLOAT32: special_formats.FLOAT}
"""Decimal floats."""
NUMBERS = frozenset({*INTEGERS, *FLOATS, *MEDFLOATS})

DIGITS = 15
"""The significant digits of a scaled number of a binary format: further ones are errors of binary fractions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """A number at the beginning of a payload whose bits say which fields follow, as in the measurements of GATT."""

    at: int = 0
    """The offset of its first byte; bit 8 is the lowest of the next byte."""
    present: int | None = None
    """The bit that says that the value is there; `None`: it always is."""
    at_least: int | None = None
    """The byte is a number: how many values of a list are there; this one is, if the number is at least this."""
    before: Mapping[int, int] = field(default_factory=dict)
    """Bit -> the bytes of a field that stands before the value when this bit is set."""
    other_unit: int | None = None
    """The bit that says that the value is in the other unit."""
    other_scale: float = 1.0
    other_offset: float = 0.0
    """The value is raw x other_scale + other_offset then."""

    def applied(self, encoding: Encoding, payload: bytes) -> Encoding:
        """Return where and how the value is in this payload.

        Raises:
            PayloadTooShort: the payload ends before the flags.
            NotInPayload: this payload does not contain the value.
        """
        bits = int.from_bytes(first_bytes(payload[self.at :], 1 + (self.present or 0) // 8), "little")
        is_missing = self.present is not None and not bits >> self.present & 1
        if is_missing or (self.at_least is not None and bits < self.at_least):
            raise NotInPayload("the flags of this payload say that it does not contain the value")
        at = encoding.at + sum(size for bit, size in self.before.items() if bits >> bit & 1)
        if self.other_unit is not None and bits >> self.other_unit & 1:
            return replace(encoding, at=at, scale=self.other_scale, offset=self.other_offset)
        return replace(encoding, at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How one value is encoded in a payload."""

    format: Format
    at: int = 0
    """The offset of its first byte."""
    length: int | None = None
    """The bytes of a text; to the end of the payload when `None`."""
    big_endian: bool = False
    bits: tuple[int, int] | None = None
    """The first bit (0 is the lowest) and the number of bits, of a whole number; in a signed format, the last one is the sign."""
    scale: float = 1.0
    offset: float = 0.0
    """The value is raw x scale + offset."""
    values: Mapping[int, str] = field(default_factory=dict)
    """The meanings of numbers; a number without a meaning is returned as its digits."""
    not_available: frozenset[int] = frozenset()
    """Raw numbers, before bits are extracted, that mean that there is no value."""
    valid: tuple[float, float] | None = None
    """The lowest and the highest raw number that is a value."""
    starts_with: bytes = b""
    """The first bytes of payloads that contain this value; other payloads do not."""
    flags: Flags | None = None
    """The flags of the payload that move this value; `None` where it is always at its place."""


def decode(encoding: Encoding, payload: bytes) -> Value:
    """Return the value in this payload; `None` when the device has no value.

    Raises:
        PayloadTooShort: the payload ends before the value does.
        NotInPayload: the payload contains other values than this one.
    """
    if not payload.startswith(encoding.starts_with):
        raise NotInPayload(f"it does not begin with {encoding.starts_with.hex()}")
    if encoding.flags is not None:
        encoding = encoding.flags.applied(encoding, payload)
    raw = _raw(encoding, payload[encoding.at :])
    if raw is None or isinstance(raw, str | bool):
        return raw
    if raw in encoding.not_available or (encoding.valid and not encoding.valid[0] <= raw <= encoding.valid[1]):
        return None
    if encoding.bits is not None:
        first, length = encoding.bits
        raw = int(raw) >> first & (1 << length) - 1
        if length == 1 and not encoding.values:
            return bool(raw)
        if INTEGERS[encoding.format][1] and raw >> length - 1:
            raw -= 1 << length
    if encoding.values:
        return encoding.values.get(int(raw), str(int(raw)))
    return scaled(raw, encoding.scale, encoding.offset)


def encode(encoding: Encoding, value: Value) -> bytes:
    """Return the bytes of this value, rounded to what the format can represent; for numbers, booleans and UTF-8 texts.

    Raises:
        ValueError: the format cannot represent the value; the text says why.
    """
    if encoding.format is Format.BOOL:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is neither true nor false")
        return bytes([value])
    if encoding.format is Format.UTF8:
        return _encode_text(value, encoding.length)
    number, order = encoding.format, _order(encoding)
    raw = raw_number(value, scale=encoding.scale, offset=encoding.offset, values=encoding.values)
    if number in MEDFLOATS:
        return MEDFLOATS[number].encode(raw).to_bytes(MEDFLOATS[number].size, order)
    try:
        if number in FLOATS:
            return struct.pack(f"{'>' if encoding.big_endian else '<'}{FLOATS[number]}", raw)
        size, has_sign = INTEGERS[number]
        return round(raw).to_bytes(size, order, signed=has_sign)
    except (OverflowError, struct.error) as error:
        raise ValueError(f"{value!r} does not fit into {number}") from error


def size_of(number: Format) -> int | None:
    """Return the number of bytes of a number in this format; `None` when that depends on the payload."""
    if number in INTEGERS:
        return INTEGERS[number][0]
    if number in FLOATS:
        return struct.calcsize(FLOATS[number])
    return MEDFLOATS[number].size if number in MEDFLOATS else None


def raw_limits(number: Format) -> tuple[int, int]:
    """Return the lowest and the highest whole number of this format."""
    size, has_sign = INTEGERS[number]
    bits = 8 * size
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if has_sign else (0, (1 << bits) - 1)


def scaled(raw: float, scale: float, offset: float) -> float:
    """Return raw x scale + offset, calculated exactly and rounded once: 3 times a tenth is 0.3, and 149 x 0.00512 is 0.76288."""
    if scale == 1 and offset == 0:
        return raw
    times, more, among = _steps(scale, offset)
    if not isinstance(raw, int):
        return float(f"{(raw * times + more) / among:.{DIGITS}g}")
    steps = raw * times + more
    return steps if among == 1 and offset == 0 else steps / among


@lru_cache(maxsize=1024)
def _steps(scale: float, offset: float) -> tuple[int, int, int]:
    """Return whole numbers with which raw x scale + offset is (raw x first + second) / third, as the decimal texts say it."""
    parts = divisor(scale)
    step, start = Fraction(1, parts) if parts else Fraction(str(scale)), Fraction(str(offset))
    among = lcm(step.denominator, start.denominator)
    return int(step * among), int(start * among), among


def _raw(encoding: Encoding, part: bytes) -> Value:
    """Return the raw value at the beginning of these bytes, before it is scaled or replaced by its meaning."""
    number = encoding.format
    if number in _SPECIAL:
        return _SPECIAL[number](part)
    raw = first_bytes(part, size_of(number) or encoding.length)
    if number in TEXTS:
        return TEXTS[number](raw)
    if number in FLOATS:
        value: float = struct.unpack(f"{'>' if encoding.big_endian else '<'}{FLOATS[number]}", raw)[0]
        return value if isfinite(value) else None
    order = _order(encoding)
    if number in MEDFLOATS:
        return MEDFLOATS[number].decode(int.from_bytes(raw, order))
    return int.from_bytes(raw, order, signed=INTEGERS[number][1])


def _encode_text(value: Value, length: int | None) -> bytes:
    """Return a text as UTF-8, padded with NULs to its length if it has one."""
    raw = str(value).encode()
    if length is not None and len(raw) > length:
        raise ValueError(f"{value!r} does not fit into {length} bytes")
    return raw if length is None else raw.ljust(length, b"\0")


def _order(encoding: Encoding) -> Literal["big", "little"]:
    return "big" if encoding.big_endian else "little"


def _text(raw: bytes) -> str | None:
    return printable(raw.split(b"\0", 1)[0].decode("utf-8", errors="replace")) or None


def _dotted(raw: bytes) -> str:
    return ".".join(map(str, raw))


def _bool(part: bytes) -> bool:
    return first_bytes(part, 1)[0] != 0


TEXTS: Mapping[Format, Callable[[bytes], str | None]] = {Format.UTF8: _text, Format.HEX: bytes.hex, Format.DOTTED: _dotted}
"""Text formats and their decoders."""

_SPECIAL: Mapping[Format, Callable[[bytes], Value]] = {
    Format.BOOL: _bool,
    Format.DATE_TIME: special_formats.date_time,
    Format.HEART_RATE: special_formats.heart_rate,
    Format.SKIN_CONTACT: special_formats.skin_contact,
    Format.ENERGY_EXPENDED: special_formats.energy_expended,
    Format.RR_INTERVAL: special_formats.rr_interval,
    Format.SINT8_HUNDREDTHS: partial(special_formats.hundredths, whole_bytes=1),
    Format.SINT32_HUNDREDTHS: partial(special_formats.hundredths, whole_bytes=4),
    Format.GLUCOSE_TIME: special_formats.glucose_time,
    Format.TENTHS_AND_WHOLE: special_formats.tenths_and_whole,
    Format.ESTIMOTE_LIGHT: special_formats.estimote_light,
    Format.ESTIMOTE_UPTIME: special_formats.estimote_uptime,
    Format.SINT8_SIGN_MAGNITUDE: special_formats.sign_and_magnitude,
    Format.OPT3001: special_formats.opt3001,
}
