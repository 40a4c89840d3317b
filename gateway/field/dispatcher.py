"""Check a command against what its device declares, and pass it to the bus of its child. It has exactly one outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from gateway.adapter import Adapter
from gateway.command_secrets import mask_parameters
from gateway.errors import CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.field.child_buses import Begin, ChildBuses
from gateway.field.command_results import to_result
from gateway.field.command_validation import checked_command
from gateway.field.declared_commands import checked_for, declared_commands
from gateway.field.long_commands import STEP_WITHIN, FindLongCommand, no_long_commands
from gateway.field.polling.supervisor import Supervisor
from gateway.models import Checkpoint, ChildDevice, Command, CommandResult, CommandSpec, KnownCommand
from gateway.tasks import loop_time
from gateway.url_secrets import MASK

log = logging.getLogger(__name__)

T = TypeVar("T")

READ_BACK_AGAIN_AFTER_SECONDS = 10.0
"""How long to wait before a device that does not answer is asked again whether it has carried out an interrupted command."""

FOUND_DONE = "found carried out when it was read back later"


class OwnCommands(Protocol):
    """The commands of the gateway itself."""

    def commands(self) -> Sequence[CommandSpec]:
        """Return the commands that the gateway accepts; empty: `execute` checks them itself."""

    async def execute(self, command: Command, checkpoint: Checkpoint) -> CommandResult | str | None:
        """Carry out a checked command once; see `Adapter.execute`. A message alone counts as proven: the gateway knows."""

    async def read_back(self, command: Command) -> CommandResult | None:
        """Return the result of a command that was interrupted by the end of the gateway; see `Adapter.read_back`."""


class CommandDispatcher:
    """Knows which bus serves a child.

    Args:
        buses: the buses of the children.
        own: the commands for the gateway itself.
        find_long: finds the commands of children that are carried out in steps.
    """

    def __init__(self, buses: ChildBuses, own: OwnCommands, find_long: FindLongCommand = no_long_commands) -> None:
        self._buses = buses
        self._own = own
        self._find_long = find_long
        self._running_long: dict[str, str] = {}
        """Child -> the long command that is being carried out on it: nothing else is sent to it between its steps."""

    def describe(self, child: str | None, name: str, parameters: Mapping[str, object]) -> KnownCommand:
        """Return what is known of a command, by its name and the local key of its child; `None` is the gateway itself.

        Where the device cannot be asked now for its declarations, all parameters are masked.
        """
        try:
            specs = self._own.commands() if child is None else _declared(*self._buses.place_of(child))
            spec = next((spec for spec in specs if spec.name == name), None)
            return KnownCommand(spec, mask_parameters(specs, name, parameters) if specs else parameters)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter, whose bug is logged when the command is checked
            log.debug("what the command %.100r needs is unknown: %s", name, type(error).__name__)
            return KnownCommand(None, dict.fromkeys(parameters, MASK))

    async def execute(
        self,
        command: Command,
        *,
        within: timedelta,
        before_start: Begin,
        checkpoint: Checkpoint,
    ) -> CommandResult:
        """Execute a command as the next thing on its bus, and return its result.

        Args:
            command: the command.
            within: it starts within this time or not at all.
            before_start: is awaited right before the adapter gets the command; if it raises, the command is not executed.
            checkpoint: is called between the steps of a long command.

        Raises:
            CommandRejected: it was not executed, or not completely; the text says why.
            BusLost: the bus was lost meanwhile; `finish_interrupted` may find out what the child did.
            OutcomeUnknown: it was sent, and whether the child carried it out is unknown.
            DeviceUnreachable: the child did not answer; whether it carried the command out is unknown.
        """
        if command.child is None:
            command = checked_command(self._own.commands(), command, "the gateway")
            await before_start()
            return self._own_result(await self._own.execute(command, checkpoint), command)

        async def run(supervisor: Supervisor, child: ChildDevice, left: timedelta, begin: Begin) -> CommandResult:
            checked = checked_for(supervisor.adapter, child, command)
            long = self._find_long(child, checked)
            if (other := self._running_long.get(child.key)) is not None:
                raise CommandRejected(f"{other} is being carried out on {child.name}, so nothing was sent; try again after it")
            if long is None:
                return await supervisor.execute(child.key, checked, within=left, before_start=begin)
            with self._runs_long(child.key, command.name):
                await begin()
                return to_result(await long(_ChildBus(self._buses, child.key, command.name), checkpoint), checked)

        return await self._buses.where_the_child_is(command.child, run, within=within, before_start=before_start)

    async def finish_interrupted(self, command: Command, *, within: timedelta, checkpoint: Checkpoint) -> CommandResult | None:
        """Finish a command that was interrupted: resume a long one, or read back whether it was carried out.

        Nothing is sent to the device a second time. Return `None` if nothing proves that it was carried out.

        Raises:
            AdapterError: it was not completed, or the device could not be read within the time; the text says why.
        """
        deadline, is_resumed = loop_time() + within.total_seconds(), False

        async def run(supervisor: Supervisor, child: ChildDevice, _left: timedelta, begin: Begin) -> CommandResult | None:
            nonlocal is_resumed
            checked = checked_for(supervisor.adapter, child, command)
            long = self._find_long(child, checked)
            if long is None and not supervisor.adapter.overrides("read_back"):
                return None  # known without waiting for the bus
            if long is None:
                return await self._read_back(supervisor, checked, deadline)
            is_resumed = True
            with self._runs_long(child.key, command.name):
                await begin()
                return to_result(await long(_ChildBus(self._buses, child.key, command.name), checkpoint), checked)

        try:
            if command.child is None:
                result = await self._own.read_back(checked_command(self._own.commands(), command, "the gateway"))
                return None if result is None else self._own_result(result, command)
            return await self._buses.where_the_child_is(command.child, run, within=within)
        except CommandRejected as error:
            if is_resumed:
                raise
            raise OutcomeUnknown(f"it could not be read back: {error}") from error

    @contextmanager
    def _runs_long(self, child: str, name: str) -> Iterator[None]:
        self._running_long[child] = name
        try:
            yield
        finally:
            self._running_long.pop(child, None)

    async def _read_back(self, supervisor: Supervisor, command: Command, deadline: float) -> CommandResult | None:
        """Read back until the device answers: it may start at the same time as the gateway, after a power cut."""
        assert command.child is not None  # noqa: S101 - the caller knows the child
        while True:
            left = timedelta(seconds=max(deadline - loop_time(), 0.0))
            try:
                result = await supervisor.read_back(command.child, command, within=left)
            except DeviceUnreachable:
                if deadline - loop_time() <= READ_BACK_AGAIN_AFTER_SECONDS:
                    raise
                await asyncio.sleep(READ_BACK_AGAIN_AFTER_SECONDS)
                continue
            if result is None or not result.is_proven:
                return None
            return replace(result, message=f"{result.message}; {FOUND_DONE}" if result.message else FOUND_DONE)

    def _own_result(self, returned: CommandResult | str | None, command: Command) -> CommandResult:
        done = returned if isinstance(returned, CommandResult) else CommandResult(message=returned, is_proven=True)
        return to_result(done, command)


def _declared(supervisor: Supervisor, child: ChildDevice) -> Sequence[CommandSpec]:
    return declared_commands(supervisor.adapter, child)


class _ChildBus:
    """See `gateway.field.long_commands.ChildBus`."""

    def __init__(self, buses: ChildBuses, child: str, name: str) -> None:
        self._buses = buses
        self._child = child
        self._name = name

    async def step(self, work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]], *, within: timedelta = STEP_WITHIN) -> T:
        return await self._buses.step(self._child, self._name, work, within=within)
