"""Execute one of the gateway's own commands, each declared with its parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from gateway.field.command_validation import checked_command
from gateway.models import Checkpoint, Command, CommandResult, CommandSpec

TITLE = "the gateway"


async def _nothing_is_known(_given: object) -> None:
    """Prove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCommand:
    """One command of the gateway."""

    spec: CommandSpec
    run: Callable[[Any, Checkpoint], Awaitable[CommandResult | str]]
    """Executes it with the checked parameters, of the model in `spec`, and returns what the operator should know."""
    after_restart: Callable[[Any], Awaitable[CommandResult | None]] = _nothing_is_known
    """Returns its result in the next process after the one that it ended; `None` where nothing proves that it was completed."""


class OwnCommands:
    """Everything that the cloud can ask of the gateway itself: implements `gateway.field.dispatcher.OwnCommands`."""

    def __init__(self, commands: Sequence[OwnCommand]) -> None:
        self._commands = {command.spec.name: command for command in commands}
        self._specs = tuple(command.spec for command in commands)
        self._begun_here: set[int | str] = set()

    def commands(self) -> Sequence[CommandSpec]:
        """Return what each command is called, and which parameters it takes."""
        return self._specs

    async def execute(self, command: Command, checkpoint: Checkpoint) -> CommandResult | str:
        """Execute a command, and return its result, or what the operator should know.

        Raises:
            CommandRejected: there is no such command, or its parameters are wrong; the text says what is expected.
        """
        own, given = self._checked(command)
        self._begun_here.add(command.id)
        return await own.run(given, checkpoint)

    async def read_back(self, command: Command) -> CommandResult | None:
        """Return the result of a command that had begun when an earlier process ended; `None` where nothing proves it."""
        if command.id in self._begun_here:
            return None  # this process is still the one that it is to end
        own, given = self._checked(command)
        return await own.after_restart(given)

    def _checked(self, command: Command) -> tuple[OwnCommand, BaseModel]:
        checked = checked_command(self._specs, command, TITLE)
        own = self._commands[checked.name]
        return own, own.spec.parameters.model_validate(checked.parameters)
