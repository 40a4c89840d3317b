"""Parse the hub's JSON into dataclasses, tolerating missing and invalid optional fields. Pure.

A field without a default must be present and valid. An optional field that is missing, null or invalid gets its default, and
unknown fields are ignored (device API reference, section 5.1). A pydantic model would reject the whole response for one invalid
optional field, so pydantic validates each field by itself here.

A value beyond the limits below is invalid: an id that fits into no path, a text that fills a log, a number that no store takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

MAX_TEXT = 65_536
"""The most characters of a text in a record; the longest ones are the payloads of licences."""

MAX_ID = 255
"""The most characters of an id: those of Xyte are UUIDs (section 6.1)."""

MAX_NUMBER = 2**53
"""The largest number in a record: up to here each program reads the same one (RFC 8259, section 6)."""

_IDS = frozenset({"id", "device_id", "latest_firmware_file_id"})
"""The fields that name something in the hub: most of them become a part of a path."""

NOT_JSON = object()
"""Stands for the body of a response without a JSON value."""

_BLANKS: tuple[object, ...] = (None, {})
"""The values for a missing field without default, if its type allows one of them."""


class UnexpectedResponse(ValueError):
    """The response does not have the form that its call requires. The text never quotes the response: a key may be in it."""


class ResponseParser(Generic[T]):
    """Parses one dataclass.

    The JSON name of a field is its own unless another one is given: a name, a path (`location.name`), or several to try.
    """

    def __init__(self, record: type[T], **json_names: str | tuple[str, ...]) -> None:
        config = ConfigDict(coerce_numbers_to_str=True)
        self._record = record
        self._types: dict[str, TypeAdapter[Any]] = {
            name: TypeAdapter(hint, config=config) for name, hint in get_type_hints(record).items()
        }
        self._json_names = {name: _alternatives(json_names.get(name, name)) for name in self._types}
        self._required = _fields_without_default(record)

    def parse(self, body: object) -> T:
        """Return the record; raise `UnexpectedResponse` when a required field is missing."""
        json_fields = as_object(body)
        values = {name: value for name in self._json_names for value in self._value_of(json_fields, name)}
        blanks: dict[str, Any] = {name: blank for name in self._required - values.keys() for blank in self._blank(name)}
        missing = sorted(self._json_names[name][0] for name in self._required - values.keys() - blanks.keys())
        if missing:
            raise UnexpectedResponse(f"there is no usable {' and no usable '.join(missing)} in the response")
        return self._record(**values, **blanks)

    def parse_list(self, body: object) -> list[T]:
        """Return the records of an array; an object alone counts as an array of one, `{}` and null as an empty one."""
        return [self.parse(entry) for entry in as_list(body)]

    def parse_usable(self, body: object) -> list[T]:
        """Return the records of an array without those that lack a required field: they must not hide the others.

        Raises:
            UnexpectedResponse: there are only such ones.
        """
        records: list[T] = []
        problem: UnexpectedResponse | None = None
        for entry in as_list(body):
            try:
                records.append(self.parse(entry))
            except UnexpectedResponse as error:
                problem = error
        if problem is not None and not records:
            raise problem
        return records

    def _value_of(self, body: Mapping[str, object], name: str) -> list[Any]:
        """Return a list with the field's value, an empty one when none of its JSON names has a valid value."""
        raws = (_at(body, path) for path in self._json_names[name])
        values = (value for raw in raws if raw is not None for value in valid(self._types[name], raw))
        return [value for value in values if _is_within_limits(name, value)][:1]

    def _blank(self, name: str) -> list[Any]:
        """Return a list with the value for a missing field, an empty one when the field is required."""
        return [value for blank in _BLANKS for value in valid(self._types[name], blank)][:1]


def as_object(body: object) -> Mapping[str, object]:
    """Return the body as a JSON object; raise `UnexpectedResponse` when it is something else."""
    if not isinstance(body, dict):
        raise UnexpectedResponse("there is no JSON object in the response")
    return body


def as_list(body: object) -> Sequence[object]:
    """Return the entries of an array; an object alone is one entry, an empty one is none."""
    entries = body if isinstance(body, list) else [body]
    return [entry for entry in entries if entry not in (None, {})]


def valid(adapter: TypeAdapter[T], raw: object) -> list[T]:
    """Return a list with the value if it is valid, an empty one if not: an error of pydantic would quote the value."""
    try:
        return [adapter.validate_python(raw)]
    except ValidationError:
        return []


def is_usable_id(value: object) -> bool:
    """Return whether a value names something in the hub: it fits into a path, a log and a store."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    text = str(value)
    return 0 < len(text) <= MAX_ID and text.isprintable() and text.strip() == text and text not in {".", ".."}


def _is_within_limits(name: str, value: object) -> bool:
    if name in _IDS and value is not None:
        return is_usable_id(value)
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return not isinstance(value, int | float) or abs(value) <= MAX_NUMBER


def _fields_without_default(record: type[Any]) -> frozenset[str]:
    return frozenset(each.name for each in fields(record) if each.default is MISSING and each.default_factory is MISSING)


def _alternatives(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _at(body: object, path: str) -> object:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body
