"""Load the configuration: read the file and the environment, check everything, and report all mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as EnvironmentVariableError

from gateway.adapter import Adapter
from gateway.config.checks import cloud_problems, placeholder_problems, store_problems
from gateway.config.entries import check_entries
from gateway.config.file import read_file, without_option_names
from gateway.config.hardware_key import with_hardware_key
from gateway.config.mistakes import ENV_PREFIX, is_in_environment, unknown_variables, validation_problems
from gateway.config.settings import Configuration, Settings
from gateway.errors import SettingsError, SettingsProblem
from gateway.toml_lines import line_of


def load(
    file: Path | None,
    adapters: Mapping[str, type[Adapter[Any]]],
    *,
    broken: Mapping[str, str] | None = None,
    for_cloud: bool = True,
) -> Configuration:
    """Return the checked configuration.

    Args:
        file: the TOML file; `None` takes defaults and environment only.
        adapters: the adapter classes that can be used, by their `type` in the config.
        broken: installed adapters that cannot be used -> why.
        for_cloud: also require what only the connection to the cloud needs, such as the hardware key.

    Raises:
        SettingsError: with all problems.
    """
    text, tables = read_file(file)
    problems: list[SettingsProblem] = list(unknown_variables(list(Settings.model_fields)))
    settings = _settings(tables, text, problems)
    entries = check_entries(
        tables.get("adapter", ()) if settings is None else settings.adapter, adapters, broken or {}, text, problems
    )
    if settings is not None:
        problems += store_problems(settings, text)
    if settings is not None and for_cloud:
        problems += [*cloud_problems(settings, text), *placeholder_problems(settings, text)]
        settings = with_hardware_key(settings, text, problems)
    if problems or settings is None:
        raise SettingsError(file, sorted(problems, key=lambda problem: problem.line or 0))
    return Configuration(file, settings, tuple(entries))


def environment_names_buses() -> bool:
    """Whether the environment configures adapters, so that no file is needed."""
    return is_in_environment("adapter")


def _settings(tables: dict[str, Any], text: str, problems: list[SettingsProblem]) -> Settings | None:
    for key in tables.keys() - without_option_names(tables).keys():
        known = ", ".join(Settings.model_fields)
        problems.append(SettingsProblem(key, "no such key", f"Known here: {known}", line_of(text, (key,))))
    try:
        return Settings(**without_option_names(tables))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problems.extend(validation_problems(details, Settings, (), text))
    except EnvironmentVariableError as error:
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"{ENV_PREFIX}{named[1].upper() if named else ''}"
        problems.append(SettingsProblem(variable, "is not JSON", f"Write it as JSON, or set one key of it: {variable}__<KEY>"))
    return None
