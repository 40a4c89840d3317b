"""Define the operations on the commands of children, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from gateway.status.cloud_activity import CommandSummary
from gateway.status.device_actions import DeclaredCommands
from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights

REQUEST_ID: Final = r"^[A-Za-z0-9_-]{8,64}$"
"""The form of the id of a request."""


class CommandRequest(StatusModel):
    """A command for a child."""

    parameters: dict[str, Any] = Field(default_factory=dict, description="as the command declares them")
    request_id: str | None = Field(
        default=None,
        pattern=REQUEST_ID,
        description="chosen by the caller: a request with the same id is never carried out twice",
    )
    confirmed: bool = Field(default=False, description="a person has confirmed it; required where the command needs confirmation")
    wait_seconds: float = Field(
        default=0, ge=0, le=30, description="respond when it has ended, but after this time at the latest"
    )


class InvalidParameters(StatusModel):
    """What is wrong with the parameters of a command."""

    error: str
    fields: dict[str, str] = Field(description="what is wrong with each parameter, by name")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("commands_of_child", "GET", f"{BASE}/children/{{id}}/commands", "The commands that a child declares", DeclaredCommands),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *(
            "send_command",
            "POST",
            f"{BASE}/children/{{id}}/commands/{{name}}",
            "Have a child carry out a command, once for each request id; a dangerous one needs a token that may administer",
            CommandSummary,
        ),
        needs=Rights.OPERATE,
        body=CommandRequest,
        errors={"422": ("the parameters are wrong; nothing was sent", InvalidParameters)},
    ),
    ApiOperation(
        *("command", "GET", f"{BASE}/commands/{{request_id}}", "A command that was given here, by its request", CommandSummary),
        needs=Rights.LOOK,
    ),
)
