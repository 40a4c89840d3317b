"""Decode lines with names chosen by the device: `temperature=21.5 °C, humidity=40`, or one JSON object per line. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from adapters.serial.codec import Codec, DecodedFrame
from adapters.serial.profile.fields import decode_text, finite_number, plain_number
from gateway.adapter import Value

PAIR = re.compile(r"\s*([A-Za-z][\w .()/-]{0,40}?)\s*[=:]\s*(\"[^\"]*\"|[^,;|=\"]*?)\s*(?:[,;|]|\s(?=[A-Za-z]\w*[=:])|$)")
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*((?:[°%A-Za-zµΩ]|\*(?=[CF]))[^\s,;]{0,10})?")
"""A number and its unit; `*C` is what programs print for °C."""
YES_OR_NO = {"true": True, "false": False}

NO_VALUE = re.compile(
    r"(?:[+-]?(?:nan(?:\(\w*\))?|inf(?:inity)?|1\.\#(?:ind|inf|qnan|snan)\d*)|ovf|null|nil|none|undefined|n/?a|-{2,}|err)"
    r"(?:\s*(?:[°%*µΩ]|(?<=\s)[a-z])[^\s,;]{0,10}|(?-i:[ACFKVW]))?",
    re.IGNORECASE,
)
"""Words that programs print in the place of a number that they do not have, maybe with its unit: `nan` and `inf` of C's printf
(with their bits), `1.#QNAN` of Microsoft's, `ovf` of Arduino's `Print`, `NaN`, `null`, `None` and `undefined` of scripts."""

MAX_VALUES = 100
"""Maximum number of values of one line; a line with more is not from a sensor."""

MAX_DEPTH = 4
"""Maximum depth of nested objects, whose values are named `outer_inner`."""


class KeyValueCodec(Codec):
    """Decodes `name=value` or `name: value`, several per line, separated by commas, semicolons, bars or blanks."""

    def read(self, payload: bytes) -> DecodedFrame | None:
        """Return all pairs of the line; `None` if the line contains anything but pairs."""
        text = decode_text(payload).strip()
        values: dict[str, Value] = {}
        units: dict[str, str] = {}
        at = 0
        while at < len(text) and len(values) < MAX_VALUES:
            found = PAIR.match(text, at)
            if found is None or found.end() == at or _is_prose(found[2]):
                return None
            values[found[1]], unit = _value(found[2])
            if unit:
                units[found[1]] = unit
            at = found.end()
        return DecodedFrame("values", values, units) if values else None


class JsonCodec(Codec):
    """Decodes one JSON object per line, without the lists in it."""

    def read(self, payload: bytes) -> DecodedFrame | None:
        """Return all plain values of the object; `None` if the line is not a JSON object."""
        try:
            parsed: object = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        values = dict(_plain_values(parsed, "", MAX_DEPTH)) if isinstance(parsed, dict) else {}
        return DecodedFrame("values", values) if 0 < len(values) <= MAX_VALUES else None


def _plain_values(table: dict[str, object], before: str, depth: int) -> Iterator[tuple[str, Value]]:
    for key, value in table.items():
        if isinstance(value, dict) and depth > 1:
            yield from _plain_values(value, f"{before}{key}_", depth - 1)
        elif isinstance(value, str):
            yield f"{before}{key}", None if NO_VALUE.fullmatch(value.strip()) else value
        elif value is None or isinstance(value, bool):
            yield f"{before}{key}", value
        elif isinstance(value, int | float):
            yield f"{before}{key}", plain_number(value)


def _is_prose(written: str) -> bool:
    """Return whether the text has several words, as in log messages; a sensor sends one word, or a number and its unit."""
    is_value = written.startswith('"') or NUMBER.fullmatch(written) is not None or NO_VALUE.fullmatch(written) is not None
    return " " in written and not is_value


def _value(written: str) -> tuple[Value, str | None]:
    """Return the value of a pair, and its unit."""
    text = written.strip('"')
    if NO_VALUE.fullmatch(text.strip()) is not None:
        return None, None
    if (found := NUMBER.fullmatch(text)) is not None:
        digits = found[1]
        unit = None if found[2] is None else re.sub(r"^\*", "°", found[2])
        return (int(digits) if re.fullmatch(r"[+-]?\d{1,18}", digits) else finite_number(digits)), unit
    return YES_OR_NO.get(text.lower(), text or None), None
