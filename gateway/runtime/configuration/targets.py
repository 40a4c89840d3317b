"""Give each configuration from the cloud to the gateway or to the child that it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.models import PlannedChange
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.configuration.watch import BusWatch
from gateway.runtime.parts import FieldParts
from gateway.state.registry import Registry


class ChildTarget(Protocol):
    """The configurations of the children, by local key: each method as in `ConfigurationTarget`."""

    def schema(self, child: str) -> Mapping[str, object]:
        """Return the JSON Schema of the configurations that a child accepts."""

    def plan(self, child: str, content: Mapping[str, object]) -> Sequence[PlannedChange]:
        """Return what a configuration would change."""

    async def apply(self, child: str, content: Mapping[str, object]) -> None:
        """Put a configuration into effect."""

    def restore(self, child: str, content: Mapping[str, object]) -> None:
        """Begin with a configuration that an earlier run has applied."""

    def forget(self, child: str) -> None:
        """Drop what is in effect for a device that is no child any more."""

    def in_effect(self, child: str, content: Mapping[str, object]) -> Mapping[str, object]:
        """Return this configuration with the values that a person on site has set instead."""


class ConfigurationTargets:
    """Implements `gateway.cloud.configuration.target.ConfigurationTarget` for the gateway and its children."""

    def __init__(self, gateway: GatewayConfiguration, children: ChildTarget, *, field: FieldParts, registry: Registry) -> None:
        self._gateway = gateway
        self._children = children
        self._field = field
        self._registry = registry

    def schema(self, child: str | None) -> Mapping[str, object]:
        """See `ConfigurationTarget`."""
        return self._gateway.schema() if child is None else self._children.schema(child)

    def plan(self, child: str | None, content: Mapping[str, object]) -> Sequence[PlannedChange]:
        """See `ConfigurationTarget`."""
        return self._gateway.plan(content) if child is None else self._children.plan(child, content)

    def watch(self, child: str | None, changes: Sequence[PlannedChange]) -> BusWatch | None:
        """See `ConfigurationTarget`."""
        buses = frozenset[tuple[str, str]]().union(*(change.buses for change in changes))
        return BusWatch(self._field, self._registry, buses, child=child) if buses else None

    async def apply(self, child: str | None, content: Mapping[str, object]) -> None:
        """See `ConfigurationTarget`."""
        await (self._gateway.apply(content) if child is None else self._children.apply(child, content))

    def restore(self, child: str | None, content: Mapping[str, object]) -> None:
        """See `ConfigurationTarget`."""
        if child is None:
            self._gateway.restore(content)
        else:
            self._children.restore(child, content)

    def forget(self, child: str) -> None:
        """See `ConfigurationTarget`."""
        self._children.forget(child)

    def in_effect(self, child: str | None, content: Mapping[str, object]) -> Mapping[str, object]:
        """See `ConfigurationTarget`."""
        return self._gateway.in_effect(content) if child is None else self._children.in_effect(child, content)
