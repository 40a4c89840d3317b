"""Plan the gateway's own configuration from the cloud, and put it into effect while the gateway runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.adapter import Adapter
from gateway.config.cloud_overlay import EffectiveConfiguration, EffectiveValue, Place, overlay, with_values_on_site
from gateway.config.cloud_schema import gateway_schema
from gateway.config.mistakes import dotted
from gateway.config.settings import Configuration
from gateway.errors import ConfigurationRejected, SettingsProblem
from gateway.models import PlannedChange
from gateway.runtime.configuration.bus_preview import buses_of

log = logging.getLogger(__name__)

LAST_BUS = "it would take away the last bus of the gateway"

UseConfiguration = Callable[[Configuration, Configuration], Awaitable[None]]
"""Puts the second configuration into effect in place of the first; what has not changed is left as it is."""


class GatewayConfiguration:
    """The gateway's own configuration: that of the file with that of the cloud over it.

    Args:
        base: the configuration of the file and the environment.
        adapters: the adapter classes, by `type`.
        use: puts a configuration into effect.
        live_buses: returns the buses that the gateway has now, by entry and label.
    """

    def __init__(
        self,
        base: Configuration,
        adapters: Mapping[str, type[Adapter[Any]]],
        *,
        use: UseConfiguration,
        live_buses: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        self.base = base
        self._adapters = adapters
        self._use = use
        self._live_buses = live_buses
        self._content: Mapping[str, object] = {}
        self._one_at_a_time = asyncio.Lock()
        self.effective = overlay(base, {}, adapters)
        """What is in effect, with the origin of each value."""

    def schema(self) -> Mapping[str, object]:
        """Return the JSON Schema for this gateway, with the entries that it has."""
        return gateway_schema({entry.entry: type(entry) for entry in self.base.entries})

    def plan(self, content: Mapping[str, object]) -> Sequence[PlannedChange]:
        """Return what a configuration would change: see `ConfigurationTarget.plan`.

        Raises:
            ConfigurationRejected: see there.
        """
        return self._changes(overlay(self.base, content, self._adapters))

    async def apply(self, content: Mapping[str, object]) -> None:
        """Put a configuration into effect: see `ConfigurationTarget.apply`.

        Raises:
            ConfigurationRejected: it would take away the last bus, or see there.
        """
        async with self._one_at_a_time:
            wanted = overlay(self.base, content, self._adapters)
            await self._refuse_loss_of_last_bus(wanted)
            await self._use(self.effective.configuration, wanted.configuration)
            self.effective, self._content = wanted, content
        self._log_what_wins_on_site(content)

    def restore(self, content: Mapping[str, object]) -> None:
        """Begin with a configuration, before the parts are built from it.

        Raises:
            ConfigurationRejected: it does not fit the file any more.
        """
        self.effective, self._content = overlay(self.base, content, self._adapters), content

    def base_problem(self, base: Configuration) -> str | None:
        """Return why the configuration of the cloud does not fit another one of the file; `None` when it does."""
        try:
            overlay(base, self._content, self._adapters)
        except ConfigurationRejected as error:
            return str(error)
        return None

    async def use_base(self, base: Configuration) -> None:
        """Put another configuration of the file into effect; that of the cloud stays over it.

        Raises:
            ConfigurationRejected: that of the cloud does not fit it; the former one is in effect.
        """
        async with self._one_at_a_time:
            wanted = overlay(base, self._content, self._adapters)
            await self._use(self.effective.configuration, wanted.configuration)
            self.base, self.effective = base, wanted

    def in_effect(self, content: Mapping[str, object]) -> Mapping[str, object]:
        """Return this configuration with the values that the file or the environment has instead."""
        return with_values_on_site(self.base, content)

    def _changes(self, wanted: EffectiveConfiguration) -> list[PlannedChange]:
        before, after = self.effective.values, wanted.values
        buses = list(self._live_buses())
        return [
            PlannedChange(
                key=dotted(place),
                before=_value(before, place),
                after=_value(after, place),
                buses=frozenset(bus for bus in buses if place[:2] == ("adapter", bus[0])),
            )
            for place in dict.fromkeys([*before, *after])
            if _value(before, place) != _value(after, place)
        ]

    def _log_what_wins_on_site(self, content: Mapping[str, object]) -> None:
        given, effective = dict(_leaves(content)), dict(_leaves(self.in_effect(content)))
        if kept := [f"{dotted(place)} stays {effective[place]}" for place in given if given[place] != effective.get(place)]:
            told = ", ".join(kept)
            log.info('the gateway: %s: the configuration on site has it, and wins without `configuration = "cloud"`', told)

    async def _refuse_loss_of_last_bus(self, wanted: EffectiveConfiguration) -> None:
        live = set(self._live_buses())
        changed = {
            new.entry: new
            for old, new in zip(self.effective.configuration.entries, wanted.configuration.entries, strict=True)
            if old != new
        }
        if not live or any(entry not in changed for entry, _ in live):
            return
        for entry in changed.values():
            if await buses_of(entry, self._adapters[entry.type]):
                return
        keys = ", ".join(f"adapter.{name}" for name in changed)
        raise ConfigurationRejected([SettingsProblem(keys, LAST_BUS, "Leave the gateway at least one bus that is there now")])


def _leaves(content: Mapping[str, object]) -> Iterable[tuple[Place, object]]:
    """Yield each key of a configuration that was checked, with its value."""
    for section, keys in content.items():
        if not isinstance(keys, Mapping):
            continue
        for key, value in keys.items():
            if section == "adapter" and isinstance(value, Mapping):
                yield from (((section, key, inner), one) for inner, one in value.items())
            else:
                yield (section, key), value


def _value(values: Mapping[Place, EffectiveValue], place: Place) -> object:
    return None if (one := values.get(place)) is None else one.value
