"""Decode values that are more than a number at an offset: decimal floats, date and time, heart rate, values in two parts. Pure.

Decimal floats are the SFLOAT and FLOAT of IEEE 11073-20601; GATT calls them medfloat16 and medfloat32.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import floor, log10
from typing import NamedTuple


class NotInPayload(ValueError):
    """The payload does not contain this value."""


class PayloadTooShort(NotInPayload):
    """The payload ends before the value does."""


def first_bytes(part: bytes, length: int | None) -> bytes:
    """Return the first bytes, or all of them.

    Raises:
        PayloadTooShort: there are fewer, or none at all.
    """
    if length is None:
        if not part:
            raise PayloadTooShort("it ends where the value should begin")
        return part
    if len(part) < length:
        raise PayloadTooShort(f"bytes needed for the value: {length}, left: {len(part)}")
    return part[:length]


class MedFloat(NamedTuple):
    """The layout of a decimal float: a whole number, and in the bits above it its power of ten."""

    size: int
    """Bytes."""
    number_bits: int

    @property
    def largest(self) -> int:
        """The largest number: the values above it are NaN and infinity."""
        return (1 << self.number_bits - 1) - 3

    @property
    def reserved(self) -> range:
        """The reserved values of a number with power 0: infinity, NaN, "not at this resolution", reserved, minus infinity."""
        return range(self.largest + 1, self.largest + 6)

    def decode(self, raw: int) -> float | None:
        """Return the number; `None` for NaN, infinity and reserved values."""
        if raw in self.reserved:
            return None
        number = _signed(raw & (1 << self.number_bits) - 1, self.number_bits)
        power = _signed(raw >> self.number_bits, 8 * self.size - self.number_bits)
        return number / 10**-power if power < 0 else float(number * 10**power)

    def encode(self, value: float) -> int:
        """Return the raw value that `decode` decodes to this value, with as many digits as fit.

        Raises:
            ValueError: the value is too large.
        """
        half = 1 << 8 * self.size - self.number_bits - 1
        finest = floor(log10(abs(value))) - len(str(self.largest)) if value else 0
        for power in range(max(-half, finest), half):
            number = round(value * 10**-power) if power <= 0 else round(value / 10**power)
            if abs(number) <= self.largest:
                number, power = _without_trailing_zeros(number, power)
                return (power & (2 * half - 1)) << self.number_bits | number & (1 << self.number_bits) - 1
        raise ValueError(f"{value!r} is larger than {self.largest}e{half - 1}")


SFLOAT = MedFloat(size=2, number_bits=12)
FLOAT = MedFloat(size=4, number_bits=24)


def date_time(part: bytes) -> str | None:
    """Return the Date Time (0x2A08) at the beginning, which Current Time (0x2A2B) contains, too: the device's local time.

    A year, month or day of 0 means unknown; so does a date that does not exist.
    """
    raw = first_bytes(part, 7)
    try:
        return datetime(int.from_bytes(raw[:2], "little"), *raw[2:7]).isoformat()  # noqa: DTZ001 - the device sends no time zone
    except ValueError:
        return None


_OVERRUN, _UNDERRUN = 0x7FFF, -0x8000
"""The offsets of a glucose meter that say that the true one is too large for its two bytes."""


def glucose_time(payload: bytes) -> str | None:
    """Return the time of a Glucose Measurement (0x2A18): base time at byte 3, then minutes of offset if the flags announce them.

    `None`: the base time is unknown, or the offset does not fit into its two bytes.
    """
    flags = first_bytes(payload, 10)[0]
    base = date_time(payload[3:])
    if base is None or not flags & 0x01:
        return base
    minutes = int.from_bytes(first_bytes(payload[10:], 2), "little", signed=True)
    if minutes in {_OVERRUN, _UNDERRUN}:
        return None
    try:
        return (datetime.fromisoformat(base) + timedelta(minutes=minutes)).isoformat()
    except OverflowError:
        return None


class _HeartRate:
    """A Heart Rate Measurement (0x2A37): flags, the rate in one or two bytes, energy if flagged, intervals if flagged."""

    def __init__(self, payload: bytes) -> None:
        self.flags = first_bytes(payload, 1)[0]
        self._payload = payload
        self._energy_at = 3 if self.flags & 0x01 else 2

    @property
    def rate(self) -> int:
        return int.from_bytes(first_bytes(self._payload, self._energy_at)[1 : self._energy_at], "little")

    @property
    def energy(self) -> int:
        if not self.flags & 0x08:
            raise NotInPayload("this measurement contains no energy")
        return int.from_bytes(first_bytes(self._payload[self._energy_at :], 2), "little")

    @property
    def intervals(self) -> list[int]:
        if not self.flags & 0x10:
            raise NotInPayload("this measurement contains no intervals")
        data = self._payload[self._energy_at + (2 if self.flags & 0x08 else 0) :]
        first_bytes(data, 2)
        return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data) - 1, 2)]


def heart_rate(payload: bytes) -> int:
    """Return the beats per minute of a Heart Rate Measurement."""
    return _HeartRate(payload).rate


def skin_contact(payload: bytes) -> bool:
    """Return whether the sensor touches the skin; a sensor without contact detection has no such value."""
    flags = _HeartRate(payload).flags
    if not flags & 0x04:
        raise NotInPayload("this sensor has no contact detection")
    return bool(flags & 0x02)


def energy_expended(payload: bytes) -> int:
    """Return the energy in kJ: most sensors send it in each tenth measurement only."""
    return _HeartRate(payload).energy


def rr_interval(payload: bytes) -> float:
    """Return the mean of the intervals in the measurement, in seconds; their unit is 1/1024 s."""
    intervals = _HeartRate(payload).intervals
    return round(sum(intervals) / len(intervals) / 1024, 4)


def hundredths(part: bytes, whole_bytes: int) -> float:
    """Return a whole number of this size with its hundredths, which are in the next byte."""
    raw = first_bytes(part, whole_bytes + 1)
    return int.from_bytes(raw[:-1], "little", signed=True) + raw[-1] / 100


def opt3001(part: bytes) -> float:
    """Return the lux in the result register of an OPT3001."""
    raw = int.from_bytes(first_bytes(part, 2), "little")
    return ((raw & 0xFFF) << (raw >> 12)) / 100


def estimote_light(part: bytes) -> float | None:
    """Return the lux of an Estimote's byte; `None` while it has not measured."""
    raw = first_bytes(part, 1)[0]
    return None if raw == 0xFF else ((raw & 0x0F) << (raw >> 4)) * 72 / 100


