"""Judge whether the values of a changed point map are plausible beside those of the map in use. Pure.

A value that both maps have continues: it stays close to the old one, or differs by a power of ten, as after a corrected scale. A
new one continues itself. Swapped words break both: a float becomes tiny, huge or erratic, a counter a multiple of 65536.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from gateway.models import Value

LARGEST = 1e12
SMALLEST = 1e-9
"""Numbers beyond these are no measurement, apart from 0."""

TOLERANCE = 0.2
"""How far a value may be from the old one, as a fraction: both are read one after the other."""

POWERS_OF_TEN = (1e-3, 1e-2, 1e-1, 1e1, 1e2, 1e3)
"""The factors by which a corrected scale may change a value."""

ERRATIC_FACTOR = 100.0
"""A new value whose largest and smallest readings differ by more is not a measurement."""

MOST_UNAVAILABLE = 0.5
"""The share of values that may be not available, unless it was as high before."""

Round = Mapping[str, Value]
"""All values of one round, by metric."""


def implausible(old: Sequence[Round], new: Sequence[Round]) -> list[str]:
    """Return why the values of the new map are not plausible, one sentence for each metric; empty where they are.

    Args:
        old: the rounds of the map in use.
        new: the rounds of the changed map, read at the same times.
    """
    if not any(new):
        return ["it gives no values"]
    problems = [problem for metric in new[-1] if (problem := _problem(metric, old, new)) is not None]
    if (share := _unavailable(new)) > max(MOST_UNAVAILABLE, _unavailable(old)):
        problems.append(f"{share:.0%} of its values are not available")
    return problems


def _problem(metric: str, old: Sequence[Round], new: Sequence[Round]) -> str | None:
    before, after = _numbers(metric, old), _numbers(metric, new)
    if not after:
        return f"{metric} is not available, and was {median(before):.6g}" if before and not _texts(metric, new) else None
    if strange := next((number for number in after if not _is_measurement(number)), None):
        return f"{metric} is {strange:.6g}"
    if before and all(map(_is_measurement, before)):
        then, now = median(before), median(after)
        if not _continues(then, now, spread=max(before) - min(before)):
            return f"{metric} is {now:.6g}, and was {then:.6g}"
        return None
    sizes = [abs(number) for number in after if number]
    if sizes and max(sizes) > ERRATIC_FACTOR * min(sizes):
        return f"{metric} jumps from {min(after):.6g} to {max(after):.6g}"
    return None


def _continues(then: float, now: float, *, spread: float) -> bool:
    if any(_is_close(then * factor, now, spread * factor) for factor in (1.0, *POWERS_OF_TEN)):
        return True
    return max(abs(then), abs(now)) < SMALLEST


def _is_close(then: float, now: float, spread: float) -> bool:
    return abs(now - then) <= max(TOLERANCE * abs(then), 2 * spread)


def _is_measurement(number: float) -> bool:
    return number == 0 or SMALLEST <= abs(number) <= LARGEST


def _numbers(metric: str, rounds: Sequence[Round]) -> list[float]:
    values = [one.get(metric) for one in rounds]
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def _texts(metric: str, rounds: Sequence[Round]) -> bool:
    return any(isinstance(one.get(metric), str | bool) for one in rounds)


def _unavailable(rounds: Sequence[Round]) -> float:
    values = [value for one in rounds for value in one.values()]
    return sum(value is None for value in values) / len(values) if values else 0.0
