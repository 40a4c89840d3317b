"""Execute `set_log_level`."""

from __future__ import annotations

from gateway.models import Checkpoint
from gateway.runtime.log_level import set_log_level
from gateway.runtime.own_commands.commands import OwnCommand
from gateway.runtime.own_commands.declarations import SET_LOG_LEVEL, LogLevelParameters


async def _set_log_level(given: LogLevelParameters, _checkpoint: Checkpoint) -> str:
    set_log_level(given.level)
    return f"the log level is {given.level} until the next start"


LOG_LEVEL_COMMAND = OwnCommand(spec=SET_LOG_LEVEL, run=_set_log_level)
