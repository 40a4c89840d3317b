"""Check, plan and apply the configurations of children: the field's side of `gateway.cloud.configuration.target`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from gateway.adapter import Adapter, DeviceProfile, settings_model
from gateway.errors import ConfigurationRejected, SettingsProblem
from gateway.field.children.child_configuration import NOTHING_CONFIGURED, ChildConfiguration, ConfigurationsInEffect
from gateway.field.children.configuration_model import (
    Configurable,
    configuration_model,
    earlier_configuration_schema,
    parse_configuration,
    parse_earlier_configuration,
)
from gateway.field.configuration.device_settings import NO_CHILD, DeviceSettings
from gateway.field.fleet import Fleet
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice, PlannedChange
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored

TOUCHING_THE_BUS = ("poll_every", "metrics_left_out", "settings")
"""The beginnings of keys that change what happens on the bus."""

LOOK_EVERY_SECONDS = 60.0
"""How often a configuration that waits for the bus of its child looks whether the child is still there."""


def profile_schema(profile: DeviceProfile) -> Mapping[str, object]:
    """Return the JSON Schema of the configurations of devices with this profile."""
    specs = profile.setting_specs
    configurable = Configurable(
        poll_groups=profile.intervals,
        metrics=profile.metrics_by_group,
        settings=settings_model(specs) if specs else None,
    )
    return configuration_model(configurable).model_json_schema()


def configurable_of(adapter: Adapter[Any], child: ChildDevice) -> Configurable:
    """Return what can be configured of a child, as its adapter declares it."""
    return Configurable(
        poll_groups=dict(adapter.poll_groups(child)),
        metrics={group: tuple(metrics) for group, metrics in adapter.metrics(child).items()},
        settings=adapter.configuration_model(child),
    )


class ChildConfigurations:
    """The configurations of all children.

    Args:
        registry: knows the children and their names.
        fleet: knows the buses, and with them the adapters.
        in_effect: what is in effect.
        settings: writes the settings that devices keep.
    """

    def __init__(self, registry: Registry, fleet: Fleet, in_effect: ConfigurationsInEffect, settings: DeviceSettings) -> None:
        self._registry = registry
        self._fleet = fleet
        self._in_effect = in_effect
        self._settings = settings

    def schema(self, child: str) -> Mapping[str, object]:
        """Return the JSON Schema of the configurations that a child accepts; of any child, while its bus is not there."""
        configurable = self._configurable(child)
        return earlier_configuration_schema() if configurable is None else configuration_model(configurable).model_json_schema()

    def plan(self, child: str, content: Mapping[str, object]) -> list[PlannedChange]:
        """Return what a configuration would change.

        Raises:
            ConfigurationRejected: it cannot be applied; the text has each key that is wrong, and the right form.
        """
        configurable, device = self._configurable(child), self._device(child)
        wanted = _parse(configurable, content)
        before = _values(self._in_effect.of(child), configurable)
        after = _values(wanted, configurable)
        if self._registry.given_name(child) is None and wanted.name not in (None, device.name):
            before["name"], after["name"] = device.name, wanted.name
        bus = frozenset({(device.adapter, device.bus)})
        return [
            PlannedChange(
                key=key,
                before=before.get(key),
                after=after.get(key),
                buses=bus if key.startswith(TOUCHING_THE_BUS) else frozenset(),
            )
            for key in dict.fromkeys([*before, *after])
            if before.get(key) != after.get(key)
        ]

    async def apply(self, child: str, content: Mapping[str, object]) -> None:
        """Put a configuration into effect in place of the former one, which stays when this raises or is cancelled.

        It waits for the bus of the child, and for a device that is to get settings, until they are there.

        Raises:
            ConfigurationRejected: it does not fit, or the device does not take it.
        """
        while (supervisor := self._supervisor(child)) is None:
            await self._bus_may_have_appeared()
        wanted = _parse(self._configurable(child), content)
        former = self._in_effect.of(child).name
        await self._settings.apply(child, wanted)
        name = partial(self._registry.name_as_configured, child, wanted.name, former=former)
        await retry_until_stored(name, what="a name from the configuration")
        await supervisor.read_as_configured(child)

    def restore(self, child: str, content: Mapping[str, object]) -> None:
        """Begin with a configuration that an earlier run has applied, before any bus is there.

        Raises:
            ConfigurationRejected: it has another form.
        """
        self._in_effect.put(child, parse_earlier_configuration(content))

    def forget(self, child: str) -> None:
        """Drop what is in effect for a device that is no child any more."""
        self._in_effect.put(child, NOTHING_CONFIGURED)
        self._settings.forget_soon(child)

    def in_effect(self, child: str, content: Mapping[str, object]) -> Mapping[str, object]:
        """Return this configuration with the name that a person has given on site, where it has another one."""
        given = self._registry.given_name(child)
        return content if given is None or content.get("name") in (None, given) else {**content, "name": given}

    async def _bus_may_have_appeared(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_SECONDS):
                await self._fleet.bus_appears()

    def _configurable(self, child: str) -> Configurable | None:
        """Return what can be configured of a child; `None` while its bus is not there."""
        supervisor = self._supervisor(child)
        return None if supervisor is None else configurable_of(supervisor.adapter, self._device(child))

    def _device(self, child: str) -> ChildDevice:
        record = self._registry.children.get(child)
        if record is None:
            raise ConfigurationRejected([SettingsProblem("the configuration", NO_CHILD, "Nothing to do")])
        return record.child

    def _supervisor(self, child: str) -> Supervisor | None:
        device = self._device(child)
        return self._fleet.supervisors.get((device.adapter, device.bus))


def _parse(configurable: Configurable | None, content: Mapping[str, object]) -> ChildConfiguration:
    if configurable is None:
        return parse_earlier_configuration(content)
    return parse_configuration(configuration_model(configurable), content)


def _values(configuration: ChildConfiguration, configurable: Configurable | None) -> dict[str, object]:
    """Return each value that a configuration and, where it sets none, the profile have, by its key; as JSON has them."""
    values: dict[str, object] = {}
    if configurable is not None:
        values |= {f"poll_every.{group}": _seconds(every) for group, every in configurable.poll_groups.items()}
        metrics = (metric for group in configurable.metrics.values() for metric in group)
        values |= {f"dead_bands.{metric.name}": metric.dead_band for metric in metrics if metric.dead_band is not None}
    values |= {f"poll_every.{group}": _seconds(every) for group, every in configuration.poll_every.items()}
    values |= {f"dead_bands.{metric}": band or None for metric, band in configuration.dead_bands.items()}
    values |= {f"settings.{name}": value for name, value in configuration.settings.items()}
    return {**values, "metrics_left_out": sorted(configuration.metrics_left_out)}


def _seconds(every: timedelta) -> float:
    seconds = every.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds
