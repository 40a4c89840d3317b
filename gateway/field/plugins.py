"""Find the installed adapters by entry point. A broken one affects only the entries that use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gateway.adapter import Adapter
from gateway.plain_text import named_error

GROUP = "gateway.adapters"
"""The entry-point group: name = the word in the config file, value = the `Adapter` class."""

AdapterClass = type[Adapter[Any]]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed adapter."""

    name: str
    distribution: str
    version: str
    adapter: AdapterClass | None
    problem: str | None
    """Why it cannot be used; `None` when it can."""


def installed() -> dict[str, Plugin]:
    """Return every installed adapter by its name; one that cannot be loaded has a `problem`."""
    return {entry.name: _load(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def usable(plugins: Mapping[str, Plugin]) -> dict[str, AdapterClass]:
    """Return the adapter classes that can be used, by name."""
    return {name: plugin.adapter for name, plugin in plugins.items() if plugin.adapter is not None}


def _load(entry: EntryPoint) -> Plugin:
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")

    def broken(problem: str) -> Plugin:
        return Plugin(entry.name, distribution, version, None, problem)

    try:
        adapter = entry.load()
    except KeyboardInterrupt:
        raise  # most likely from a person: nothing has taken the signal over yet
    except BaseException as error:  # noqa: BLE001 - importing a third-party adapter: whatever it raises costs only itself
        return broken(f"{entry.value} cannot be imported: {named_error(error)}")
    if not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        return broken(f"{entry.value} is not a subclass of gateway.adapter.Adapter")
    return Plugin(entry.name, distribution, version, adapter, None)
