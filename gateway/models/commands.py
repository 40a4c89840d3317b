"""Define what the cloud can ask of a device: the commands that it has, a command, and its result. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from gateway.models.metrics import Value


class NoParameters(BaseModel):
    """The parameters of a command that takes none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One command of a device: what it does, and which parameters it takes."""

    name: str
    """The name that the cloud sends."""
    title: str
    description: str = ""
    """What it does, for the operator."""
    parameters: type[BaseModel] = NoParameters
    """Types, ranges, choices and lengths. A `SecretStr` field is never logged or stored. An optional parameter that a person left
    out may arrive as `null` (device API reference, section 6): it then counts as absent."""
    is_proven: bool = False
    """The device is read back, so `done` means that it has acted; else the message says "sent, not proven"."""
    expires_after: timedelta | None = None
    """How long after it was received it may still start; `None` for the gateway's setting."""
    harmless_late: bool = False
    """It does no harm when it starts long after a person sent it, such as `identify`."""
    restarts_device: bool = False
    """The device does not answer for a while after it, so it is reported as `in_progress` at once."""
    is_dangerous: bool = False
    """It may harm people, equipment or supply: the status page asks again, and takes the right to administer."""
    metrics: tuple[str, ...] = ()
    """The metrics of the device that it sets, so that the status page offers it beside their values."""

    @property
    def needs_confirmation(self) -> bool:
        """Whether a person is asked again before it is sent."""
        return self.is_dangerous or self.restarts_device


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the cloud for one child or for the gateway itself."""

    id: int | str
    """Opaque: returned to the cloud exactly as it came."""
    child: str | None
    """The child's local key; `None` for the gateway itself."""
    name: str
    parameters: Mapping[str, object]
    """As its `CommandSpec` declares them, without those that were left out; a secret one is a `SecretStr`, whose
    `get_secret_value()` returns the text. Where the device declares no commands, they are as the cloud has sent them."""
    until: datetime | None = None
    """Aware, UTC: after this moment it must not start any more; `None` where nobody set a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a device carried out a command."""

    message: str | None = None
    """For the operator."""
    is_proven: bool = False
    """The device was read back and has what the command asked for."""
    before: Mapping[str, Value] = field(default_factory=dict)
    """The values that the command was about to change, as far as they were read."""
    after: Mapping[str, Value] = field(default_factory=dict)
    """The same values as read back."""


@dataclass(frozen=True, slots=True)
class KnownCommand:
    """What is known of a command before it is checked."""

    spec: CommandSpec | None
    """Its declaration; `None` where there is none, or none can be had now."""
    recorded_parameters: Mapping[str, object]
    """Its parameters as they may be recorded: those that are declared as secret are masked."""


class Checkpoint(Protocol):
    """Is called between two steps of a long command, where it can be stopped without harm."""

    def __call__(self, progress: str) -> None:
        """Report how far the command is, for a person; returns at once.

        Raises:
            CommandStopped: the command was cancelled. Leave the device in a working state, and let the error pass.
        """
