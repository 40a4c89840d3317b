"""Turn the errors of pydantic and of the environment into sentences: where, what is wrong, and what would be right. Pure."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.command_secrets import KEY_LIKE
from gateway.config.hidden_mistakes import mistakes_in
from gateway.errors import SettingsError, SettingsProblem
from gateway.plain_numbers import seconds_text
from gateway.toml_lines import Location, line_of
from gateway.url_secrets import without_bare_url_user, without_url_user

ENV_PREFIX = "XYTE_GATEWAY__"

QUOTED_LENGTH = 60
"""So many characters of a wrong value are shown."""

IN_PLAIN_WORDS: Mapping[str, str] = {
    "bool_parsing": "has to be true or false",
    "bool_type": "has to be true or false",
    "dict_type": "has to be a table",
    "enum": "has to be {expected}",
    "float_parsing": "has to be a number",
    "float_type": "has to be a number",
    "finite_number": "has to be a finite number",
    "ip_any_network": "is not an address or a network; write it as 10.0.0.5 or 10.0.0.0/24",
    "path_type": "has to be a path, in quotes",
    "string_pattern_mismatch": "has characters that cannot be in it",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_long": "has too many entries: at most {max_length}",
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "int_from_float": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_type": "has to be a whole number",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be at most {le}",
    "list_type": "has to be a list, in [ ]",
    "literal_error": "has to be {expected}",
    "model_attributes_type": "has to be a table",
    "model_type": "has to be a table",
    "string_too_short": "is too short: at least {min_length} character(s)",
    "string_type": "has to be a text, in quotes",
    "time_delta_parsing": "has to be a number of seconds",
    "time_delta_type": "has to be a number of seconds",
    "too_short": "has too few entries: at least {min_length}",
    "tuple_type": "has to be a list, in [ ]",
}
"""pydantic's error types -> a sentence about the file."""


def validation_problems(details: ErrorDetails, model: type[BaseModel], place: Location, text: str) -> Iterator[SettingsProblem]:
    """Yield what one error of pydantic means; several problems when a validator's text has several lines.

    Args:
        details: the error, about one location inside `model`.
        model: the settings class that was validated.
        place: the location of the model in the file.
        text: the file.
    """
    inside = tuple(details["loc"])
    where, line = key_and_line((*place, *inside), text)
    owner, field = _field_of(model, inside)
    purpose = field.description if field is not None else None
    right = (
        f"It is for: {purpose}"
        if purpose
        else "Fix it there; `xyte-gateway adapters` lists the keys of an entry"
        if place
        else "See the example file"
    )
    if details["type"] == "extra_forbidden":
        known = sorted(owner.model_fields) if owner else []
        key = str(inside[-1])
        table = "" if place else _right_table_of(key, model, inside)
        right = table.strip() or f"{did_you_mean(key, known)}Known here: {', '.join(known)}"
        yield SettingsProblem(where, "no such key", right, line)
    elif details["type"] == "missing":
        yield SettingsProblem(where, "is missing", right, line)
    elif mistakes := mistakes_in(details):
        for one in mistakes:
            at, line = key_and_line((*place, *inside, *one.location), text)
            _, field = _field_of(model, (*inside, *one.location))
            purpose = f"It is for: {field.description}" if field is not None and field.description else right
            yield SettingsProblem(at, _beginning_small(one.wrong), one.right or purpose, line)
    else:
        for wrong in _in_plain_words(details).splitlines():
            yield SettingsProblem(where, wrong + _quoted(details["input"], wrong, inside, field), right, line)


def key_and_line(location: Location, text: str) -> tuple[str, int | None]:
    """Return the key at a location and its line, or the environment variable that sets it, which has no line."""
    variable = variable_for(location)
    return (variable, None) if variable else (dotted(location), line_of(text, location))


def is_in_environment(section: str = "") -> bool:
    """Whether any environment variable sets something, or something in this section."""
    return any(variable.upper().startswith(f"{ENV_PREFIX}{section.upper()}") for variable in os.environ)


