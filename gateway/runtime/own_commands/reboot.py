"""Execute `reboot`: the process ends in order, and the command is done when the next one has started."""

from __future__ import annotations

from gateway import __version__
from gateway.errors import CommandRejected
from gateway.models import Checkpoint, CommandResult, NoParameters
from gateway.runtime.own_commands.commands import OwnCommand
from gateway.runtime.own_commands.declarations import REBOOT
from gateway.runtime.restart import NOT_STARTED_AGAIN, Restart


def reboot_command(restart: Restart) -> OwnCommand:
    """Return the command."""

    async def reboot(_given: NoParameters, _checkpoint: Checkpoint) -> str:
        if restart.started_by is None:
            raise CommandRejected(NOT_STARTED_AGAIN)
        return await restart.end_process()

    async def after_restart(_given: NoParameters) -> CommandResult:
        return CommandResult(message=f"the gateway has restarted, with version {__version__}", is_proven=True)

    return OwnCommand(spec=REBOOT, run=reboot, after_restart=after_restart)
