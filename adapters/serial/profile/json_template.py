"""Encode requests and match answers that are JSON objects, by templates that are JSON as well. Pure.

A text that is one field, `"{name}"`, stands for any plain value, `"{name:d}"` for a whole number, `"{_}"` for any value; all else
is to be there as it is written. An object may have more members and a list more entries than its template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Self

from adapters.serial.profile.fields import ANONYMOUS, decode_text, plain_number
from adapters.serial.profile.template import Template
from gateway.adapter import Value

_FIELD = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?::(?P<format>\w*))?\}", re.ASCII)

FORMATS = frozenset({"", "d", "s"})
"""Any plain value, a whole number, a text."""


class JsonTemplate(Template):
    """A template of a JSON object: encodes values into an object, and extracts values from one."""

    def __init__(self, written: str, content: object) -> None:
        super().__init__(written, "json", (), ignore_case=False)
        self._content = content
        self._fields = dict(_fields_of(content))

    @classmethod
    def parse_json(cls, written: str) -> Self:
        """Parse a template.

        Raises:
            ValueError: it is no JSON object, or has a field with another format; the message says why.
        """
        try:
            content: object = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{written!r} is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{written!r} is no JSON object")  # noqa: TRY004 - for pydantic, which takes ValueErrors
        template = cls(written, content)
        if unknown := sorted(set(template._fields.values()) - FORMATS):
            raise ValueError(
                f"there is no format {unknown[0]!r} in a JSON template; a field is {{name}}, {{name:d}} or {{name:s}}"
            )
        return template

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields in their order, each once."""
        return tuple(name for name in self._fields if name != ANONYMOUS)

    @property
    def single_fields(self) -> tuple[str, ...]:
        """The names of those fields that each answer has."""
        return self.fields

    def takes_whole_numbers(self, name: str) -> bool:
        """Return whether a field of this name takes whole numbers only."""
        return self._fields.get(name) == "d"

    @property
    def can_be_sent(self) -> bool:
        """Whether all its fields have a name."""
        return ANONYMOUS not in self._fields

    def encode(self, values: Mapping[str, Value]) -> bytes:
        """Return the object with these values.

        Raises:
            ValueError: a value is missing, or the template has a field without a name; the message says which.
        """
        if not self.can_be_sent:
            raise ValueError(f"{self.written!r} contains a field without a name: it can be matched, but not sent")
        for name in self.fields:
            if name not in values:
                raise ValueError(f"{name}: is missing")
        filled = _filled(self._content, values)
        return json.dumps(filled, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    def match(self, payload: bytes) -> dict[str, Value] | None:
        """Return the field values in this payload; `None` if it is no JSON object, or does not match."""
        try:
            received: object = json.loads(decode_text(payload), parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return None
        values: dict[str, Value] = {}
        return values if self._matches(self._content, received, values) else None

    def _matches(self, wanted: object, received: object, values: dict[str, Value]) -> bool:
        if isinstance(wanted, dict):
            return isinstance(received, dict) and all(
                name in received and self._matches(one, received[name], values) for name, one in wanted.items()
            )
        if isinstance(wanted, list):
            if not isinstance(received, list) or len(received) < len(wanted):
                return False
            return all(self._matches(one, other, values) for one, other in zip(wanted, received, strict=False))
        if isinstance(wanted, str) and (field := _FIELD.fullmatch(wanted)) is not None:
            return field["name"] == ANONYMOUS or _takes(field["name"], field["format"] or "", received, values)
        return type(wanted) is type(received) and wanted == received


def _takes(name: str, written: str, received: object, values: dict[str, Value]) -> bool:
    """Add the received value to the values, and return whether it is one that the field can have."""
    if written == "d" and (isinstance(received, bool) or not isinstance(received, int)):
        return False
    if written == "s" and not isinstance(received, str):
        return False
    if received is not None and not isinstance(received, bool | int | float | str):
        return False
    value = plain_number(received) if isinstance(received, int | float) and not isinstance(received, bool) else received
    return values.setdefault(name, value) == value


def _fields_of(content: object) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for one in content.values():
            yield from _fields_of(one)
    elif isinstance(content, list):
        for one in content:
            yield from _fields_of(one)
    elif isinstance(content, str) and (field := _FIELD.fullmatch(content)) is not None:
        yield field["name"], field["format"] or ""


def _filled(content: object, values: Mapping[str, Value]) -> object:
    if isinstance(content, dict):
        return {name: _filled(one, values) for name, one in content.items()}
    if isinstance(content, list):
        return [_filled(one, values) for one in content]
    if isinstance(content, str) and (field := _FIELD.fullmatch(content)) is not None:
        return values[field["name"]]
    return content
