"""Check the values, texts and times of readings. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any, Final

from gateway.models import Value
from gateway.plain_text import type_name
from gateway.state.wall_clock import RELEASED_AFTER

LARGEST_INTEGER: Final = 2**64
"""Integers are smaller than this: an unsigned counter of 64 bits is the largest that a device has."""

LARGEST_NUMBER: Final = 1e300
"""The largest float: the difference of any two of them is finite, so that they can be averaged."""

MOST_CHARACTERS: Final = 4096
"""The most characters of a value that is a text."""

OLDEST: Final = timedelta(days=366)
"""The greatest age of a reading, by the gateway's clock."""

AHEAD: Final = timedelta(days=1)
"""How far the time of a reading may be ahead of the gateway's clock."""

JUMP_SECONDS: Final = 60.0
"""The clock was set when it differs by more than this from how far it should have gone on."""

FORMER_CLOCK_SECONDS: Final = 600.0
"""For so long after the clock was set, a reading may have a time of the clock as it was before."""

NO_CLOCK_KNOWS: Final = timedelta(days=366 * 50)
"""While the gateway's clock was never set, a device that knows the time may be this far after `RELEASED_AFTER`."""


class Unusable(Exception):
    """Something is not used; the text says what it is, to follow the name of where it stands."""


def checked_value(value: Any) -> Value:  # noqa: ANN401 - whatever an adapter yields
    """Return the value as a plain bool, int, float or text, or `None`; a text may still have to be cleaned.

    Raises:
        Unusable: it is something else, not finite or too large.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]  # it is one of these
    if issubclass(kind, float):
        return _checked_float(float.__float__(value))
    if issubclass(kind, int):
        return _checked_int(int.__int__(value))
    if issubclass(kind, str):
        return checked_text(value)
    raise Unusable(f"of the type {type_name(kind)}")


def checked_text(value: str) -> str:
    """Return the text of a value as a plain `str`.

    Raises:
        Unusable: it is too long.
    """
    text = str.__str__(value)
    if len(text) > MOST_CHARACTERS:
        raise Unusable(f"a text of {len(text)} characters")
    return text


def _checked_float(value: float) -> float:
    if not isfinite(value):
        raise Unusable("not a finite number")
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise Unusable("a number that is too large")
    return value


def _checked_int(value: int) -> int:
    if not -LARGEST_INTEGER < value < LARGEST_INTEGER:
        raise Unusable(f"an integer of {value.bit_length()} bits")
    return value


def json_bytes(text: str) -> int:
    """Return how many bytes a text has in JSON."""
    return len(encode_basestring_ascii(text))


class PlausibleTimes:
    """Judges times by the gateway's own clock, also while that was never set, and right after it was set.

    Args:
        clock: returns the time of the gateway, in seconds since 1970.
        uptime: returns the seconds of a clock that nobody sets.
    """

    def __init__(self, clock: Callable[[], float] = time.time, uptime: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uptime = uptime
        self._offset = clock() - uptime()
        self._former_offset = self._offset
        self._set_at = -FORMER_CLOCK_SECONDS

    def checked(self, at: Any) -> datetime:  # noqa: ANN401 - whatever an adapter yields
        """Return the time as a plain `datetime` in UTC.

        Raises:
            Unusable: it is no time, has no zone, or is implausible.
        """
        moment = at if type(at) is datetime and at.tzinfo is UTC else _in_utc(at)
        now = datetime.fromtimestamp(self._clock(), UTC)
        if not _is_near(moment, now) and not self._is_of_another_clock(moment, now):
            raise Unusable(f"{moment:%Y-%m-%d %H:%M} UTC, and the gateway's clock shows {now:%Y-%m-%d %H:%M}")
        self._follow_clock()
        return moment

    def _follow_clock(self) -> None:
        offset = self._clock() - self._uptime()
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._former_offset, self._set_at = self._offset, self._uptime()
        self._offset = offset

    def _is_of_another_clock(self, at: datetime, now: datetime) -> bool:
        """Return whether a time is right by the clock before it was set, or by a device while the gateway has no clock."""
        self._follow_clock()
        if now < RELEASED_AFTER <= at < RELEASED_AFTER + NO_CLOCK_KNOWS:
            return True
        if self._uptime() - self._set_at >= FORMER_CLOCK_SECONDS:
            return False
        return _is_near(at, datetime.fromtimestamp(self._uptime() + self._former_offset, UTC))


def _is_near(at: datetime, now: datetime) -> bool:
    return -AHEAD <= now - at <= OLDEST


def _in_utc(at: Any) -> datetime:  # noqa: ANN401 - whatever an adapter yields
    if not issubclass(type(at), datetime):
        raise Unusable(f"of the type {type_name(type(at))}")
    try:
        moment = datetime(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, at.tzinfo, fold=at.fold)
        in_utc = None if moment.utcoffset() is None else moment.astimezone(UTC)
    except Exception as error:  # noqa: BLE001 - a time zone of a third party may raise anything
        raise Unusable(f"a time that cannot be converted to UTC ({type_name(type(error))})") from None
    if in_utc is None:
        raise Unusable("without a time zone")
    return in_utc
