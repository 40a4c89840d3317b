"""Execute the commands that the cloud sends to the gateway itself."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from gateway.adapter import check_parameter_names, find_command
from gateway.errors import CommandRejected
from gateway.field.children.intake import DeviceIntake
from gateway.field.fleet import Fleet
from gateway.models import Checkpoint, Command, CommandResult, CommandSpec
from gateway.state.records import Decision
from gateway.state.registry import Registry

LEVELS = ("debug", "info", "warning", "error")


class GatewayCommand(NamedTuple):
    """One command of the gateway: its name in the cloud, its parameters, and the method that executes it."""

    name: str
    parameters: Sequence[str]
    execute: Callable[[Mapping[str, object]], Awaitable[str]]


class GatewayCommands:
    """`rescan`, `admit`, `ignore` and `set_log_level`."""

    def __init__(self, registry: Registry, intake: DeviceIntake, fleet: Fleet) -> None:
        self._registry = registry
        self._intake = intake
        self._fleet = fleet
        self.all = (
            GatewayCommand("rescan", (), self._rescan),
            GatewayCommand("admit", ("key",), lambda given: self._decide(given, Decision.ADMIT)),
            GatewayCommand("ignore", ("key",), lambda given: self._decide(given, Decision.IGNORE)),
            GatewayCommand("set_log_level", ("level",), self._set_log_level),
        )

    def commands(self) -> Sequence[CommandSpec]:
        """Declare nothing: `execute` checks the names and parameters itself."""
        return ()

    async def execute(self, command: Command, checkpoint: Checkpoint) -> str:
        """Execute a command, and return what the operator should know.

        Raises:
            CommandRejected: there is no such command, or its parameters are wrong; the text says what is expected.
        """
        rule = find_command(self.all, command, "the gateway")
        check_parameter_names(command.name, rule.parameters, command.parameters)
        return await rule.execute(command.parameters)

    async def read_back(self, command: Command) -> CommandResult | None:
        """Return `None`: nothing proves that an interrupted command was carried out."""
        return None

    async def _rescan(self, _given: Mapping[str, object]) -> str:
        buses = list(self._fleet.supervisors.values())
        for supervisor in buses:
            await supervisor.start_discovery()
        return f"the search for devices starts on {len(buses)} buses"

    async def _decide(self, given: Mapping[str, object], decision: Decision) -> str:
        key = str(given["key"])
        name = self._registry.name_of(key)
        if not await self._registry.decide(key, decision):
            raise CommandRejected(f"there is no device {key!r} that waits for a decision")
        await self._intake.admit_approved()
        return f"{name} is {'admitted' if decision is Decision.ADMIT else 'ignored'}"

    async def _set_log_level(self, given: Mapping[str, object]) -> str:
        level = str(given["level"]).lower()
        if level not in LEVELS:
            raise CommandRejected(f"level has to be one of {', '.join(LEVELS)}, not {level!r}")
        logging.getLogger().setLevel(level.upper())
        return f"the log level is {level} until the next start"
