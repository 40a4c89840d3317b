"""Ask an adapter which commands a child has, and check a command against them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gateway.adapter import Adapter
from gateway.errors import CommandRejected
from gateway.field.command_validation import checked_command
from gateway.models import ChildDevice, Command, CommandSpec

log = logging.getLogger(__name__)


def declared_commands(adapter: Adapter[Any], child: ChildDevice) -> Sequence[CommandSpec]:
    """Return the commands of a child.

    Raises:
        TypeError: the adapter returns something else; it may raise anything else, too.
    """
    specs = tuple(adapter.commands(child))
    if not all(isinstance(spec, CommandSpec) for spec in specs):
        raise TypeError("Adapter.commands returns something other than CommandSpec")
    return specs


def checked_for(adapter: Adapter[Any], child: ChildDevice, command: Command) -> Command:
    """Return a command with its parameters as the child declares them; see `checked_command`.

    Raises:
        CommandRejected: the child has no such command, its parameters are wrong, or the adapter failed; nothing was sent.
    """
    try:
        return checked_command(declared_commands(adapter, child), command, child.name)
    except CommandRejected:
        raise
    except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this command, nothing else
        log.error(  # noqa: TRY400 - a traceback would show the parameters
            "%s: a bug in its adapter while checking %.100r: %s", child.name, command.name, type(error).__name__
        )
        raise CommandRejected(
            f"its adapter failed while checking the command, so nothing was sent: {type(error).__name__}"
        ) from None
