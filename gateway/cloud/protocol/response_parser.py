"""How a noun is spelled in the hub's JSON, as data, and the one reader for all of them. Nothing here waits.

What a noun cannot do without must be there and make sense; everything else that is missing, null or nonsense has its harmless
default, and what nobody knows is ignored (device API reference, section 5.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

NOT_JSON = object()
"""What stands for the body of an answer in which there is no JSON value."""

_BLANKS: tuple[object, ...] = (None, {})
"""What a field without default holds when nothing was told, if its type allows one of them."""


class NotUnderstood(ValueError):
    """The answer is not what this call is answered with. Its text never quotes the answer: a key may be in it."""


class Shape(Generic[T]):
    """How one noun, a dataclass, is spelled.

    A field is spelled as it is called unless said otherwise: another name, a path (`location.name`), or several to try.
    """

    def __init__(self, noun: type[T], **spelled: str | tuple[str, ...]) -> None:
        config = ConfigDict(coerce_numbers_to_str=True)
        self._noun = noun
        self._types: dict[str, TypeAdapter[Any]] = {
            name: TypeAdapter(hint, config=config) for name, hint in get_type_hints(noun).items()
        }
        self._spelled = {name: _alternatives(spelled.get(name, name)) for name in self._types}
        self._needed = _fields_without_default(noun)

    def read(self, body: object) -> T:
        """Return the noun; raise `NotUnderstood` when something that it cannot do without is missing."""
        told = as_object(body)
        values = {name: value for name in self._spelled for value in self._told(told, name)}
        blanks: dict[str, Any] = {name: blank for name in self._needed - values.keys() for blank in self._blank(name)}
        missing = sorted(self._spelled[name][0] for name in self._needed - values.keys() - blanks.keys())
        if missing:
            raise NotUnderstood(f"there is no usable {' and no usable '.join(missing)} in the answer")
        return self._noun(**values, **blanks)

    def read_list(self, body: object) -> list[T]:
        """Return the nouns of an array; an object alone counts as an array of one, `{}` and null as an empty one."""
        return [self.read(entry) for entry in as_list(body)]

    def _told(self, body: Mapping[str, object], name: str) -> list[Any]:
        """Return the field's value, or nothing when none of its spellings has a valid one."""
        raws = (_at(body, path) for path in self._spelled[name])
        return [value for raw in raws if raw is not None for value in valid(self._types[name], raw)][:1]

    def _blank(self, name: str) -> list[Any]:
        """Return what the field holds when nothing was told, or nothing when it cannot do without."""
        return [value for blank in _BLANKS for value in valid(self._types[name], blank)][:1]


def as_object(body: object) -> Mapping[str, object]:
    """Return the answer as the JSON object that it must be; raise `NotUnderstood` when it is none."""
    if not isinstance(body, dict):
        raise NotUnderstood("there is no JSON object in the answer")
    return body


def as_list(body: object) -> Sequence[object]:
    """Return the entries of an answer that should be an array; an object alone is one entry, an empty one is none."""
    entries = body if isinstance(body, list) else [body]
    return [entry for entry in entries if entry not in (None, {})]


def valid(adapter: TypeAdapter[T], raw: object) -> list[T]:
    """Return the value if it is one of that type, and else nothing: pydantic's own words would quote it."""
    try:
        return [adapter.validate_python(raw)]
    except ValidationError:
        return []


def _fields_without_default(noun: type[Any]) -> frozenset[str]:
    return frozenset(each.name for each in fields(noun) if each.default is MISSING and each.default_factory is MISSING)


def _alternatives(spelled: str | tuple[str, ...]) -> tuple[str, ...]:
    return (spelled,) if isinstance(spelled, str) else spelled


def _at(body: object, path: str) -> object:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body
