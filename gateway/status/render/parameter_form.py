"""Make a form of the JSON Schema of a command's parameters, and read what a person has entered in it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway import strict_json
from gateway.command_parameters import JsonSchema, described_value

PREFIX: Final = "p."
"""Begins the name of each field that is a parameter."""

YES, NO = "true", "false"


class FieldKind(StrEnum):
    """How a parameter is entered."""

    NUMBER = "number"
    WHOLE_NUMBER = "whole number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - the name of a kind of field
    JSON = "json"
    """A list or an object, which is written as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One parameter in a form."""

    name: str
    """The name of the parameter."""
    number: int
    """Its place in the form, for the ids in the document."""
    title: str
    kind: FieldKind
    is_required: bool
    value: str
    """What is in the field; always empty for a secret."""
    description: str | None = None
    unit: str | None = None
    accepts: str | None = None
    """In words: `a number from 0 to 100`."""
    default: str | None = None
    """What counts when it is left empty."""
    low: float | None = None
    high: float | None = None
    most_characters: int | None = None
    choices: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def field_name(self) -> str:
        """The name of the field in the form."""
        return f"{PREFIX}{self.name}"


def form_fields(
    schema: JsonSchema, entered: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> list[FormField]:
    """Return the fields for the parameters of a command.

    Args:
        schema: the JSON Schema of the parameters.
        entered: what is in the fields, by parameter; `None` for a new form, where the defaults are in them.
        problems: what is wrong with each parameter.
    """
    required = schema.get("required", ())
    return [
        _field(name, number, one, schema, name in required, entered, (problems or {}).get(name))
        for number, (name, one) in enumerate(schema.get("properties", {}).items(), start=1)
    ]


def entered_parameters(form: Mapping[str, str]) -> dict[str, str]:
    """Return what a form has for each parameter."""
    return {name.removeprefix(PREFIX): value for name, value in form.items() if name.startswith(PREFIX)}


def shown_parameters(schema: JsonSchema, parameters: Mapping[str, object]) -> dict[str, str]:
    """Return parameters that were sent before as they are entered, without secret ones."""
    kinds = {name: _kind(_plain(one, schema)) for name, one in schema.get("properties", {}).items()}
    return {
        name: value if isinstance(value, str) else _written(value)
        for name, value in parameters.items()
        if kinds.get(name, FieldKind.SECRET) is not FieldKind.SECRET
    }


def parameter_values(schema: JsonSchema, entered: Mapping[str, str]) -> dict[str, object]:
    """Return the values that a person has entered, as JSON values; what was left empty is left out.

    What cannot be read as its type stays the text, so that the check of the command refuses it with the right form.
    """
    properties = schema.get("properties", {})
    return {
        name: value
        for name, text in entered.items()
        if (value := _value(_plain(properties.get(name, {}), schema), text)) is not None
    }


def _field(
    name: str,
    number: int,
    declared: JsonSchema,
    schema: JsonSchema,
    is_required: bool,  # noqa: FBT001 - private, called once
    entered: Mapping[str, str] | None,
    problem: str | None,
) -> FormField:
    one = _plain(declared, schema)
    kind, default = _kind(one), declared.get("default", one.get("default"))
    shown_default = None if default is None or kind is FieldKind.SECRET else _written(default)
    value = (shown_default or "") if entered is None else entered.get(name, "")
    return FormField(
        name=name,
        number=number,
        title=str(declared.get("title", name)),
        kind=kind,
        is_required=is_required,
        value="" if kind is FieldKind.SECRET else value,
        description=declared.get("description"),
        unit=declared.get("unit"),
        accepts=None if kind in (FieldKind.CHOICE, FieldKind.BOOLEAN) else described_value(declared, schema),
        default=shown_default,
        low=one.get("minimum"),
        high=one.get("maximum"),
        most_characters=one.get("maxLength"),
        choices=tuple(_written(choice) for choice in _choices(one)),
        problem=problem,
    )


def _plain(declared: JsonSchema, schema: JsonSchema) -> JsonSchema:
    """Return the schema of a value that is declared by reference, or that may be null."""
    parts = [part for part in declared.get("anyOf", ()) if part.get("type") != "null"]
    if len(parts) == 1:
        return _plain({**parts[0], **{key: value for key, value in declared.items() if key != "anyOf"}}, schema)
    if "$ref" in declared:
        referred = schema.get("$defs", {}).get(str(declared["$ref"]).rsplit("/", 1)[-1], {})
        return {**referred, **{key: value for key, value in declared.items() if key != "$ref"}}
    return declared


def _choices(one: JsonSchema) -> Iterator[object]:
    yield from one.get("enum", [one["const"]] if "const" in one else [])


def _kind(one: JsonSchema) -> FieldKind:
    if one.get("writeOnly"):
        return FieldKind.SECRET
    if "enum" in one or "const" in one:
        return FieldKind.CHOICE
    return _KINDS.get(str(one.get("type")), FieldKind.JSON)


_KINDS: Final[Mapping[str, FieldKind]] = {
    "number": FieldKind.NUMBER,
    "integer": FieldKind.WHOLE_NUMBER,
    "boolean": FieldKind.BOOLEAN,
    "string": FieldKind.TEXT,
}


def _value(one: JsonSchema, text: str) -> object:
    """Return the value that a text means; `None` where the field was left empty."""
    kind = _kind(one)
    if kind in (FieldKind.TEXT, FieldKind.SECRET):
        return text if text or (kind is FieldKind.TEXT and one.get("minLength") == 0) else None
    stripped = text.strip()
    if not stripped:
        return None
    match kind:
        case FieldKind.CHOICE:
            return next((choice for choice in _choices(one) if _written(choice) == stripped), stripped)
        case FieldKind.BOOLEAN:
            return {YES: True, NO: False}.get(stripped, stripped)
        case FieldKind.NUMBER | FieldKind.WHOLE_NUMBER:
            return _number(stripped)
        case _:
            return _json(stripped)


def _number(text: str) -> object:
    """Return a number that was written with a decimal point or a decimal comma; the text itself where it is none."""
    written = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    number = _json(written.removeprefix("+"))
    return number if isinstance(number, int | float) and not isinstance(number, bool) else text


def _json(text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=lambda _name: text)
    except (ValueError, RecursionError):
        return text
    return value


def _written(value: Any) -> str:  # noqa: ANN401 - a JSON value
    return value if isinstance(value, str) else strict_json.dumps(value, ensure_ascii=False)
