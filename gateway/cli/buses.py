"""Find the buses that a command works on: those of the config, or one that is described on the command line."""

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

Entry = Annotated[str | None, typer.Argument(help="An entry of the config, or an adapter that --with describes.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="KEY=VALUE", help="A setting of the adapter in TOML, used instead of the config; repeatable."),
]


def entries(name: str | None, with_settings: Sequence[str] | None, config: Path) -> list[AdapterSettings]:
    """Return the entries to work on: those of the config, or an adapter that needs no settings or gets them here.

    Raises:
        SettingsError: there is no such entry, or the settings on the command line are wrong.
    """
    if with_settings:
        if name is None:
            right = "Name the adapter first: xyte-gateway scan modbus --with 'hosts=[\"192.168.1.20\"]'"
            raise SettingsError(None, [SettingsProblem("ENTRY", "is missing, but --with needs one", right)])
        return [entry_from({**_tables(with_settings), "type": name}, usable(installed()))]
    configuration, _ = load_config(config, for_cloud=False)
    chosen = [entry for entry in configuration.entries if name in (None, entry.name, entry.type)]
    if not chosen and name in usable(installed()):
        return [entry_from({"type": name}, usable(installed()))]
    if not chosen:
        known = ", ".join(entry.name for entry in configuration.entries) or "none"
        wrong = f"no entry is called {name!r}" if name else "there is no [[adapter]] entry"
        right = f"Entries are: {known}. Or describe one here: xyte-gateway scan modbus --with 'hosts=[\"192.168.1.20\"]'"
        raise SettingsError(config, [SettingsProblem("adapter", wrong, right)])
    return chosen


async def present_buses(settings: AdapterSettings) -> list[Adapter[Any]]:
    """Return the buses of an entry that exist right now, without waiting for others to appear."""
    return await buses_of(usable(installed())[settings.type], settings)


@contextmanager
def adapter_bugs_reported(adapter: Adapter[Any]) -> Iterator[None]:
    """Turn an exception that an adapter must not raise into a sentence that names the adapter."""
    try:
        yield
    except (GatewayError, CommandFailed):
        raise
    except Exception as error:  # code of a third-party adapter: its bug ends this command with a sentence
        failure = f"{adapter.bus}: the adapter {adapter.settings.type!r} failed with {type(error).__name__}: {error}"
        raise CommandFailed(f"{failure}; this is a bug in the adapter") from error


def _tables(pairs: Sequence[str]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for pair in pairs:
        try:
            tables |= tomllib.loads(pair)
        except tomllib.TOMLDecodeError:
            key, _, text = pair.partition("=")
            try:
                tables |= tomllib.loads(f'{key.strip()} = "{text.strip()}"')  # a shell removes quotes, so a bare word is a string
            except tomllib.TOMLDecodeError as error:
                problem = SettingsProblem(f"--with {pair}", "is not KEY=VALUE in TOML", "Write it as --with 'timeout=0.5'")
                raise SettingsError(None, [problem]) from error
    return tables
