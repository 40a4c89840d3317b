"""Check the `[[adapter]]` tables, each with the settings class of its adapter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.adapter import Adapter, AdapterSettings, SettingMistake
from gateway.config.mistakes import did_you_mean, key_and_line, validation_problems
from gateway.errors import SettingsError, SettingsProblem
from gateway.file_mistakes.hidden_mistakes import validate_all
from gateway.toml_lines import Location


def entry_from(tables: Mapping[str, Any], adapters: Mapping[str, type[Adapter[Any]]]) -> AdapterSettings:
    """Return the settings of one `[[adapter]]` table that comes from no file.

    Raises:
        SettingsError: with all problems.
    """
    problems: list[SettingsProblem] = []
    entries = check_entries([tables], adapters, {}, "", problems)
    if problems:
        raise SettingsError(
            None,
            [replace(one, where=one.where.removeprefix("adapter[0]").lstrip(".") or str(tables.get("type"))) for one in problems],
        )
    return entries[0]


def check_entries(
    tables: Sequence[Any],
    adapters: Mapping[str, type[Adapter[Any]]],
    broken: Mapping[str, str],
    text: str,
    problems: list[SettingsProblem],
) -> list[AdapterSettings]:
    """Return the settings of all tables that are right; what is wrong with the others is added to `problems`.

    Args:
        tables: the `[[adapter]]` tables.
        adapters: the adapter classes that can be used, by their `type`.
        broken: installed adapters that cannot be used -> why.
        text: the file, to find lines in.
        problems: the list to add to.
    """
    entries: list[AdapterSettings] = []
    for index, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
        place: Location = ("adapter", index)
        if not isinstance(table, dict):
            continue  # Settings has already reported that it is not a table
        kind = table.get("type")
        if not isinstance(kind, str) or kind not in adapters:
            problems.append(_unknown_adapter(kind, adapters, broken, place, text))
            continue
        entry = _entry({**table, "name": table.get("name") or kind}, adapters[kind].settings_model, place, text, problems)
        if entry is None:
            continue
        problems.extend(_claimed_twice(entry, entries, place, text))
        if any(entry.name == other.name for other in entries):
            where, line = key_and_line((*place, "name"), text)
            problems.append(
                SettingsProblem(where, f"a second entry is named {entry.name!r}", "Give each entry its own name", line)
            )
        entries.append(entry)
    return entries


def _entry(
    table: Mapping[str, Any], model: type[AdapterSettings], place: Location, text: str, problems: list[SettingsProblem]
) -> AdapterSettings | None:
    try:
        validated = validate_all(model.model_validate, table)
        if validated.model is not None:
            validated.model.claims()
    except KeyboardInterrupt:
        raise  # most likely from a person
    except BaseException as error:  # noqa: BLE001 - the settings class of a third-party adapter: its errors are mistakes of the adapter or the file
        where, line = key_and_line(place, text)
        wrong = f"the adapter cannot read this entry: {type(error).__name__}: {error}"
        problems.append(
            SettingsProblem(
                where, wrong, "Check the files that it names; if they are right, report this to the adapter's author", line
            )
        )
        return None
    for details in validated.errors:
        problems.extend(validation_problems(details, model, place, text))
    return validated.model


def entry_warnings(entries: Iterable[AdapterSettings], text: str) -> Iterator[SettingsProblem]:
    """Yield what works in entries and is probably not meant."""
    for index, entry in enumerate(entries):
        try:
            warnings = list(entry.warnings())
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter, and nothing depends on its warnings
            warnings = [SettingMistake((), f"its adapter cannot check it further: {type(error).__name__}", "Tell its author")]
        for one in warnings:
            where, line = key_and_line(("adapter", index, *one.location), text)
            yield SettingsProblem(where, one.wrong, one.right, line)


def _claimed_twice(
    entry: AdapterSettings, others: Sequence[AdapterSettings], place: Location, text: str
) -> Iterator[SettingsProblem]:
    """Yield the ports and hosts that another entry uses already: two masters on one bus get each other's answers."""
    claims = entry.claims()
    for other in others:
        for claimed in sorted({*claims} & {*other.claims()}):
            location = claims[claimed] if isinstance(claims, Mapping) else ()
            where, line = key_and_line((*place, *location), text)
            right = "Name it in one entry only, and list everything that is connected to it there"
            yield SettingsProblem(where, f"{claimed} is used by the entry {other.name!r} already", right, line)


def _unknown_adapter(
    kind: object, adapters: Mapping[str, object], broken: Mapping[str, str], place: Location, text: str
) -> SettingsProblem:
    known = ", ".join(adapters) or "none"
    where, line = key_and_line((*place, "type"), text)
    if kind is None:
        return SettingsProblem(where, "is missing", f"Name the adapter, one of: {known}", line)
    if isinstance(kind, str) and kind in broken:
        return SettingsProblem(where, f"the adapter {kind!r} cannot be used: {broken[kind]}", "Reinstall it", line)
    hint = did_you_mean(str(kind), adapters)
    return SettingsProblem(where, f"there is no adapter {kind!r}", f"{hint}Installed are: {known}", line)
