"""Compare what an adapter made of the device of a case folder with what the case expects. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gateway.workbench import CaseDifference

NOTHING = "nothing"
"""Stands where the case or the adapter has no such thing."""

SAME_DIGITS = 1e-9
"""Numbers that differ by less than this share of them are the same: a case has as many digits as a person writes down."""


def case_differences(what: str, expected: Mapping[str, object], got: Mapping[str, object]) -> Iterator[CaseDifference]:
    """Yield each name whose values differ, or that only one of the two has.

    Args:
        what: the kind of the names, such as `reading`.
        expected: name -> value that the case has; `None` is "no value".
        got: the same of the adapter.
    """
    for name in (*expected, *(name for name in got if name not in expected)):
        is_equal = name in expected and name in got and _is_same(expected[name], got[name])
        if not is_equal:
            yield CaseDifference(what=f"{what} {name}", expected=_text(expected, name), got=_text(got, name))


def _is_same(one: object, other: object) -> bool:
    """Return whether two values are the same, apart from the last digits of a binary fraction that nobody writes down."""
    if isinstance(one, float) and isinstance(other, float) and math.isfinite(one) and math.isfinite(other):
        return math.isclose(one, other, rel_tol=SAME_DIGITS)
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _text(values: Mapping[str, object], name: str) -> str:
    if name not in values:
        return NOTHING
    value = values[name]
    if value is None:
        return "no value"
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
