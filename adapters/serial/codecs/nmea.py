"""Decode NMEA 0183 sentences of a satellite receiver, as an example of a codec. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from adapters.serial.codec import Codec, DecodedFrame
from gateway.adapter import Value

MAX_DIGITS = 20
"""A longer field contains no number."""

Reader: TypeAlias = Callable[[Sequence[str]], dict[str, Value]]

KNOT = 1.852
"""Kilometres an hour."""

ANGLE = re.compile(r"(\d{1,3})(\d{2}(?:\.\d*)?)")
"""Degrees and minutes: `4807.038` is 48° 7.038'."""

ZERO = re.compile(r"0*\.?0*")
"""A latitude or longitude of zero, which receivers without a fix send for both."""

SATELLITE_FIXES = range(1, 6)
"""Qualities of a fix (GGA) that need satellites; others are estimated, entered by hand or simulated."""


class NmeaCodec(Codec):
    """Decodes sentences of any talker: GPGGA and GNGGA are both `gga`.

    Without a fix, position, height, speed, course and time are `None`, whatever the fields contain: receivers leave them empty,
    send zeros, or repeat the last fix. There is no fix with quality 0 (GGA), a status other than A (RMC, GLL), the mode
    indicator N (from NMEA 2.3 on), no satellite in use, or a latitude and longitude of zero.
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
    quality = _number(fields[5])
    has_fix = bool(quality) and not (quality in SATELLITE_FIXES and _number(fields[6]) == 0)
    return {"quality": quality, "satellites": _number(fields[6]), **_fix(fields[1:], fields[7:], has_fix=has_fix)}


def _gns(fields: Sequence[str]) -> dict[str, Value]:
    """Decode a fix of several systems: time, latitude, N, longitude, E, modes, satellites, dilution, altitude, ..."""
    has_fix = any(mode != "N" for mode in fields[5]) and _number(fields[6]) != 0
    return {"satellites": _number(fields[6]), **_fix(fields[1:], fields[7:], has_fix=has_fix)}


def _fix(place: Sequence[str], accuracy: Sequence[str], *, has_fix: bool) -> dict[str, Value]:
    """Return position, dilution and altitude from the fields from the latitude on, and from the dilution on."""
    position = _position(place, has_fix=has_fix)
    is_known = position["latitude"] is not None
    return {
        **position,
        "dilution": _number(accuracy[0]) if is_known else None,
        "altitude": _number(accuracy[1]) if is_known else None,
    }


def _gll(fields: Sequence[str]) -> dict[str, Value]:
    """Decode a position: latitude, N, longitude, E, time, status, mode."""
    return _position(fields, has_fix=fields[5] == "A" and fields[6:7] != ["N"])


def _rmc(fields: Sequence[str]) -> dict[str, Value]:
    """Decode the recommended minimum: time, status, latitude, N, longitude, E, knots, course, date, variation, E, mode, ..."""
    has_fix = fields[1] == "A" and fields[11:12] != ["N"] and not _is_at_zero(fields[2:])
    moment = _moment(fields[8], fields[0]) if has_fix else None
    return {"status": fields[1] or None, **_motion(fields[6], fields[7], has_fix=has_fix), "time": moment}


def _vtg(fields: Sequence[str]) -> dict[str, Value]:
    """Decode course and speed: degrees, T, magnetic, M, knots, N, km/h, K, mode. Before NMEA 2.3 nothing in it shows a fix."""
    return _motion(fields[4], fields[0], has_fix=fields[8] != "N")


def _position(fields: Sequence[str], *, has_fix: bool) -> dict[str, Value]:
    if not has_fix or _is_at_zero(fields):
        return {"latitude": None, "longitude": None}
    return {"latitude": _angle(fields[0], fields[1], "NS"), "longitude": _angle(fields[2], fields[3], "EW")}


def _motion(knots: str, course: str, *, has_fix: bool) -> dict[str, Value]:
    speed = _number(knots) if has_fix else None
    return {"speed": None if speed is None else round(speed * KNOT, 3), "course": _number(course) if has_fix else None}


def _is_at_zero(fields: Sequence[str]) -> bool:
    return all(digits and ZERO.fullmatch(digits) for digits in (fields[0], fields[2]))


def _angle(digits: str, side: str, sides: str) -> float | None:
    """Return degrees from `4807.038`, `N`: two or three digits of degrees, then minutes."""
    if not digits:
        return None
    found = ANGLE.fullmatch(digits)
    if found is None or len(digits) > MAX_DIGITS or side not in tuple(sides):
        raise ValueError("an angle has digits of degrees, two of minutes, a fraction and a side")
    degrees = int(found[1]) + float(found[2]) / 60
    if float(found[2]) >= 60 or degrees > (90 if side in "NS" else 180):
        raise ValueError("it is no place on earth")
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


_READERS: Mapping[str, Reader] = {"GGA": _gga, "GLL": _gll, "GNS": _gns, "RMC": _rmc, "VTG": _vtg}
