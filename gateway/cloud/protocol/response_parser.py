"""Parse the hub's JSON into dataclasses, tolerating missing and invalid optional fields. Pure.

A field without a default must be present and valid. An optional field that is missing, null or invalid gets its default, and
unknown fields are ignored (device API reference, section 5.1). A pydantic model would reject the whole response for one invalid
optional field, so pydantic validates each field by itself here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

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
        return [value for raw in raws if raw is not None for value in valid(self._types[name], raw)][:1]

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


def _fields_without_default(record: type[Any]) -> frozenset[str]:
    return frozenset(each.name for each in fields(record) if each.default is MISSING and each.default_factory is MISSING)


def _alternatives(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _at(body: object, path: str) -> object:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body
