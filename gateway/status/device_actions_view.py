"""Define what the actions on devices need from the gateway; `gateway.runtime.device_actions` implements it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.status.cloud_activity import CommandSummary
from gateway.status.device_actions import ActionProblem, CommandPlan, DeclaredCommands


@dataclass(frozen=True, slots=True)
class CommandOrder:
    """A command that a person gives."""

    key: str
    """The local key of the child."""
    name: str
    parameters: Mapping[str, object]
    """As JSON values, those that were left out not among them. A secret is plain text here, and nowhere after this."""


class CommandActions(Protocol):
    """What can be done with the commands of children."""

    def commands_of(self, key: str) -> DeclaredCommands | None:
        """Return the commands that a child declares, `None` when there is no such child."""

    async def plan_command(self, order: CommandOrder) -> CommandPlan | ActionProblem:
        """Check a command, and return what it would do. Sends nothing."""

    async def send_command(
        self, order: CommandOrder, *, request_id: str, asked_by: str, wait_seconds: float = 0.0
    ) -> CommandSummary | ActionProblem:
        """Check a command and have it carried out, once for each request id; return it when it has ended, or after this time."""

    async def command(self, request_id: str) -> CommandSummary | None:
        """Return the command that this request gave, `None` when it gave none."""


@dataclass(frozen=True, slots=True)
class DeviceActions:
    """What can be done with devices."""

    commands: CommandActions


class DeviceActionsView(Protocol):
    """The part of `gateway.status.view.View` for actions on devices."""

    @property
    def device_actions(self) -> DeviceActions:
        """What can be done with devices."""
