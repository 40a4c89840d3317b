"""Check the parameters of a command against its `CommandSpec`, and describe them for people and programs. Pure.

The core checks each command of the cloud before it reaches an adapter; an adapter whose `execute` may be called directly checks
with the same function, which changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from reprlib import Repr
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from gateway import strict_json
from gateway.errors import CommandRejected
from gateway.models import CommandSpec
from gateway.url_secrets import MASK

JsonSchema: TypeAlias = Mapping[str, Any]

MOST_NAMES = 8
"""How many names a message lists: the cloud may send any number of them."""

_shown = Repr()
_shown.maxstring = _shown.maxother = _shown.maxlong = 60
_shown.maxlevel = 2


def validate_parameters(spec: CommandSpec, given: Mapping[str, object]) -> BaseModel:
    """Return the parameters of a command, checked and typed; one that is `None` counts as left out.

    Raises:
        CommandRejected: they are not what the command takes; the text says what is expected, and quotes no secret.
    """
    present = {name: value for name, value in given.items() if value is not None}
    try:
        checked = spec.parameters.model_validate(present)
    except ValidationError as error:
        problems = [(problem["type"], problem["loc"], problem["msg"]) for problem in error.errors(include_input=False)]
    else:
        problems = [("finite_number", (name,), "has to be a finite number") for name in _names_of_infinite_numbers(checked)]
        if not problems:
            return checked
    raise CommandRejected(_refusal(spec, present, problems))  # outside of `except`: a ValidationError quotes secrets, too


def _names_of_infinite_numbers(checked: BaseModel) -> list[str]:
    """Return the parameters with `NaN` or an infinite number in them: a plain `float` also takes the texts "NaN" and "1e400"."""
    values = checked.model_dump(by_alias=True, warnings=False)
    return [name for name, value in values.items() if not strict_json.has_finite_numbers(value)]


def parameter_problems(spec: CommandSpec, given: Mapping[str, object]) -> dict[str, str]:
    """Return what is wrong with each parameter, by name; empty when nothing is. Quotes no secret.

    A problem of several parameters together has the name `""`.
    """
    present = {name: value for name, value in given.items() if value is not None}
    schema = parameters_schema(spec)
    try:
        checked = spec.parameters.model_validate(present)
    except ValidationError as error:
        problems = [(problem["type"], problem["loc"], problem["msg"]) for problem in error.errors(include_input=False)]
    else:
        problems = [("finite_number", (name,), "has to be a finite number") for name in _names_of_infinite_numbers(checked)]
    told: dict[str, str] = {}
    for kind, place, message in problems:
        name = str(place[0]) if place else ""
        if kind == "extra_forbidden" and len(place) == 1:
            told[name] = "is no parameter of this command"
            continue
        expected = described_value(schema.get("properties", {}).get(name, {}), schema)
        if kind == "missing" and len(place) == 1:
            told[name] = f"is missing: {expected}" if expected else "is missing"
        elif name in secret_parameters(spec.parameters) or name not in present:
            told[name] = f"has to be {expected}" if expected else "cannot be used"
        elif expected is not None:
            told[name] = f"has to be {expected}, not {shown_text(present[name])}"
        else:
            told[name] = message.removeprefix("Value error, ")
    return told


def given_parameters(checked: BaseModel) -> dict[str, object]:
    """Return the checked parameters by name, without those that were left out; a secret is a `SecretStr`."""
    fields = type(checked).model_fields
    names = [name for name in fields if name in checked.model_fields_set]
    return {fields[name].alias or name: getattr(checked, name) for name in names} | (checked.model_extra or {})


def masked_parameters(spec: CommandSpec, given: Mapping[str, object]) -> dict[str, object]:
    """Return the given parameters as they may be stored, logged and shown: without secrets, whatever they contain."""
    secret = secret_parameters(spec.parameters)
    return {name: MASK if name in secret and value is not None else value for name, value in given.items()}


@lru_cache(maxsize=1024)
def secret_parameters(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the parameters that are secret, or contain a secret anywhere."""
    schema = model.model_json_schema()
    return frozenset(name for name, value in schema.get("properties", {}).items() if _has_secret(value, schema, frozenset()))


def parameters_schema(spec: CommandSpec) -> JsonSchema:
    """Return the JSON Schema of the parameters, the same object for the same model: an open page asks for it again and again."""
    return _schema_of(spec.parameters)


