"""Put together what a person can do with devices on the status page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.permissions import ceiling, needed_for
from gateway.config.settings import Configuration
from gateway.field.child_buses import ChildBuses
from gateway.field.dispatcher import CommandDispatcher
from gateway.runtime.device_actions.child_life import ChildLife
from gateway.runtime.device_actions.device_commands import DeviceCommands
from gateway.runtime.device_actions.frames import DeviceFrames
from gateway.runtime.device_actions.local_commands import LocalCommands
from gateway.runtime.device_actions.looks import DeviceLooks
from gateway.runtime.parts import FieldParts
from gateway.state.parts import StateParts
from gateway.status.device_actions_view import DeviceActions


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceActionParts:
    """What carries actions out, and what the page sees of it."""

    commands: LocalCommands
    looks: DeviceLooks
    actions: DeviceActions

    async def run(self) -> None:
        """Carry out until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.commands.run())
            group.create_task(self.looks.run())


def build_device_actions(
    state: StateParts, field: FieldParts, dispatcher: CommandDispatcher, *, configuration: Callable[[], Configuration]
) -> DeviceActionParts:
    """Return the parts.

    Args:
        state: keeps commands and children.
        field: the buses.
        dispatcher: the way to the devices, the same as that of the cloud's commands.
        configuration: returns what is in effect now.
    """
    registry = state.registry

    def refusal(child: str, command: str) -> str | None:
        record = registry.children.get(child)
        most = ceiling(configuration(), None if record is None else record.child)
        return most.refusal(needed_for(command), source="")

    commands = LocalCommands(
        state.ledger, dispatcher, refusal=refusal, name_of=registry.name_of, report_event=state.events.report
    )
    buses = ChildBuses(registry, field.fleet)
    looks = DeviceLooks(registry, field.fleet, state.timeline)
    return DeviceActionParts(
        commands=commands,
        looks=looks,
        actions=DeviceActions(
            commands=DeviceCommands(registry, state.ledger, buses, commands),
            looks=looks,
            life=ChildLife(registry, field.intake, state.timeline),
            frames=DeviceFrames(registry, field.fleet),
        ),
    )
