"""Lay the configuration of the cloud over that of the file: check it, merge the two, and know where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from gateway.adapter import Adapter, AdapterSettings
from gateway.command_secrets import is_secret_name
from gateway.config.checks import placeholder_problems
from gateway.config.cloud_fields import (
    IS_PATH,
    CloudConfiguration,
    entry_fields,
    entry_reason_against,
    local_reason,
    models_in,
    reason_against,
)
from gateway.config.entries import check_entries
from gateway.config.mistakes import did_you_mean, dotted, validation_problems, variable_for
from gateway.config.settings import Configuration, Settings
from gateway.errors import ConfigurationRejected, SettingsProblem
from gateway.url_secrets import without_url_user

Place = tuple[str, ...]
"""A key of the cloud's configuration: `("adapter", "plant", "units")`."""

SECTIONS = ("cloud", "admission", "log")
LEAVE_IT_OUT = "Leave it out"


class Origin(StrEnum):
    """Where the value of a setting comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    CLOUD = "cloud"


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """The value of one setting that the cloud may change."""

    value: object
    """As JSON has it."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveConfiguration:
    """The configuration of the file with that of the cloud over it."""

    configuration: Configuration
    values: Mapping[Place, EffectiveValue]
    """Every setting that the cloud may change."""


def overlay(
    base: Configuration, content: Mapping[str, object], adapters: Mapping[str, type[Adapter[Any]]]
) -> EffectiveConfiguration:
    """Return the configuration that results; where file and cloud both have a key, `[cloud] configuration` decides.

    The environment counts as the file does.

    Raises:
        ConfigurationRejected: with every problem.
    """
    problems = [*_key_problems(content), *_entry_problems(base, content)]
    given = _validated(content, problems)
    if problems or given is None:
        raise ConfigurationRejected(problems)
    settings = _merged_settings(base, given)
    problems += placeholder_problems(settings, "")
    tables = _merged_tables(base, given.adapter)
    checked = base.entries if not given.adapter else check_entries(tables, adapters, {}, "", problems)
    if problems:
        raise ConfigurationRejected([_with_entry_name(problem, base) for problem in problems])
    entries = tuple(new if old.entry in given.adapter else old for old, new in zip(base.entries, checked, strict=True))
    configuration = replace(base, settings=settings.model_copy(update={"adapter": tuple(tables)}), entries=entries)
    return EffectiveConfiguration(configuration=configuration, values=dict(_values(base, configuration, content)))


def with_values_on_site(base: Configuration, content: Mapping[str, object]) -> dict[str, object]:
    """Return the cloud's configuration with the values that the file or the environment has for the same keys and that win."""
    merged: dict[str, object] = {}
    for section, keys in content.items():
        if not isinstance(keys, Mapping):
            merged[section] = keys
        elif section == "adapter":
            merged[section] = {
                name: {key: _local_value(base, (section, name, key), value) for key, value in table.items()}
                for name, table in keys.items()
            }
        else:
            merged[section] = {key: _local_value(base, (section, key), value) for key, value in keys.items()}
    return merged


