"""Reaching the buses of the config, or one named on the command line, without the cloud."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.adapter import Adapter, AdapterSettings
from gateway.cli.common import CommandFailed, load_config
from gateway.config.entries import entry_from
from gateway.errors import GatewayError, SettingsError, SettingsProblem
from gateway.field.open_buses import list_present_buses as buses_of
from gateway.field.plugins import installed, usable

Entry = Annotated[str | None, typer.Argument(help="An entry of the config, or an adapter to be described with --with.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="KEY=VALUE", help="A setting of the adapter, in TOML, instead of the config; repeatable."),
]


def entries(name: str | None, with_settings: Sequence[str] | None, config: Path) -> list[AdapterSettings]:
    """Return the adapter entries that are meant: of the config, or an adapter that needs no settings or is given them here.

    Raises:
        SettingsError: there is no such entry, or what was given on the command line is wrong.
    """
    if with_settings:
        if name is None:
            right = "Name the adapter first: xyte-gateway scan modbus --with 'hosts=[\"192.168.1.20\"]'"
            raise SettingsError(None, [SettingsProblem("ENTRY", "is missing, and --with describes one", right)])
        return [entry_from({**_tables(with_settings), "type": name}, usable(installed()))]
    configuration, _ = load_config(config, for_cloud=False)
    meant = [entry for entry in configuration.entries if name in (None, entry.name, entry.type)]
    if not meant and name in usable(installed()):
        return [entry_from({"type": name}, usable(installed()))]
    if not meant:
        known = ", ".join(entry.name for entry in configuration.entries) or "none"
        wrong = f"no entry is called {name!r}" if name else "there is no [[adapter]] entry"
        right = f"Entries are: {known}. Or describe one here: xyte-gateway scan modbus --with 'hosts=[\"192.168.1.20\"]'"
        raise SettingsError(config, [SettingsProblem("adapter", wrong, right)])
    return meant


async def present_buses(settings: AdapterSettings) -> list[Adapter[Any]]:
    """Return the buses of an entry that are there right now; more may appear later, and are not waited for."""
    return await buses_of(usable(installed())[settings.type], settings)


@contextmanager
def bugs_told(adapter: Adapter[Any]) -> Iterator[None]:
    """Turn what an adapter must not raise into a sentence that names the adapter."""
    try:
        yield
    except (GatewayError, CommandFailed):
        raise
    except Exception as error:
        why = f"{adapter.bus}: the adapter {adapter.settings.type!r} failed with {type(error).__name__}: {error}"
        raise CommandFailed(f"{why}; that is a bug of the adapter") from error


def _tables(pairs: Sequence[str]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for pair in pairs:
        try:
            tables |= tomllib.loads(pair)
        except tomllib.TOMLDecodeError:
            key, _, text = pair.partition("=")
            try:
                tables |= tomllib.loads(f'{key.strip()} = "{text.strip()}"')  # a shell eats quotes, so a bare word is a text
            except tomllib.TOMLDecodeError as error:
                problem = SettingsProblem(f"--with {pair}", "is not KEY=VALUE in TOML", "Write it as --with 'timeout=0.5'")
                raise SettingsError(None, [problem]) from error
    return tables
