"""Execute `set_log_level`."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gateway.models import Checkpoint, CommandSpec
from gateway.runtime.own_commands.commands import OwnCommand, Parameters


class LogLevelParameters(Parameters):
    """Names a level."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda given: given.lower() if isinstance(given, str) else given),
    ] = Field(description="the lowest level that is logged")


async def _set_log_level(given: LogLevelParameters, _checkpoint: Checkpoint) -> str:
    logging.getLogger().setLevel(given.level.upper())
    return f"the log level is {given.level} until the next start"


SET_LOG_LEVEL = OwnCommand(
    spec=CommandSpec(
        name="set_log_level",
        title="Set the log level",
        description="changes what is logged until the next start",
        parameters=LogLevelParameters,
        is_proven=True,
    ),
    run=_set_log_level,
)