def as_json(value: object) -> object:
    """Return the value of a setting as JSON has it; a length of time in seconds, a secret masked."""
    match value:
        case timedelta():
            seconds = value.total_seconds()
            return int(seconds) if seconds.is_integer() else seconds
        case Enum():
            return value.value
        case SecretStr() | SecretBytes():
            return "***"
        case BaseModel():
            return {name: as_json(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return {str(key): as_json(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [as_json(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


# what the cloud has written -------------------------------------------------------------------------------------------


def _key_problems(content: Mapping[str, object]) -> Iterator[SettingsProblem]:
    """Yield the keys that the cloud cannot set."""
    known = CloudConfiguration.model_fields
    for section, keys in content.items():
        if section not in known:
            yield _unknown((section,), known)
            continue
        for model in models_in(known[section].annotation):
            for key in keys.keys() - model.model_fields.keys() if isinstance(keys, Mapping) else ():
                yield _unknown((section, str(key)), model.model_fields)


def _unknown(place: Place, known: Mapping[str, object]) -> SettingsProblem:
    names = f"Known here: {', '.join(known)}"
    reason = reason_against(place)
    if reason is not None:
        return _not_from_cloud(place, reason, f"{LEAVE_IT_OUT}. {names}")
    return SettingsProblem(dotted(place), "no such key", f"{did_you_mean(place[-1], known)}{names}")


def _not_from_cloud(place: Place, reason: str, right: str = LEAVE_IT_OUT) -> SettingsProblem:
    return SettingsProblem(dotted(place), f"cannot be set from the cloud, since {reason}", right)


def _validated(content: Mapping[str, object], problems: list[SettingsProblem]) -> CloudConfiguration | None:
    """Return the configuration with its types; keys that are unknown are reported by others."""
    try:
        return CloudConfiguration.model_validate(content)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] != "extra_forbidden":
                found = validation_problems(details, CloudConfiguration, (), "")
                problems += [replace(problem, where=dotted(details["loc"])) for problem in found]
    return None


def _entry_problems(base: Configuration, content: Mapping[str, object]) -> Iterator[SettingsProblem]:
    """Yield what is wrong with the keys of the entries; their values are checked together with those of the file."""
    tables = content.get("adapter")
    entries = {entry.entry: (entry, table) for entry, table in zip(base.entries, _tables(base), strict=True)}
    for name, given in tables.items() if isinstance(tables, Mapping) else ():
        if name not in entries:
            right = f"{did_you_mean(name, entries)}The gateway has: {', '.join(entries) or 'none'}"
            yield SettingsProblem(dotted(("adapter", name)), "there is no entry of this name", right)
            continue
        entry, table = entries[name]
        for key, value in given.items() if isinstance(given, Mapping) else ():
            yield from _entry_key_problems(entry, table, ("adapter", name, str(key)), value)


def _entry_key_problems(
    entry: AdapterSettings, table: Mapping[str, object], place: Place, value: object
) -> Iterator[SettingsProblem]:
    key = place[-1]
    field = type(entry).model_fields.get(key)
    offered = entry_fields(type(entry))
    if field is None:
        known = f"Known here: {', '.join(offered)}"
        yield SettingsProblem(dotted(place), "no such key", f"{did_you_mean(key, offered)}{known}")
    elif (reason := entry_reason_against(key, field)) is not None:
        yield _not_from_cloud(place, reason)
    elif (inside := _secret_in(getattr(entry, key))) is not None:
        right = "Change it in the gateway's own configuration"
        yield _not_from_cloud(place, f"the gateway's own configuration has a secret or a path in it ({inside})", right)
    else:
        inner = {name: one for model in models_in(field.annotation) for name, one in model.model_fields.items()}
        yield from _local_problems(value, inner, place)
        yield from _path_problems(value, set(_texts(table)), place)


def _local_problems(value: object, fields: Mapping[str, Any], place: Place) -> Iterator[SettingsProblem]:
    """Yield the secrets and paths inside a list or a table."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            field = fields.get(str(key))
            if field is not None and (reason := local_reason(str(key), field)) is not None:
                yield _not_from_cloud((*place, str(key)), reason)
            else:
                yield from _local_problems(inner, fields, (*place, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _local_problems(inner, fields, place)


def _path_problems(value: object, known: set[str], place: Place) -> Iterator[SettingsProblem]:
    """Yield the paths in a value that the file does not have in this entry: a port that is there may be repeated."""
    for text in _texts(value):
        if text.startswith(("/", "~", "./", "../", "file:")) and text not in known:
            yield _not_from_cloud(place, IS_PATH, f"{LEAVE_IT_OUT}, or repeat one that the gateway's own configuration has")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _secret_in(value: object) -> str | None:
    """Return the key of a secret or a path inside the value of a setting; `None` without one."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if isinstance(inner, SecretStr | SecretBytes | Path) or (is_secret_name(name) and inner):
                return name
            if (found := _secret_in(inner)) is not None:
                return found
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if (found := str(name) if is_secret_name(str(name)) and inner else _secret_in(inner)) is not None:
                return found
    elif isinstance(value, list | tuple):
        return next((found for inner in value if (found := _secret_in(inner)) is not None), None)
    elif isinstance(value, str) and without_url_user(value) != value:
        return "a user in a URL"
    return None


# the two together -----------------------------------------------------------------------------------------------------


def _merged_settings(base: Configuration, given: CloudConfiguration) -> Settings:
    update: dict[str, object] = {}
    for name in SECTIONS:
        section, part = getattr(base.settings, name), getattr(given, name)
        update[name] = section.model_copy(
            update={key: getattr(part, key) for key in part.model_fields_set if not _wins_on_site(base, (name, key))}
        )
    file, cloud = base.settings.models, given.models
    update["models"] = {
        **file,
        **{family: model for family, model in cloud.items() if not _wins_on_site(base, ("models", family))},
    }
    return base.settings.model_copy(update=update)


def _merged_tables(base: Configuration, given: Mapping[str, Mapping[str, object]]) -> list[dict[str, object]]:
    return [
        {
            **table,
            **{
                key: value
                for key, value in given.get(entry.entry, {}).items()
                if not _wins_on_site(base, ("adapter", entry.entry, key))
            },
        }
        for entry, table in zip(base.entries, _tables(base), strict=True)
    ]


def _tables(base: Configuration) -> list[Mapping[str, object]]:
    """Return the `[[adapter]]` tables as they were written, in the order of the entries."""
    written = base.settings.adapter
    if len(written) == len(base.entries):
        return list(written)
    return [entry.model_dump(exclude_unset=True) for entry in base.entries]  # made by a program, not from a file


def _is_on_site(base: Configuration, place: Place) -> bool:
    """Return whether the file or the environment sets a key."""
    match place:
        case ("models", family):
            return family in base.settings.models
        case ("adapter", name, key):
            tables = zip(base.entries, _tables(base), strict=True)
            return any(entry.entry == name and key in table for entry, table in tables)
        case (section, key):
            return key in getattr(base.settings, section).model_fields_set
    return False


def _wins_on_site(base: Configuration, place: Place) -> bool:
    return base.settings.cloud.configuration == "file" and _is_on_site(base, place)


def _local_value(base: Configuration, place: Place, value: object) -> object:
    """Return the value that a key has on site if that wins, else the one that is given."""
    if not _wins_on_site(base, place):
        return value
    match place:
        case ("adapter", name, key):
            tables = zip(base.entries, _tables(base), strict=True)
            return next(as_json(table[key]) for entry, table in tables if entry.entry == name)
        case ("models", family):
            return base.settings.models[family]
        case _:
            return as_json(getattr(getattr(base.settings, place[0]), place[1]))


def _values(
    base: Configuration, effective: Configuration, content: Mapping[str, object]
) -> Iterator[tuple[Place, EffectiveValue]]:
    """Yield every setting that the cloud may change, with its value and where that comes from."""

    def valued(place: Place, value: object) -> tuple[Place, EffectiveValue]:
        is_given = _is_given(content, place)
        if is_given and not _wins_on_site(base, place):
            origin = Origin.CLOUD
        elif not _is_on_site(base, place):
            origin = Origin.DEFAULT
        else:
            origin = Origin.FILE if variable_for(place) is None else Origin.ENVIRONMENT
        return place, EffectiveValue(as_json(value), origin)

    for name in SECTIONS:
        part = next(models_in(CloudConfiguration.model_fields[name].annotation))
        for key in part.model_fields:
            yield valued((name, key), getattr(getattr(effective.settings, name), key))
    for family, model_id in effective.settings.models.items():
        yield valued(("models", family), model_id)
    for entry, table in zip(effective.entries, _tables(effective), strict=True):
        for key in entry_fields(type(entry)):
            written = getattr(entry, key)
            if _secret_in(written) is None:
                yield valued(("adapter", entry.entry, key), table.get(key, written))


def _is_given(content: Mapping[str, object], place: Place) -> bool:
    value: object = content
    for step in place:
        if not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return True


def _with_entry_name(problem: SettingsProblem, base: Configuration) -> SettingsProblem:
    """Return a problem of an entry under the entry's name: the cloud knows no numbers."""
    for index, entry in enumerate(base.entries):
        if problem.where.startswith(prefix := f"adapter[{index}]"):
            return replace(problem, where=f"adapter.{entry.entry}{problem.where.removeprefix(prefix)}", line=None)
    return problem