@lru_cache(maxsize=1024)
def _schema_of(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema()


def described_value(schema: JsonSchema, definitions: JsonSchema | None = None) -> str | None:
    """Return in words what a JSON Schema accepts: `a number from 0 to 100`; `None` where it is not a plain value.

    Args:
        schema: the schema of one value.
        definitions: the schema that it is a part of, for its references.
    """
    (described, *others) = _alternatives(schema, definitions or {})
    if others:
        return None
    if "enum" in described or "const" in described:
        return f"one of {', '.join(map(str, described.get('enum', [described.get('const')])))}"
    match described.get("type"):
        case "boolean":
            return "true or false"
        case "number" | "integer" as kind:
            return f"{'a number' if kind == 'number' else 'a whole number'}{_bounds(described)}"
        case "string" if "minimum" in described:
            return f"the digits of a number{_bounds(described)}"
        case "string":
            return f"a text{_lengths(described)}"
        case _:
            return None


def listed_names(names: Iterable[str]) -> str:
    """Return names that somebody else chose as a list for a message: shortened, and not all of very many."""
    given = list(names)
    listed = [name if len(name) <= _shown.maxstring else f"{name[: _shown.maxstring]}..." for name in given[:MOST_NAMES]]
    more = len(given) - len(listed)
    return ", ".join([*listed, f"{more} more"] if more else listed)


def shown_text(value: object) -> str:
    """Return a value that somebody else chose as it is shown in a message: quoted, and shortened where it is long."""
    return _shown.repr(value)


def _refusal(spec: CommandSpec, given: Mapping[str, object], problems: Sequence[tuple[str, tuple[int | str, ...], str]]) -> str:
    schema = parameters_schema(spec)
    if any(kind in {"missing", "extra_forbidden"} and len(place) == 1 for kind, place, _ in problems):
        return _names_expected(spec.name, schema, given)
    secret = secret_parameters(spec.parameters)
    told: dict[str, str] = {}
    for _, place, message in problems:
        name = str(place[0]) if place else ""
        expected = described_value(schema.get("properties", {}).get(name, {}), schema)
        if name in secret:
            told[name] = f"{name} has to be {expected}" if expected else f"{name} cannot be used"
        elif expected is not None:
            told[name] = f"{name} has to be {expected}, not {shown_text(given.get(name))}"
        else:
            told[name] = f"{name}: {message}" if name else message.removeprefix("Value error, ")
    return f"{spec.name}: {'; '.join(told.values())}"


def _names_expected(command: str, schema: JsonSchema, given: Iterable[str]) -> str:
    """Return the sentence about a parameter that is missing or that does not exist."""
    received = listed_names(given) or "none"
    expected = schema.get("properties", {})
    if not expected:
        return f"{command} takes no parameters, and got {received}"
    required = schema.get("required", ())
    names = ", ".join(repr(name) if name in required else f"{name!r} (may be left out)" for name in expected)
    return f"{command} takes the parameter{'s' if len(expected) > 1 else ''} {names}, and got {received}"


def _alternatives(schema: JsonSchema, definitions: JsonSchema) -> list[JsonSchema]:
    """Return the schemas of which one must hold, without `null`, which counts as left out."""
    if "$ref" in schema:
        return _alternatives(definitions.get("$defs", {}).get(str(schema["$ref"]).rsplit("/", 1)[-1], {}), definitions)
    parts = [found for part in schema.get("anyOf", ()) for found in _alternatives(part, definitions)]
    return [part for part in parts if part.get("type") != "null"] or [schema]


def _has_secret(schema: object, definitions: JsonSchema, seen: frozenset[str]) -> bool:
    match schema:
        case {"writeOnly": True}:
            return True
        case {"$ref": str(reference)}:
            name = reference.rsplit("/", 1)[-1]
            return name not in seen and _has_secret(definitions.get("$defs", {}).get(name), definitions, seen | {name})
        case dict():
            return any(_has_secret(value, definitions, seen) for value in schema.values())
        case list():
            return any(_has_secret(value, definitions, seen) for value in schema)
        case _:
            return False


def _bounds(schema: JsonSchema) -> str:
    low, high = (schema.get(inner, _next_whole(schema, outer, step)) for inner, outer, step in _LIMITS)
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    if low is not None:
        return f" of at least {_number(low)}"
    return "" if high is None else f" of at most {_number(high)}"


_LIMITS = (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1))


def _next_whole(schema: JsonSchema, limit: str, step: int) -> float | None:
    """Return the first whole number inside a limit that is not itself accepted; of other numbers, the limit itself."""
    outer: float | None = schema.get(limit)
    return outer if outer is None or schema.get("type") != "integer" or outer != int(outer) else outer + step


def _number(number: float) -> str:
    """Return a limit with all digits of a whole number, and without those that a binary fraction adds."""
    return str(int(number)) if number == int(number) else f"{number:.10g}"


def _lengths(schema: JsonSchema) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if high is None:
        return f" of at least {low} characters" if low > 1 else ""
    if not low:
        return f" of at most {high} characters"
    return f" of {low} characters" if low == high else f" of {low} to {high} characters"
