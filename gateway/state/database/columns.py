"""Read the values of a row of the store, and refuse what cannot be a value of its column. Pure.

SQLite checks the type of a value when it is written. What is read from a damaged file can be anything.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import cast

from pydantic import SecretStr

from gateway import strict_json


class Unusable(ValueError):
    """A column has a value that cannot be its own; the text names the column and never quotes the value."""


def text(value: object, column: str) -> str:
    """Return the text of a column that always has one."""
    if isinstance(value, bytes):
        raise Unusable(f"{column} is not UTF-8")
    if not isinstance(value, str):
        raise Unusable(f"{column} is no text")
    return value


def optional_text(value: object, column: str) -> str | None:
    """Return the text of a column that may be empty."""
    return None if value is None else text(value, column)


def optional_secret(value: object, column: str) -> SecretStr | None:
    """Return the secret of a column that may be empty."""
    return None if value is None else SecretStr(text(value, column))


def moment(value: object, column: str) -> datetime:
    """Return the time of a column that always has one."""
    try:
        at = datetime.fromisoformat(text(value, column))
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable(f"{column} is no time") from None
    if at.tzinfo is None:
        raise Unusable(f"{column} has no time zone")
    return at


def optional_moment(value: object, column: str) -> datetime | None:
    """Return the time of a column that may be empty."""
    return None if value is None else moment(value, column)


def number(value: object, column: str) -> int:
    """Return the whole number of a column that always has one."""
    if not isinstance(value, int):
        raise Unusable(f"{column} is no whole number")
    return value


def optional_number(value: object, column: str) -> int | None:
    """Return the whole number of a column that may be empty."""
    return None if value is None else number(value, column)


def json_value(value: object, column: str) -> object:
    """Return what the JSON of a column says."""
    written = text(value, column)
    try:
        read = json.loads(written, parse_constant=_refuse)
        if "\\u" in written:
            strict_json.dumps(read, ensure_ascii=False).encode()  # fails for half a character, which no message can contain
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise Unusable(f"{column} is no usable JSON: {what}") from None
    return cast("object", read)


def json_object(value: object, column: str) -> dict[str, object]:
    """Return the object that the JSON of a column is."""
    read = json_value(value, column)
    if not isinstance(read, dict):
        raise Unusable(f"{column} is no JSON object")
    return read


def cloud_id(value: object, column: str) -> int | str:
    """Return an id of the cloud, which is stored as JSON: a number or a text."""
    read = json_value(value, column)
    if not isinstance(read, int | str):
        raise Unusable(f"{column} is no id")
    return read


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # `NaN` and `Infinity` are no JSON
