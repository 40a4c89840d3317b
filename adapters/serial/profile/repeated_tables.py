"""Write out the tables of a profile that stand for several: one for each number of `each`. Pure.

`each = [1, 4]` in a query or a point makes four of it; in all its texts `{#}` becomes the number, `{#+10}` and `{#-1}` a number
beside it, and `{#:hex}` its two hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

EACH_DESCRIPTION = "[first, last] number: the table stands for one for each, with `{#}` in its texts being the number"
"""What an author reads of the key; it is gone when a table is checked."""

MAX_COPIES = 512
"""Number of tables that one may stand for: a typing error must not fill the memory."""

_NUMBER = re.compile(r"\{#([+-]\d{1,3})?(:hex)?\}")


def written_out(content: object) -> object:
    """Return what a TOML file contains, with each table that has `each` in a list replaced by its copies.

    Raises:
        ValueError: an `each` is not [first, last], or stands for too many tables.
    """
    if isinstance(content, Mapping):
        return {key: written_out(value) for key, value in content.items()}
    if isinstance(content, list):
        return [one for entry in content for one in _copies(entry)]
    return content


def with_repetition(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a file before its tables are written out: they may have `each`, and `{#}` in their names."""
    changed: dict[str, Any] = {key: _with_numbers(value) for key, value in schema.items()}
    each = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2, "description": EACH_DESCRIPTION}
    for name in set(_listed(schema)):
        definition = changed["$defs"][name]
        definition["properties"] = {**definition["properties"], "each": each}
    return changed


def _listed(schema: object) -> Iterator[str]:
    """Yield the names of the tables that stand in lists."""
    if isinstance(schema, list):
        for one in schema:
            yield from _listed(one)
    if not isinstance(schema, Mapping):
        return
    items = schema.get("items")
    if isinstance(items, Mapping) and "$ref" in items:
        yield items["$ref"].removeprefix("#/$defs/")
    for value in schema.values():
        yield from _listed(value)


def _with_numbers(schema: object) -> object:
    """Return the schema with texts of a pattern that may have a number in them instead."""
    if isinstance(schema, list):
        return [_with_numbers(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    changed = {key: _with_numbers(value) for key, value in schema.items()}
    if schema.get("type") == "string" and isinstance(pattern := changed.pop("pattern", None), str):
        changed["anyOf"] = [{"pattern": pattern}, {"pattern": _NUMBER.pattern}]
    return changed


def _copies(entry: object) -> Iterator[object]:
    if not isinstance(entry, Mapping) or "each" not in entry:
        yield written_out(entry)
        return
    rest = {key: value for key, value in entry.items() if key != "each"}
    for number in _numbers(entry["each"]):
        yield written_out(_numbered(rest, number))


def _numbers(each: object) -> range:
    match each:
        case [int(first), int(last)] if 0 <= last - first < MAX_COPIES:
            return range(first, last + 1)
    raise ValueError(f"`each` is [first number, last number], at most {MAX_COPIES} of them, not {each!r}")


def _numbered(content: object, number: int) -> object:
    """Return the content with this number in all its texts, the keys of tables included."""
    if isinstance(content, Mapping):
        return {_numbered(key, number): _numbered(value, number) for key, value in content.items()}
    if isinstance(content, list):
        return [_numbered(one, number) for one in content]
    if isinstance(content, str):
        return _NUMBER.sub(lambda found: f"{number + int(found[1] or 0):{'02X' if found[2] else 'd'}}", content)
    return content