def estimote_uptime(part: bytes) -> int:
    """Return the seconds since an Estimote was started, counted in the unit that it chose."""
    raw = int.from_bytes(first_bytes(part, 2), "little")
    return (raw & 0xFFF) * (1, 60, 3600, 86400)[raw >> 12 & 3]


def _signed(raw: int, bits: int) -> int:
    return raw - (1 << bits) if raw >> bits - 1 else raw


def _without_trailing_zeros(number: int, power: int) -> tuple[int, int]:
    """Return the same value without trailing zeros: 365e-1 and not 36500e-3."""
    if number == 0:
        return 0, 0
    while power < 0 and number % 10 == 0:
        number, power = number // 10, power + 1
    return number, power


def tenths_and_whole(part: bytes) -> float | None:
    """Return the number of a byte with tenths and a byte with sign and whole number; `None` for minus zero, which says nothing.

    Raises:
        PayloadTooShort: there are fewer than two bytes.
    """
    tenths, whole = first_bytes(part, 2)
    number = (10 * (whole & 0x7F) + (tenths & 0x0F)) / 10
    if whole & 0x80:
        return number
    return -number if number else None


def sign_and_magnitude(part: bytes) -> int:
    """Return the number of a byte whose highest bit means minus.

    Raises:
        PayloadTooShort: there is no byte.
    """
    raw = first_bytes(part, 1)[0]
    return -(raw & 0x7F) if raw & 0x80 else raw