def problem_location(error: SettingsError, problem: SettingsProblem) -> str:
    """Return the place to look at: `gateway.toml:7`, the environment or the command line."""
    if problem.where.upper().startswith(ENV_PREFIX[:-1]):  # also a variable with too few underscores, which is reported
        return "environment"
    if error.file is None:
        return "command line"
    return f"{error.file}:{problem.line}" if problem.line else str(error.file)


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """Return a question that names the most similar known word, or an empty text."""
    near = difflib.get_close_matches(written, list(known), n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def unknown_variables(settings: type[BaseModel]) -> Iterator[SettingsProblem]:
    """Yield the environment variables that look like ours and set nothing."""
    names = sorted(section.upper() for section in settings.model_fields)
    for variable, value in os.environ.items():
        matched = re.fullmatch(r"XYTE_GATEWAY(_+)([A-Z0-9]+)(?:_.*)?", variable.upper())
        if matched is None:
            continue
        if (meant := _variable_meant(variable.upper(), value, settings)) is not None:
            yield SettingsProblem(variable, "no such setting: it has too few underscores", f"Did you mean {meant}?")
        elif matched[1] == "__" and matched[2] not in names:
            near = difflib.get_close_matches(matched[2], names, n=1)
            hint = f"Did you mean {ENV_PREFIX}{near[0]}? " if near else ""
            yield SettingsProblem(variable, "no such setting", f"{hint}Sections are: {', '.join(names)}")


def _variable_meant(variable: str, value: str, settings: type[BaseModel]) -> str | None:
    """Return the variable that one with too few underscores stands for; `None` where it is none of ours.

    Docker Compose and Kubernetes set variables of their own that begin alike: `XYTE_GATEWAY_STATUS_PORT` is also the address of
    a service, as `tcp://10.0.0.1:80`.
    """
    rest = variable.removeprefix("XYTE_GATEWAY").lower().lstrip("_")
    for section, field in settings.model_fields.items():
        for model in _models_in(field.annotation):
            for key in model.model_fields:
                meant = f"{ENV_PREFIX}{section.upper()}__{key.upper()}"
                if re.fullmatch(f"{section}_+{key}", rest) and variable != meant and "://" not in value:
                    return meant
    return None


def variable_for(location: Location) -> str | None:
    """Return the environment variable that sets this location, one around it or one inside it, if there is one."""
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX):
            steps = variable.lower().removeprefix(ENV_PREFIX.lower()).split("__")
            if all(step == str(own).lower() for step, own in zip(steps, location, strict=False)):
                return variable
    return None


def dotted(location: Location) -> str:
    """Return a location as a person writes it: `adapter[1].hosts[0].port`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _in_plain_words(details: ErrorDetails) -> str:
    plain = IN_PLAIN_WORDS.get(details["type"])
    if plain is not None:
        return plain.format(**{name: _limit_text(limit) for name, limit in details.get("ctx", {}).items()})
    if details["type"] not in ("value_error", "assertion_error"):
        return "cannot be used"  # the words of pydantic are for programmers
    return _beginning_small(without_url_user(details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")))


def _beginning_small(sentence: str) -> str:
    """Return a sentence that begins with a small letter, unless it begins with an abbreviation or with something quoted."""
    word = sentence.split(maxsplit=1)[0] if sentence.strip() else ""
    is_plain = word[1:].islower() or len(word) == 1
    return sentence[:1].lower() + sentence[1:] if is_plain else sentence


def _limit_text(limit: object) -> object:
    """Return a limit in plain words: that of a time which may be left out comes as Python writes it."""
    written = re.fullmatch(r"datetime\.timedelta\((.*)\)", str(limit))
    if written is None:
        return limit
    parts = {name: int(number) for name, number in re.findall(r"(\w+)=(-?\d+)", written[1])}
    return seconds_text(timedelta(**parts).total_seconds())


def _quoted(given: object, wrong: str, inside: Location, field: FieldInfo | None) -> str:
    has_secret_name = any(word in str(step) for step in inside for word in ("key", "secret", "token", "password"))
    is_secret = has_secret_name or (field is not None and _is_secret(field.annotation))
    if is_secret or not isinstance(given, str | int | float) or repr(given) in wrong or KEY_LIKE.fullmatch(str(given)):
        return ""
    written = str(given).lower() if isinstance(given, bool) else repr(given[:QUOTED_LENGTH] if isinstance(given, str) else given)
    return f" (it says {without_bare_url_user(written)})"


def _is_secret(annotation: Any) -> bool:  # noqa: ANN401 - annotations are of any type
    return annotation is SecretStr or any(_is_secret(inner) for inner in get_args(annotation))


def _right_table_of(key: str, model: type[BaseModel], inside: Location) -> str:
    """Return a sentence that names the table where a misplaced key belongs."""
    if key in model.model_fields and len(inside) > 1:
        return f"[{key}] is a table of its own. "
    tables = (
        name for name, field in model.model_fields.items() for part in _models_in(field.annotation) if key in part.model_fields
    )
    home = next(tables, None)
    return f"It belongs in [{home}]. " if home and home not in inside and key not in model.model_fields else ""


def _field_of(model: type[BaseModel], inside: Location) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the model that a location's last key belongs to, and that key's field."""
    owner: type[BaseModel] | None = model
    last: FieldInfo | None = None
    for step in inside:
        field = owner.model_fields.get(str(step)) if owner is not None else None
        if field is None:
            continue  # an index, the tag of a union, or a key that does not exist
        last = field
        if step != inside[-1]:
            owner = next(_models_in(field.annotation), None)
    return owner, last


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations are of any type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
