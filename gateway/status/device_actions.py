"""Define what page and API show of the actions on devices: declared commands, their checks, their refusals. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from gateway.status.model import StatusModel, Text


class DeclaredCommand(StatusModel):
    """One command that a child declares."""

    name: str
    title: Text
    description: Text = ""
    parameters: dict[str, Any] = Field(description="the JSON Schema of its parameters")
    is_proven: bool = Field(description="the device is read back, so `done` means that it has acted")
    is_dangerous: bool = Field(description="it may harm people, equipment or supply, and needs the right to administer")
    needs_confirmation: bool = Field(description="it is carried out only when the request says that a person has confirmed it")
    metrics: tuple[Text, ...] = Field(default=(), description="the metrics that it sets")
    refusal: Text | None = Field(default=None, description="why it cannot be sent, by the configuration of the gateway")


class DeclaredCommands(StatusModel):
    """The commands that a child declares."""

    commands: tuple[DeclaredCommand, ...] = ()
    problem: Text | None = Field(default=None, description="why the device cannot be asked for them")

    def find(self, name: str) -> DeclaredCommand | None:
        """Return the command of this name."""
        return next((one for one in self.commands if one.name == name), None)

    def setting(self, metric: str) -> DeclaredCommand | None:
        """Return the command that sets a metric, where there is exactly one that a person may send."""
        setting = [one for one in self.commands if metric in one.metrics and one.refusal is None]
        return setting[0] if len(setting) == 1 else None


class Problem(StrEnum):
    """What kind of problem an action meets."""

    UNKNOWN = "unknown"
    """There is no such device or command (any more)."""
    INVALID = "invalid"
    """What was given is wrong."""
    REFUSED = "refused"
    """It cannot be done, or not now."""


class ActionProblem(StatusModel):
    """Why an action was not begun. Nothing was sent to a device."""

    kind: Problem
    error: Text
    fields: dict[Text, Text] = Field(default_factory=dict, description="what is wrong with each parameter, by name")


class CommandPlan(StatusModel):
    """What a command would do."""

    parameters: dict[Text, Text] = Field(default_factory=dict, description="as they would be sent; secret ones are masked")
    writes: tuple[Text, ...] = Field(default=(), description="what would be sent, one sentence a step; empty where unknown")
