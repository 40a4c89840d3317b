"""Read as much of the configuration as possible, even if it is wrong or missing: a mistake in one place hides no other part."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as EnvironmentVariableError

from gateway.adapter import Adapter, AdapterSettings
from gateway.config.entries import entry_from
from gateway.config.loading import load
from gateway.config.mistakes import is_in_environment
from gateway.config.settings import Configuration, Settings
from gateway.errors import SettingsError, SettingsProblem
from gateway.toml_text import read_toml

AdapterClasses = Mapping[str, type[Adapter[Any]]]

MOST_ROUNDS = 20
"""Each round removes the values that are wrong in one table; a file with mistakes nested more deeply is not understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownConfig:
    """The configuration as far as it could be read."""

    file: Path | None
    is_given: bool
    """There is a file, or a variable of the environment."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """The content of the file."""
    settings: Settings | None
    """Defaults replace invalid values; `None` when nothing could be read."""
    entries: tuple[AdapterSettings, ...]
    """The valid ones."""
    problems: tuple[SettingsProblem, ...] = ()
    replaced: frozenset[str] = frozenset()
    """Keys whose invalid value was replaced by a default, such as `cloud.entry_url`."""

    def knows(self, key: str) -> bool:
        """Whether this key has its configured value."""
        return self.settings is not None and not any(key == one or key.startswith(f"{one}.") for one in self.replaced)


def read_known_config(file: Path | None, adapters: AdapterClasses, *, broken: Mapping[str, str] | None = None) -> KnownConfig:
    """Read the configuration, even if it is wrong; without a file, only the environment."""
    is_given = file is not None or is_in_environment()
    tables = {} if file is None else _tables(file)
    try:
        configuration = load(file, adapters, broken=broken)
    except SettingsError as error:
        settings, replaced = (None, frozenset[str]()) if tables is None else _valid_settings(tables)
        return KnownConfig(
            file=file,
            is_given=is_given,
            tables=tables or {},
            settings=settings,
            entries=tuple(_usable_entries(settings, adapters)),
            problems=tuple(error.problems),
            replaced=replaced,
        )
    return KnownConfig(
        file=file, is_given=is_given, tables=tables or {}, settings=configuration.settings, entries=configuration.entries
    )


def known_config_of(configuration: Configuration, adapters: AdapterClasses) -> KnownConfig:
    """Return the configuration of a running gateway; its file is read again, since it may have changed."""
    if configuration.file is not None:
        return read_known_config(configuration.file, adapters)
    return KnownConfig(file=None, is_given=True, settings=configuration.settings, entries=configuration.entries)


def _tables(file: Path) -> dict[str, Any] | None:
    try:
        return read_toml(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):  # `load` reports why
        return None


def _valid_settings(tables: Mapping[str, Any]) -> tuple[Settings | None, frozenset[str]]:
    """Return the settings without their invalid values, and the keys of those."""
    valid, replaced = copy.deepcopy(dict(tables)), set[str]()
    for _ in range(MOST_ROUNDS):
        try:
            return Settings(**valid), frozenset(replaced)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                replaced.add(".".join(str(step) for step in details["loc"]))
                _remove(valid, details["loc"])
        except EnvironmentVariableError:
            break
    return None, frozenset(replaced)


def _remove(tables: dict[str, Any], location: tuple[int | str, ...]) -> None:
    table: Any = tables
    for step in location[:-1]:
        if not isinstance(table, dict) or not isinstance(table.get(step), dict):
            break
        table = table[step]
        location = location[1:]
    if isinstance(table, dict):
        table.pop(location[0], None)


def _usable_entries(settings: Settings | None, adapters: AdapterClasses) -> Iterator[AdapterSettings]:
    for table in () if settings is None else settings.adapter:
        try:
            yield entry_from({**table, "name": table.get("name") or table.get("type")}, adapters)
        except SettingsError:
            continue
