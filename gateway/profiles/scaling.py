"""Convert between the raw numbers of a device and the values of a metric: scale, offset and enumerations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from gateway.models import Value

FINEST_SCALE = 1e-15
"""A finer scale is no fraction of a decimal number, and its reciprocal may be infinite."""


def divisor(scale: float) -> int:
    """Return 10 for the scale 0.1, since 3 / 10 is 0.3 and 3 * 0.1 is not; 0 for a scale that is not such a fraction."""
    parts = round(1 / scale) if FINEST_SCALE <= abs(scale) < 1 else 0
    return parts if parts and abs(scale * parts - 1) < 1e-12 else 0


def shown_value(value: Value, unit: str | None = None) -> str:
    """Return a value for people to read, with its unit: without the digits that a binary fraction adds."""
    if value is None:
        return "not available"
    text = f"{value:.7g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text} {unit}" if unit else text


def raw_number(value: Value, *, scale: float, offset: float, values: Mapping[int, str]) -> float:
    """Return the raw number that a device expects for a value, not yet rounded.

    Args:
        value: the value of the metric.
        scale: what one step of the raw number is worth.
        offset: the value at raw number 0.
        values: raw number -> its meaning, for an enumeration; empty for a plain number.

    Raises:
        ValueError: the value is not a finite number, or is none of the meanings.
    """
    if values:
        known = {meaning: number for number, meaning in values.items()}
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}")
        return known[str(value)]
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    shifted = value - offset if offset else value
    parts = divisor(scale)
    if parts:
        return shifted * parts
    return shifted if scale == 1 else shifted / scale
