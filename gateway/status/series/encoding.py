"""Encode a few bins of all metrics of one child as bytes: decimal steps from the first mean, in one or two bytes each. Pure.

A segment is written once and read seldom, so it has to be small. The lowest and the highest are left out where both are the
mean, and a metric that does not change takes a few bytes however many bins there are. A step is at most a thousandth of
the difference between the lowest and the highest value of the segment, and a power of ten: what a device reports with few
decimals comes back as it was, and what was averaged comes back without digits that mean nothing.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Collection, Iterator, Mapping
from math import floor, log10
from typing import Final

from gateway.status.series.levels import Bin

_HEADER: Final = struct.Struct("<HbBB")
"""Position of the metric, exponent of the step, form, and which bins there are."""
_FORMS: Final = {0: "", 1: "b", 2: "h", 4: "i"}
_HAS_EXTREMES: Final = 8
_DIGITS: Final = 14
"""Of a value at most."""
_SMALLEST: Final = 1e-30
MOST_POSITIONS: Final = 1 << 16


def encode_segment(columns: Mapping[int, Mapping[int, Bin]]) -> bytes:
    """Return a segment as bytes.

    Args:
        columns: for each metric, by its position, its bins by their place in the segment, 0 to 7; finite and at most 1e38.
    """
    return b"".join(_encode_column(position, bins) for position, bins in sorted(columns.items()) if bins)


def decode_segment(blob: bytes, wanted: Collection[int] | None = None) -> dict[int, dict[int, Bin]]:
    """Return the metrics of a segment by position, of all or of these.

    Raises:
        ValueError: these bytes are no segment.
    """
    columns: dict[int, dict[int, Bin]] = {}
    place = 0
    while place < len(blob):
        try:
            position, exponent, form, mask = _HEADER.unpack_from(blob, place)
        except struct.error as error:
            raise ValueError("the segment ends within a metric") from error
        first, place = _read_number(blob, place + _HEADER.size)
        width, count = form & 7, mask.bit_count()
        if width not in _FORMS:
            raise ValueError("the segment has an unknown form")
        size = width * count * (3 if form & _HAS_EXTREMES else 1)
        if place + size > len(blob):
            raise ValueError("the segment ends within a metric")
        if wanted is None or position in wanted:
            steps = _steps(blob[place : place + size], width) if width else [0] * count
            columns[position] = dict(zip(_places(mask), _bins(steps, first, exponent, count), strict=True))
        place += size
    return columns


def _encode_column(position: int, bins: Mapping[int, Bin]) -> bytes:
    ordered = [bins[place] for place in sorted(bins)]
    lows, means, highs = zip(*ordered, strict=True)
    exponent = _exponent(min(lows), max(highs))
    first, *_ = whole = [_scaled(value, exponent) for value in means]
    has_extremes = lows != means or highs != means
    steps = [value - first for value in whole]
    if has_extremes:
        steps += [_scaled(value, exponent) - first for value in (*lows, *highs)]
    most = max(map(abs, steps))
    width = 0 if not most else 1 if most < 1 << 7 else 2 if most < 1 << 15 else 4
    form = width | (_HAS_EXTREMES if has_extremes and width else 0)
    mask = sum(1 << place for place in bins)
    numbers = array(_FORMS[width], steps) if width else array("b")
    if sys.byteorder == "big":
        numbers.byteswap()
    return _HEADER.pack(position, exponent, form, mask) + _number_bytes(first) + numbers.tobytes()


def _exponent(low: float, high: float) -> int:
    """Return the power of ten of a step."""
    largest = max(abs(low), abs(high))
    if largest < _SMALLEST:
        return 0
    fine = floor(log10(largest)) - _DIGITS
    span = high - low
    if span > _SMALLEST:
        return max(floor(log10(span)) - 3, fine)
    exponent, whole = fine, _scaled(low, fine)
    while whole and whole % 10 == 0:
        exponent, whole = exponent + 1, whole // 10
    return exponent


def _scaled(value: float, exponent: int) -> int:
    return round(value / 10.0**exponent if exponent >= 0 else value * 10.0**-exponent)


def _bins(steps: list[int], first: int, exponent: int, count: int) -> Iterator[Bin]:
    scale = 10.0 ** abs(exponent)
    values = [(first + step) * scale for step in steps] if exponent >= 0 else [(first + step) / scale for step in steps]
    means = values[:count]
    lows, highs = (values[count : 2 * count], values[2 * count :]) if len(values) > count else (means, means)
    return map(Bin, lows, means, highs)


def _steps(packed: bytes, width: int) -> list[int]:
    numbers = array(_FORMS[width])
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _places(mask: int) -> Iterator[int]:
    return (place for place in range(8) if mask >> place & 1)


def _number_bytes(value: int) -> bytes:
    """Return a whole number, seven bits a byte, the sign in the lowest bit."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    packed = bytearray()
    while rest > 0x7F:
        packed.append(rest & 0x7F | 0x80)
        rest >>= 7
    packed.append(rest)
    return bytes(packed)


def _read_number(blob: bytes, place: int) -> tuple[int, int]:
    """Return the whole number at this place of the bytes, and the place behind it."""
    rest = shift = 0
    while place < len(blob) and shift < 70:
        byte = blob[place]
        place += 1
        rest |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (rest >> 1 if not rest & 1 else -((rest + 1) >> 1)), place
        shift += 7
    raise ValueError("the segment ends within a number")
