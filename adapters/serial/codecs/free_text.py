"""Devices that say what they measure in their own words: `temperature=21.5 °C, humidity=40`, or a JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from adapters.serial.codec import Codec, Said
from adapters.serial.profile.fields import shown
from gateway.adapter import Value

PAIR = re.compile(r"\s*([A-Za-z][\w .()/-]{0,40}?)\s*[=:]\s*(\"[^\"]*\"|[^,;|=\"]*?)\s*(?:[,;|]|\s(?=[A-Za-z]\w*[=:])|$)")
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([°%A-Za-zµΩ][^\s,;]{0,10})?")
YES_OR_NO = {"true": True, "false": False}

MOST_VALUES = 100
"""Of one line; what has more is no line of a sensor."""

DEEPEST = 4
"""Objects within objects are told as `outer_inner`, so deep."""


class KeyValueCodec(Codec):
    """Lines of `name=value` or `name: value`, several in a line with commas, semicolons, bars or blanks between."""

    def read(self, payload: bytes) -> Said | None:
        """Return all pairs of the line; `None` when it is not made of pairs from its beginning to its end."""
        text = shown(payload).strip()
        values: dict[str, Value] = {}
        units: dict[str, str] = {}
        at = 0
        while at < len(text) and len(values) < MOST_VALUES:
            found = PAIR.match(text, at)
            if found is None or found.end() == at or _is_prose(found[2]):
                return None
            values[found[1]], unit = _value(found[2])
            if unit:
                units[found[1]] = unit
            at = found.end()
        return Said("values", values, units) if values else None


class JsonCodec(Codec):
    """A JSON object a line; what is in lists is left out."""

    def read(self, payload: bytes) -> Said | None:
        """Return all plain values of the object; `None` when it is none."""
        try:
            told: object = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        values = dict(_plain_values(told, "", DEEPEST)) if isinstance(told, dict) else {}
        return Said("values", values) if 0 < len(values) <= MOST_VALUES else None


def _plain_values(table: dict[str, object], before: str, depth: int) -> Iterator[tuple[str, Value]]:
    for key, value in table.items():
        if isinstance(value, dict) and depth > 1:
            yield from _plain_values(value, f"{before}{key}_", depth - 1)
        elif value is None or isinstance(value, bool | int | float | str):
            yield f"{before}{key}", value


def _is_prose(written: str) -> bool:
    """Say whether this is several words, as in the messages of a log: what a sensor says is one, or a number and its unit."""
    return " " in written and not written.startswith('"') and NUMBER.fullmatch(written) is None


def _value(written: str) -> tuple[Value, str | None]:
    """Return what stands behind a name, and its unit."""
    text = written.strip('"')
    if (found := NUMBER.fullmatch(text)) is not None:
        digits = found[1]
        return (int(digits) if re.fullmatch(r"[+-]?\d{1,18}", digits) else float(digits)), found[2]
    return YES_OR_NO.get(text.lower(), text or None), None
