"""Decode NMEA 0183 sentences of a satellite receiver, as an example of a codec. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from adapters.serial.codec import Codec, DecodedFrame
from gateway.adapter import Value

MAX_DIGITS = 20
"""A longer field contains no number."""

Reader: TypeAlias = Callable[[Sequence[str]], dict[str, Value]]

KNOT = 1.852
"""Kilometres an hour."""

NORTH_SOUTH, EAST_WEST = ("N", "S"), ("E", "W")

NO_FIX: Mapping[str, Value] = dict.fromkeys(("latitude", "longitude", "dilution", "altitude"))

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
    quality, satellites = _number(fields[5]), _number(fields[6])
    has_fix = quality and not (satellites == 0 and quality in SATELLITE_FIXES)
    values = _fix(fields) if has_fix else dict(NO_FIX)
    values["quality"], values["satellites"] = quality, satellites
    return values


def _gns(fields: Sequence[str]) -> dict[str, Value]:
    """Decode a fix of several systems: time, latitude, N, longitude, E, modes, satellites, dilution, altitude, ..."""
    satellites = _number(fields[6])
    has_fix = satellites != 0 and any(mode != "N" for mode in fields[5])
    values = _fix(fields) if has_fix else dict(NO_FIX)
    values["satellites"] = satellites
    return values


def _fix(fields: Sequence[str]) -> dict[str, Value]:
    """Return position, dilution and altitude of GGA and GNS, which have them at the same places."""
    latitude, longitude = _angle(fields[1], fields[2], NORTH_SOUTH), _angle(fields[3], fields[4], EAST_WEST)
    if latitude == 0 == longitude:
        return dict(NO_FIX)
    return {"latitude": latitude, "longitude": longitude, "dilution": _number(fields[7]), "altitude": _number(fields[8])}


def _gll(fields: Sequence[str]) -> dict[str, Value]:
    """Decode a position: latitude, N, longitude, E, time, status, mode."""
    if fields[5] != "A" or fields[6:7] == ["N"] or _is_at_zero(fields[0], fields[2]):
        return {"latitude": None, "longitude": None}
    return {"latitude": _angle(fields[0], fields[1], NORTH_SOUTH), "longitude": _angle(fields[2], fields[3], EAST_WEST)}


def _rmc(fields: Sequence[str]) -> dict[str, Value]:
    """Decode the recommended minimum: time, status, latitude, N, longitude, E, knots, course, date, variation, E, mode, ..."""
    status = fields[1]
    if status != "A" or fields[11:12] == ["N"] or _is_at_zero(fields[2], fields[4]):
        return {"status": status or None, "speed": None, "course": None, "time": None}
    return {"status": status, **_motion(fields[6], fields[7]), "time": _moment(fields[8], fields[0])}


def _vtg(fields: Sequence[str]) -> dict[str, Value]:
    """Decode course and speed: degrees, T, magnetic, M, knots, N, km/h, K, mode. Before NMEA 2.3 nothing in it shows a fix."""
    return {"speed": None, "course": None} if fields[8] == "N" else _motion(fields[4], fields[0])


def _motion(knots: str, course: str) -> dict[str, Value]:
    speed = _number(knots)
    return {"speed": None if speed is None else round(speed * KNOT, 3), "course": _number(course)}


def _is_at_zero(latitude: str, longitude: str) -> bool:
    """Return whether both are written as zero, as some receivers without a fix do."""
    return latitude != "" != longitude and not latitude.strip("0.") and not longitude.strip("0.")


def _angle(digits: str, side: str, sides: tuple[str, str]) -> float | None:
    """Return degrees from `4807.038`, `N`: two or three digits of degrees, then minutes."""
    if not digits:
        return None
    whole, _, fraction = digits.partition(".")
    is_written_right = whole.isdecimal() and len(whole) >= 3 and (fraction.isdecimal() or not fraction)
    if not is_written_right or len(digits) > MAX_DIGITS or side not in sides:
        raise ValueError("an angle has digits of degrees, two of minutes, a fraction and a side")
    minutes = float(digits[len(whole) - 2 :])
    degrees = int(whole[:-2]) + minutes / 60
    if minutes >= 60 or degrees > (90 if sides is NORTH_SOUTH else 180):
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
    written = f"20{date[4:]}-{date[2:4]}-{date[:2]}T{time[:2]}:{time[2:4]}:{time[4:6]}Z"
    try:
        datetime.fromisoformat(written.replace(":60Z", ":59Z"))  # a leap second
    except ValueError:  # `000000` of a receiver whose clock was never set
        return None
    return written


_READERS: Mapping[str, Reader] = {"GGA": _gga, "GLL": _gll, "GNS": _gns, "RMC": _rmc, "VTG": _vtg}
