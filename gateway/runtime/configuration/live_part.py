"""Divide a new configuration into what takes effect while the gateway runs, and what needs it to begin anew. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from pydantic import BaseModel

from gateway.config.settings import Configuration

Place = tuple[str, ...]

LIVE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "cloud": frozenset({"telemetry_every", "commands_every", "command_expires_after", "may", "configuration"}),
    "admission": frozenset({"policy", "most_children", "most_found_devices"}),
    "log": frozenset({"level"}),
}
"""The keys of each section that count at once; of all other sections but these, none does."""

LIVE_SECTIONS: Final = frozenset({"models", "child", "adapter"})
"""Everything in them counts at once."""


def is_live(place: Place) -> bool:
    """Return whether a change at this place counts at once."""
    return place[0] in LIVE_SECTIONS or (len(place) > 1 and place[1] in LIVE_KEYS.get(place[0], ()))


def changed_settings(old: Configuration, new: Configuration) -> Iterator[tuple[Place, object, object]]:
    """Yield each setting outside of the entries that differs: its place, its value before and after.

    A value that is not there is `None`.
    """
    for name in type(old.settings).model_fields:
        before, after = getattr(old.settings, name), getattr(new.settings, name)
        if name == "adapter" or before == after:
            continue
        if isinstance(before, BaseModel):
            for key in type(before).model_fields:
                if getattr(before, key) != getattr(after, key):
                    yield (name, key), getattr(before, key), getattr(after, key)
        else:
            for key in sorted({*before, *after}):
                if before.get(key) != after.get(key):
                    yield (name, key), before.get(key), after.get(key)


def live_part(old: Configuration, new: Configuration) -> Configuration:
    """Return the old configuration with everything of the new one that takes effect at once."""
    update: dict[str, object] = {name: getattr(new.settings, name) for name in LIVE_SECTIONS}
    for name, keys in LIVE_KEYS.items():
        update[name] = _mixed(getattr(old.settings, name), getattr(new.settings, name), keys)
    return replace(old, settings=old.settings.model_copy(update=update), entries=new.entries, warnings=new.warnings)


def _mixed(old: BaseModel, new: BaseModel, keys: frozenset[str]) -> BaseModel:
    """Return a section with these keys of the new one, set or left out as they are there: the cloud may set what is left out."""
    source = {name: new if name in keys else old for name in type(old).model_fields}
    given = {name for name, section in source.items() if name in section.model_fields_set}
    return type(old).model_construct(_fields_set=given, **{name: getattr(section, name) for name, section in source.items()})
