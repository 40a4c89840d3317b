"""Write JSON that every reader accepts: JSON has no NaN and no infinity (RFC 8259, section 6), but Python writes them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any


def dumps(value: object, **options: Any) -> str:  # noqa: ANN401 - the options of json.dumps, passed on
    """Return a value as JSON, with null in the place of each number that is not finite.

    Args:
        value: anything that `json.dumps` takes.
        **options: those of `json.dumps`, except `allow_nan`.

    Raises:
        TypeError: it contains something that JSON cannot express.
    """
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, **options)


def has_finite_numbers(value: object) -> bool:
    """Return whether each number in a value of `json.loads` or `model_dump` is finite, at any depth."""
    level = [value]
    while level:  # without recursion: it may be nested as deep as whoever wrote it likes
        if not all(isfinite(one) for one in level if isinstance(one, float)):
            return False
        tables = [one.values() if isinstance(one, Mapping) else one for one in level if isinstance(one, _CONTAINERS)]
        level = [inner for table in tables for inner in table]
    return True


_CONTAINERS = (Mapping, list, tuple, set, frozenset)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if _finite(key) is not None else str(key): _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value
