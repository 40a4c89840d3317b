"""Load the configuration: read the file and the environment, check everything, and report all mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import SettingsError as EnvironmentVariableError

from gateway.adapter import Adapter
from gateway.config.checks import cloud_problems, notify_problems, page_problems, placeholder_problems, store_problems
from gateway.config.entries import check_entries
from gateway.config.file import read_tables_of, without_option_names
from gateway.config.hardware_key import with_hardware_key
from gateway.config.mistakes import ENV_PREFIX, dotted, is_in_environment, unknown_variables, validation_problems
from gateway.config.settings import Configuration, Settings
from gateway.config.warnings import find_warnings
from gateway.errors import SettingsError, SettingsProblem
from gateway.file_mistakes.hidden_mistakes import LeftOut, Validated, validate_all
from gateway.file_mistakes.toml_mistakes import ReadTables, read_tables
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
    return _checked(file, read_tables_of(file), adapters, broken or {}, for_cloud=for_cloud)


def load_text(text: str, file: Path, adapters: Mapping[str, type[Adapter[Any]]], *, for_cloud: bool = True) -> Configuration:
    """Return the checked configuration that a file with this text would be; see `load`.

    Raises:
        SettingsError: with all problems, as if they stood in the file.
    """
    return _checked(file, read_tables(text), adapters, {}, for_cloud=for_cloud)


def _checked(
    file: Path | None,
    read: ReadTables,
    adapters: Mapping[str, type[Adapter[Any]]],
    broken: Mapping[str, str],
    *,
    for_cloud: bool,
) -> Configuration:
    text = read.text
    problems: list[SettingsProblem] = [*read.problems, *unknown_variables(Settings)]
    if not read.is_whole:
        raise SettingsError(file, problems)
    validated = _settings(read.tables, text, problems)
    settings = validated.model
    entries = check_entries(
        read.tables.get("adapter", ()) if settings is None else settings.adapter, adapters, broken, text, problems
    )
    if settings is not None:
        found = [*store_problems(settings, text), *page_problems(settings, text), *notify_problems(settings, text)]
        if for_cloud:
            found += [*cloud_problems(settings, text), *placeholder_problems(settings, text)]
            settings = with_hardware_key(settings, text, found)
        problems += found if validated.is_right else (one for one in found if not _follows(one, validated.left_out))
    problems = [one for one in problems if one in read.problems or not _is_unread(one, read)]
    warnings = () if settings is None else tuple(find_warnings(settings, entries, text))
    if problems or settings is None:
        told = [one for one in warnings if not _follows(one, validated.left_out) and not _is_unread(one, read)]
        raise SettingsError(file, sorted(problems, key=lambda problem: problem.line or 0), told)
    return Configuration(file, settings, tuple(entries), warnings)


def _follows(problem: SettingsProblem, left_out: LeftOut) -> bool:
    """Whether a problem is there only because something else is wrong: a key that is wrong seems to be missing."""
    stem = problem.where.removesuffix("_file")
    keys = (dotted(tuple(part for part in one if not isinstance(part, int))) for one in left_out.locations)
    return any(key.removesuffix("_file") in (stem, problem.where) for key in keys)


def _is_unread(problem: SettingsProblem, read: ReadTables) -> bool:
    """Whether something seems to be wrong since the line that has it is no TOML."""
    key = problem.where.rpartition(".")[2]
    return key in read.keys_left_out or any(f"`{one}`" in problem.wrong for one in read.keys_left_out)


def environment_names_buses() -> bool:
    """Whether the environment configures adapters, so that no file is needed."""
    return is_in_environment("adapter")


def _settings(tables: dict[str, Any], text: str, problems: list[SettingsProblem]) -> Validated[Settings]:
    for key in tables.keys() - without_option_names(tables).keys():
        known = ", ".join(Settings.model_fields)
        problems.append(SettingsProblem(key, "no such key", f"Known here: {known}", line_of(text, (key,))))
    try:
        validated = validate_all(lambda rest: Settings(**rest), without_option_names(tables))
    except EnvironmentVariableError as error:
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"{ENV_PREFIX}{named[1].upper() if named else ''}"
        problems.append(SettingsProblem(variable, "is not JSON", f"Write it as JSON, or set one key of it: {variable}__<KEY>"))
        return Validated(None, ())
    for details in validated.errors:
        problems.extend(validation_problems(details, Settings, (), text))
    return validated
