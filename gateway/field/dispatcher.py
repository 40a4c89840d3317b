"""Pass a command to the bus of its child. It reports exactly one outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from gateway.errors import CommandRejected
from gateway.field.fleet import Fleet
from gateway.models import Command, CommandResult
from gateway.state.registry import Registry


class CommandDispatcher:
    """Knows which bus serves a child.

    Args:
        registry: knows the children.
        fleet: knows the buses.
        execute_own: executes a command for the gateway itself.
    """

    def __init__(self, registry: Registry, fleet: Fleet, execute_own: Callable[[Command], Awaitable[str | None]]) -> None:
        self._registry = registry
        self._fleet = fleet
        self._execute_own = execute_own

    async def execute(self, command: Command, *, within: timedelta, before_start: Callable[[], Awaitable[None]]) -> CommandResult:
        """Execute a command as the next thing on its bus, and return its result.

        Args:
            command: the command.
            within: it starts within this time or not at all.
            before_start: is awaited right before the adapter gets the command; if it raises, the command is not executed.

        Raises:
            CommandRejected: it was not executed, or not completely; the text says why.
            OutcomeUnknown: it was sent, and whether the child carried it out is unknown.
            DeviceUnreachable: the child did not answer; whether it carried the command out is unknown.
        """
        if command.child is None:
            await before_start()
            return CommandResult(message=await self._execute_own(command))
        record = self._registry.children.get(command.child)
        if record is None:
            raise CommandRejected("this device is not a child of the gateway any more")
        child = record.child
        supervisor = self._fleet.supervisors.get((child.adapter, child.bus))
        if supervisor is None:
            raise CommandRejected(f"the bus {child.bus} of {child.name} does not exist (any more)")
        return await supervisor.execute(child.key, command, within=within, before_start=before_start)
