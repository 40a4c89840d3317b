"""Turn the errors of pydantic and of the environment into sentences: where, what is wrong, and what would be right. Pure."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.errors import SettingsError, SettingsProblem
from gateway.file_mistakes.hidden_mistakes import mistakes_in
from gateway.file_mistakes.validation_messages import beginning_small, in_plain_words, quoted
from gateway.toml_lines import Location, line_of

ENV_PREFIX = "XYTE_GATEWAY__"


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
            yield SettingsProblem(at, beginning_small(one.wrong), one.right or purpose, line)
    else:
        for wrong in in_plain_words(details).splitlines():
            yield SettingsProblem(where, wrong + quoted(details["input"], wrong, inside, field), right, line)


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
