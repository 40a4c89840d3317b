"""Define what the actions on devices need from the gateway; `gateway.runtime.device_actions` implements it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.status.cloud_activity import CommandSummary
from gateway.status.device_actions import (
    ActionProblem,
    AskedOfChild,
    CommandPlan,
    DeclaredCommands,
    Frames,
    Look,
    LookKind,
    Successor,
)


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


class LookActions(Protocol):
    """How a person looks at one device now, a child or a found device."""

    def start(self, key: str, kind: LookKind) -> ActionProblem | None:
        """Begin to look at a device, and return why that is impossible, `None` when it has begun."""

    def look_of(self, key: str) -> Look | None:
        """Return the last look at a device."""

    async def wait_for(self, key: str, *, within_seconds: float) -> None:
        """Return when a look has ended, or after this time."""


class LifeActions(Protocol):
    """What a person decides about the life of a device. Each method returns why it failed, `None` when it succeeded."""

    async def admit(self, key: str, model_id: str | None = None) -> ActionProblem | None:
        """Admit a found device as a child, whatever the policy says; under this model, where its family has none."""

    async def ignore(self, key: str) -> ActionProblem | None:
        """Ignore a found device from now on."""

    async def retire(self, key: str, *, keep_in_cloud: bool) -> ActionProblem | None:
        """Ask for a child to be retired; it is done when the cloud answers."""

    async def replace(self, key: str, successor: str) -> ActionProblem | None:
        """Ask for another device to go on as a child; it is done when the cloud answers."""

    def successors_of(self, key: str) -> tuple[Successor, ...]:
        """Return the devices that could go on as a child, the likeliest first."""

    def asked_of(self, key: str) -> AskedOfChild | None:
        """Return what a person asks to be done with a child, and that is not done yet."""

    def known_models(self, family: str | None) -> tuple[str, ...]:
        """Return the Xyte models that children of this family are registered under."""


class FrameActions(Protocol):
    """What went over the wire between the gateway and a device."""

    def frames_of(self, key: str) -> Frames | None:
        """Return the last frames of a device, `None` when there is no such device."""


@dataclass(frozen=True, slots=True)
class DeviceActions:
    """What can be done with devices."""

    commands: CommandActions
    looks: LookActions
    life: LifeActions
    frames: FrameActions


class DeviceActionsView(Protocol):
    """The part of `gateway.status.view.View` for actions on devices."""

    @property
    def device_actions(self) -> DeviceActions:
        """What can be done with devices."""
