"""Find the buses that a command works on: those of the config, or one that is described on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.adapter import Adapter, AdapterSettings
from gateway.cli.common import EXIT_WRONG, CommandFailed, load_config
from gateway.cli.completion import complete_addresses, complete_entries
from gateway.config.entries import entry_from
from gateway.errors import GatewayError, SettingsError, SettingsProblem
from gateway.field.adapter_data.checked_adapter import CheckedAdapter
from gateway.field.open_buses import list_present_buses as buses_of
from gateway.field.plugins import installed, usable
from gateway.plain_text import named_error
from gateway.toml_text import read_toml

Entry = Annotated[
    str | None,
    typer.Argument(help="An entry of the config, or an adapter that --with describes.", autocompletion=complete_entries),
]
Address = Annotated[
    str,
    typer.Argument(
        help="The address of the device on its bus, as `scan` shows it; for Modbus a unit id.", autocompletion=complete_addresses
    ),
]
BusName = Annotated[str | None, typer.Option("--bus", help="The bus, as `scan` names it, if the entry has several.")]
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


async def present_buses(settings: AdapterSettings) -> list[CheckedAdapter]:
    """Return the buses of an entry that exist right now, without waiting for others to appear."""
    return await buses_of(usable(installed())[settings.type], settings)


def is_entry(name: str, config: Path) -> bool:
    """Return whether this is the name or the type of an entry of the config, or an installed adapter."""
    configuration, plugins = load_config(config, for_cloud=False)
    return name in usable(plugins) or any(name in (entry.name, entry.type) for entry in configuration.entries)


def address_first(address: str, entry: str | None, with_settings: Sequence[str] | None, config: Path) -> tuple[str, str | None]:
    """Return the address and the entry, also where they were typed the other way round and it is clear which is which."""
    if entry is None:
        return address, entry
    adapters = usable(installed())
    known = adapters.keys() if with_settings else adapters.keys() | set(entry_names(config))
    return (entry, address) if address in known and entry not in known else (address, entry)


def entry_names(config: Path) -> list[str]:
    """Return the names of the entries of the config."""
    return [entry.name for entry in load_config(config, for_cloud=False)[0].entries]


async def bus_of_device(entries: Sequence[AdapterSettings], named: str | None, address: str) -> Adapter[Any]:
    """Return the bus with this name, or the only one.

    Args:
        entries: the entries to work on.
        named: the name of the bus, if a person gave one.
        address: the address of the device, for the error.

    Raises:
        CommandFailed: there is no such bus, or there are several and none was named.
    """
    present = [bus for settings in entries for bus in await present_buses(settings)]
    matching = [bus for bus in present if named in (None, bus.bus)]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(bus.bus for bus in present) or "none"
    if matching:
        raise CommandFailed(f"name the bus of {address} with --bus; there are: {names}", EXIT_WRONG)
    raise CommandFailed(f"no bus is called {named!r}; there are: {names}" if named else "there is no bus", EXIT_WRONG)


@contextmanager
def adapter_bugs_reported(adapter: Adapter[Any]) -> Iterator[None]:
    """Turn an exception that an adapter must not raise into a sentence that names the adapter."""
    try:
        yield
    except (GatewayError, CommandFailed):
        raise
    except Exception as error:  # code of a third-party adapter: its bug ends this command with a sentence
        failure = f"{adapter.bus}: the adapter {adapter.settings.type!r} failed with {named_error(error)}"
        raise CommandFailed(f"{failure}; this is a bug in the adapter") from error


def _tables(pairs: Sequence[str]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for pair in pairs:
        try:
            tables |= read_toml(pair)
        except tomllib.TOMLDecodeError:
            key, _, text = pair.partition("=")
            try:
                tables |= read_toml(f'{key.strip()} = "{text.strip()}"')  # a shell removes quotes, so a bare word is a string
            except tomllib.TOMLDecodeError as error:
                problem = SettingsProblem(f"--with {pair}", "is not KEY=VALUE in TOML", "Write it as --with 'timeout=0.5'")
                raise SettingsError(None, [problem]) from error
    return tables
