"""Say in words what is wrong with the body of a request: which field, and what it has to be. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.plain_text import replace_unprintable

MOST_PROBLEMS: Final = 5
"""So many problems of one body are told at once."""
MOST_SHOWN: Final = 60
"""Characters of what a caller sent that an error repeats."""

_WHERE: Final = re.compile(r"line (\d+) column (\d+)")


def body_problems(error: ValidationError, model: type[BaseModel]) -> str:
    """Return what is wrong with a body, for the caller.

    Args:
        error: what its validation found.
        model: what it was validated as.
    """
    found = error.errors(include_url=False)
    told = list(dict.fromkeys(_problem(one, model) for one in found))
    more = len(told) - MOST_PROBLEMS
    return "; ".join(told[:MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _problem(one: ErrorDetails, model: type[BaseModel]) -> str:
    kind, place = one["type"], one["loc"]
    if kind == "json_invalid":
        at = _WHERE.search(one["msg"])
        if at is not None and at[2] == "0":
            return "the body is empty, and has to be JSON"
        return "the body is not JSON" + ("" if at is None else f", from line {at[1]}, column {at[2]} on")
    if kind == "extra_forbidden":
        owner = _model_at(model, place[:-1])
        known = ", ".join(owner.model_fields) if owner is not None and owner.model_fields else "none"
        return f"no field is called {_shown(place[-1])}; there is {known}"
    what = "the body" if not place else ".".join(str(part) for part in place)
    about = _about(_field_at(model, place))
    if kind == "missing":
        return f"{what} is missing{about}"
    return f"{what} has to be {_wanted(one)}{about}"


def _about(field: FieldInfo | None) -> str:
    return "" if field is None or not field.description else f" ({field.description})"


def _wanted(one: ErrorDetails) -> str:
    limits: Mapping[str, Any] = one.get("ctx") or {}
    words = _WANTED.get(one["type"])
    return "as the OpenAPI document describes it" if words is None else words(limits)


def _said(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda limits: text


_OBJECT, _LIST, _TEXT = _said("an object"), _said("a list"), _said("a text")
_NUMBER, _WHOLE = _said("a number"), _said("a whole number")

_WANTED: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = MappingProxyType(
    {
        "model_type": _OBJECT,
        "model_attributes_type": _OBJECT,
        "dict_type": _OBJECT,
        "list_type": _LIST,
        "tuple_type": _LIST,
        "set_type": _LIST,
        "frozen_set_type": _LIST,
        "string_type": _TEXT,
        "string_unicode": _said("a text without lone surrogates"),
        "string_too_short": lambda limits: f"a text of at least {_many(limits['min_length'], 'character')}",
        "string_too_long": lambda limits: f"a text of at most {_many(limits['max_length'], 'character')}",
        "string_pattern_mismatch": lambda limits: f"a text of the form {limits['pattern']}",
        "bool_type": _said("true or false"),
        "bool_parsing": _said("true or false"),
        "int_type": _WHOLE,
        "int_parsing": _WHOLE,
        "int_from_float": _WHOLE,
        "float_type": _NUMBER,
        "float_parsing": _NUMBER,
        "finite_number": _said("a finite number"),
        "greater_than_equal": lambda limits: f"{limits['ge']:.10g} or more",
        "greater_than": lambda limits: f"more than {limits['gt']:.10g}",
        "less_than_equal": lambda limits: f"{limits['le']:.10g} or less",
        "less_than": lambda limits: f"less than {limits['lt']:.10g}",
        "too_short": lambda limits: f"at least {_many(limits['min_length'], 'entry', 'entries')}",
        "too_long": lambda limits: f"at most {_many(limits['max_length'], 'entry', 'entries')}",
        "literal_error": lambda limits: f"one of {limits['expected']}",
        "enum": lambda limits: f"one of {limits['expected']}",
        "none_required": _said("null"),
        "datetime_type": _said("a time such as 2026-11-30T08:00:00Z"),
        "datetime_parsing": _said("a time such as 2026-11-30T08:00:00Z"),
        "datetime_from_date_parsing": _said("a time such as 2026-11-30T08:00:00Z"),
        "timezone_aware": _said("a time with its zone, such as 2026-11-30T08:00:00Z"),
    }
)
"""What a field has to be, by the kind of the mistake."""


def _many(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {more or f'{one}s'}"


def _shown(name: str | int) -> str:
    text = replace_unprintable(str(name))
    return f'"{text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"}"'


def _field_at(model: type[BaseModel], place: Sequence[str | int]) -> FieldInfo | None:
    """Return the field of a body at a place; `None` for something within a field, such as an entry of a list."""
    if not place or not isinstance(place[-1], str):
        return None
    owner = _model_at(model, place[:-1])
    return None if owner is None else owner.model_fields.get(place[-1])


def _model_at(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, str) and found is not None:
            field = found.model_fields.get(part)
            found = None if field is None else _model_in(field.annotation)
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type, an alternative, a generic alias
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((inner for one in get_args(annotation) if (inner := _model_in(one)) is not None), None)
