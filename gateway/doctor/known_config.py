"""What is known of the configuration, be it right, broken or not there. A mistake in one place hides nothing of the others."""

from __future__ import annotations

import copy
import tomllib
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

AdapterClasses = Mapping[str, type[Adapter[Any]]]

MOST_ROUNDS = 20
"""A table inside a table inside a table may be wrong; a file that is wrong more deeply is not understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The configuration as far as it can be understood."""

    file: Path | None
    is_given: bool
    """There is a file, or the environment says something."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """The file as it is written."""
    settings: Settings | None
    """With defaults in place of what cannot be used; `None` when nothing can."""
    entries: tuple[AdapterSettings, ...]
    """Those that can be used."""
    problems: tuple[SettingsProblem, ...] = ()
    misread: frozenset[str] = frozenset()
    """Where a default stands in place of what cannot be used: `cloud.entry_url`."""

    def knows(self, key: str) -> bool:
        """Whether this key has the value that was meant."""
        return self.settings is not None and not any(key == one or key.startswith(f"{one}.") for one in self.misread)


def take_in(file: Path | None, adapters: AdapterClasses, *, broken: Mapping[str, str] | None = None) -> Intake:
    """Read the configuration, whatever is wrong with it; without a file, the environment alone."""
    is_given = file is not None or is_in_environment()
    tables = {} if file is None else _tables(file)
    try:
        configuration = load(file, adapters, broken=broken)
    except SettingsError as error:
        settings, misread = (None, frozenset[str]()) if tables is None else _understood(tables)
        return Intake(
            file=file,
            is_given=is_given,
            tables=tables or {},
            settings=settings,
            entries=tuple(_usable_entries(settings, adapters)),
            problems=tuple(error.problems),
            misread=misread,
        )
    return Intake(
        file=file, is_given=is_given, tables=tables or {}, settings=configuration.settings, entries=configuration.entries
    )


def in_use(configuration: Configuration, adapters: AdapterClasses) -> Intake:
    """Return what a gateway that runs was started with; its file is read again, since it may have been changed since."""
    if configuration.file is not None:
        return take_in(configuration.file, adapters)
    return Intake(file=None, is_given=True, settings=configuration.settings, entries=configuration.entries)


def _tables(file: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):  # `load` says why
        return None


def _understood(tables: Mapping[str, Any]) -> tuple[Settings | None, frozenset[str]]:
    """Return the settings without what is wrong in them, and where that is."""
    rest, misread = copy.deepcopy(dict(tables)), set[str]()
    for _ in range(MOST_ROUNDS):
        try:
            return Settings(**rest), frozenset(misread)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                misread.add(".".join(str(step) for step in details["loc"]))
                _take_out(rest, details["loc"])
        except EnvironmentVariableError:
            break
    return None, frozenset(misread)


def _take_out(tables: dict[str, Any], location: tuple[int | str, ...]) -> None:
    inside: Any = tables
    for step in location[:-1]:
        if not isinstance(inside, dict) or not isinstance(inside.get(step), dict):
            break
        inside = inside[step]
        location = location[1:]
    if isinstance(inside, dict):
        inside.pop(location[0], None)


def _usable_entries(settings: Settings | None, adapters: AdapterClasses) -> Iterator[AdapterSettings]:
    for table in () if settings is None else settings.adapter:
        try:
            yield entry_from({**table, "name": table.get("name") or table.get("type")}, adapters)
        except SettingsError:
            continue
