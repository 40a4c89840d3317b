"""Read TOML, so that whatever a text contains, the result is its tables or the one error of TOML. Pure."""

from __future__ import annotations

import tomllib
from typing import Any


def read_toml(text: str) -> dict[str, Any]:
    """Return the tables of a text.

    Raises:
        tomllib.TOMLDecodeError: it is no TOML, or what Python cannot read of it: endless nesting, numbers of thousands of digits.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("Invalid value: lists or tables are nested hundreds of levels deep") from None
    except ValueError:  # Python converts no integer of more than 4,300 digits
        raise tomllib.TOMLDecodeError("Invalid value: a number has thousands of digits") from None
