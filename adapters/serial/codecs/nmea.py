"""Decode NMEA 0183 sentences of a satellite receiver, as an example of a codec. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from adapters.serial.codec import Codec, DecodedFrame
from gateway.adapter import Value

MAX_DIGITS = 20
"""A longer field contains no number."""

Reader: TypeAlias = Callable[[Sequence[str]], dict[str, Value]]

KNOT = 1.852
"""Kilometres an hour."""


class NmeaCodec(Codec):
    """Decodes sentences of any talker: GPGGA and GNGGA are both `gga`.

    Fields that a receiver without a fix leaves empty are `None`.
    """

    def read(self, payload: bytes) -> DecodedFrame | None:
        """Decode a sentence, named by its three-letter type; return `None` for types that are not supported."""
        head, *fields = payload.decode("ascii", errors="replace").split(",")
        reader = _READERS.get(head[-3:]) if len(head) == 5 else None
        try:
            return None if reader is None else DecodedFrame(head[-3:].lower(), reader(fields))
        except (ValueError, IndexError):
            return None  # a damaged sentence: some receivers send no checksum


def _gga(fields: Sequence[str]) -> dict[str, Value]:
    """Decode a fix: time, latitude, N, longitude, E, quality, satellites, dilution, altitude, M, ..."""
    return {
        "latitude": _angle(fields[1], fields[2]),
        "longitude": _angle(fields[3], fields[4]),
        "quality": _number(fields[5]),
        "satellites": _number(fields[6]),
        "dilution": _number(fields[7]),
        "altitude": _number(fields[8]),
    }


def _rmc(fields: Sequence[str]) -> dict[str, Value]:
    """Decode the recommended minimum: time, status, latitude, N, longitude, E, knots, course, date, ..."""
    knots = _number(fields[6])
    return {
        "status": fields[1] or None,
        "speed": None if knots is None else round(knots * KNOT, 3),
        "course": _number(fields[7]),
        "time": _moment(fields[8], fields[0]),
    }


def _angle(digits: str, side: str) -> float | None:
    """Return degrees from `4807.038`, `N`: two or three digits of degrees, then minutes."""
    if not digits:
        return None
    if len(digits) > MAX_DIGITS:
        raise ValueError("an angle has fewer digits")
    point = digits.index(".") if "." in digits else len(digits)
    degrees = int(digits[: point - 2]) + float(digits[point - 2 :]) / 60
    return round(-degrees if side in "SW" else degrees, 7)


def _number(digits: str) -> int | float | None:
    if not digits:
        return None
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number has fewer digits")
    return float(digits) if "." in digits else int(digits)


def _moment(date: str, time: str) -> str | None:
    """Return `2094-03-23T12:35:19Z` from a date `230394` and a time `123519`, in the current century."""
    if len(date) != 6 or len(time) < 6 or not (date + time[:6]).isdigit():
        return None
    return f"20{date[4:]}-{date[2:4]}-{date[:2]}T{time[:2]}:{time[2:4]}:{time[4:6]}Z"


_READERS: Mapping[str, Reader] = {"GGA": _gga, "RMC": _rmc}
