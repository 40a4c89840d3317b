"""Complete the words of a command line: entries, keys and addresses of devices, commands and profiles.

What cannot be read completes nothing: a shell has no place for an error.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path

import typer

from gateway.adapter import ChildDevice
from gateway.cli.common import load_config
from gateway.config.settings import DEFAULT_FILE
from gateway.field.open_buses import list_present_buses
from gateway.field.plugins import installed, usable
from gateway.profiles.settings import ProfileSettings
from gateway.state.registry import Registry
from gateway.state.store import Store

Complete = Callable[[typer.Context, str], list[tuple[str, str]]]


def _completing(candidates: Callable[[Path], Iterable[tuple[str, str]]]) -> Complete:
    """Return a function for typer that completes a word by these candidates, each a word and a hint."""

    @wraps(candidates)
    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        with suppress(Exception):  # the config is wrong, the store is missing, an adapter has a bug
            found.extend(candidates(_config_of(ctx)))
        begun = incomplete.lower()
        return [(word, hint) for word, hint in dict(found).items() if word.lower().startswith(begun)]

    # typer chooses the arguments by their annotations, of which `wraps` has copied those of the candidates
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del complete.__wrapped__
    return complete


def _config_of(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("config") or os.environ.get("XYTE_GATEWAY_CONFIG") or DEFAULT_FILE)


@_completing
def complete_entries(config: Path) -> Iterator[tuple[str, str]]:
    """Yield the entries of the config, and the installed adapters."""
    yield from ((name, "an installed adapter") for name in usable(installed()))
    yield from ((entry.name, entry.type) for entry in load_config(config, for_cloud=False)[0].entries)


@_completing
def complete_keys(config: Path) -> Iterator[tuple[str, str]]:
    """Yield the keys of the children and of the found devices."""
    registry = _registry(config)
    yield from ((key, record.child.name) for key, record in registry.children.items())
    yield from ((key, device.name) for key, device in registry.found_devices.items())


@_completing
def complete_addresses(config: Path) -> Iterator[tuple[str, str]]:
    """Yield the addresses of the children."""
    yield from ((record.child.address, record.child.name) for record in _registry(config).children.values())


@_completing
def complete_profiles(config: Path) -> Iterator[tuple[str, str]]:
    """Yield the profiles of all entries of the config."""
    for entry in load_config(config, for_cloud=False)[0].entries:
        if isinstance(entry, ProfileSettings):
            yield from ((name, entry.name) for name in entry.library)


@_completing
def complete_commands(config: Path) -> Iterator[tuple[str, str]]:
    """Yield the entries of the config, and the commands that the children declare."""
    configuration, plugins = load_config(config, for_cloud=False)
    yield from ((entry.name, entry.type) for entry in configuration.entries)
    children = [record.child for record in _registry(config).children.values()]
    for entry in configuration.entries:
        for bus in asyncio.run(list_present_buses(usable(plugins)[entry.type], entry)):
            for child in _on(children, entry.name, bus.bus):
                yield from ((spec.name, spec.title or child.name) for spec in bus.commands(child))


def _on(children: Iterable[ChildDevice], entry: str, bus: str) -> Iterator[ChildDevice]:
    return (child for child in children if (child.adapter, child.bus) == (entry, bus))


def _registry(config: Path) -> Registry:
    async def load(path: Path) -> Registry:
        async with Store(path) as store:
            registry = Registry(store)
            await registry.load()
            return registry

    path = load_config(config, for_cloud=False)[0].settings.store.path
    if not path.exists():
        raise FileNotFoundError(path)
    return asyncio.run(load(path))
