"""Define the operations that give several devices a command or new names, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from gateway.status.cloud_activity import CommandSummary
from gateway.status.model import StatusModel, Text
from gateway.status.operations.commands import InvalidParameters
from gateway.status.operations.operation import BASE, ApiOperation, ErrorResponse
from gateway.status.operations.several import SeveralOutcomes
from gateway.status.rights import Rights
from gateway.status.several import MOST_AT_ONCE

REQUEST_ID: Final = r"^[A-Za-z0-9_-]{8,40}$"
"""The form of the id of a request for several devices; the command of each has it with a word for the device."""


class SeveralCommandRequest(StatusModel):
    """A command for several children of one model."""

    ids: tuple[str, ...] = Field(min_length=1, max_length=MOST_AT_ONCE, description="the ids of children")
    command: str = Field(description="the name of a command that all of them declare")
    parameters: dict[str, Any] = Field(default_factory=dict, description="as the command declares them")
    request_id: str | None = Field(
        default=None,
        pattern=REQUEST_ID,
        description="chosen by the caller: with the same id, no child carries it out twice",
    )
    confirmed: bool = Field(default=False, description="a person has confirmed it; required where the command needs confirmation")


class SeveralCommandOutcome(StatusModel):
    """What became of the command for one child."""

    id: str
    name: Text | None
    error: Text | None = Field(description="why nothing was sent to it; null when the command was given")
    command: CommandSummary | None = Field(
        description="the command as it was given; its `request_id` leads to its outcome; null when nothing was sent"
    )


class SeveralCommandOutcomes(StatusModel):
    """What became of the command for each child."""

    results: tuple[SeveralCommandOutcome, ...]


class SeveralRenameRequest(StatusModel):
    """New names for several devices."""

    ids: tuple[str, ...] = Field(
        min_length=1, max_length=MOST_AT_ONCE, description="the ids of children or found devices, in the order of their numbers"
    )
    pattern: str = Field(description="the new name: `{n}` is the number of the device, `{name}` its present name")
    first: str = Field(default="1", description="the first number; with zeros, `01`, all of them have as many digits")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *(
            "several_command",
            "POST",
            f"{BASE}/several/command",
            "Have several children of one model carry out a command; a dangerous one needs a token that may administer",
            SeveralCommandOutcomes,
        ),
        needs=Rights.OPERATE,
        body=SeveralCommandRequest,
        errors={"422": ("the parameters are wrong; nothing was sent", InvalidParameters)},
    ),
    ApiOperation(
        *(
            "several_rename",
            "POST",
            f"{BASE}/several/rename",
            "Rename several devices with a number in each name, each with an outcome of its own",
            SeveralOutcomes,
        ),
        needs=Rights.OPERATE,
        body=SeveralRenameRequest,
        errors={"422": ("these are no names; nothing was renamed", ErrorResponse)},
    ),
)
