"""Read TOML, so that whatever a text contains, the result is its tables or the one error of TOML. Pure."""

from __future__ import annotations

import tomllib
from typing import Any, Final

MOST_LEVELS: Final = 100
"""The deepest nesting of tables and lists; a dotted key nests without limit, and who walks through its tables would not end."""


def read_toml(text: str) -> dict[str, Any]:
    """Return the tables of a text.

    Raises:
        tomllib.TOMLDecodeError: it is no TOML, or what Python cannot read of it: endless nesting, numbers of thousands of digits.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError(_TOO_DEEP) from None
    except ValueError:  # Python converts no integer of more than 4,300 digits
        raise tomllib.TOMLDecodeError("Invalid value: a number has thousands of digits") from None
    if _is_deep(tables):
        raise tomllib.TOMLDecodeError(_TOO_DEEP)
    return tables


_TOO_DEEP: Final = "Invalid value: lists or tables are nested hundreds of levels deep"


def _is_deep(tables: dict[str, Any]) -> bool:
    level: list[Any] = [tables]
    for _ in range(MOST_LEVELS):
        level = [
            inner for one in level for inner in (one.values() if isinstance(one, dict) else one) if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
