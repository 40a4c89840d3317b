"""Define what commands of the cloud are given to, and within which limits. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway.models import Checkpoint, Command, CommandResult, KnownCommand
from gateway.state.events import ReportEvent


class CommandTarget(Protocol):
    """Knows and executes commands; see `gateway.field.dispatcher.CommandDispatcher`."""

    def describe(self, child: str | None, name: str, parameters: Mapping[str, object]) -> KnownCommand:
        """Return what is known of a command before it is checked."""

    async def execute(
        self,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]],
        checkpoint: Checkpoint,
    ) -> CommandResult:
        """Execute a command on its device, and return its result."""

    async def finish_interrupted(self, command: Command, *, within: timedelta, checkpoint: Checkpoint) -> CommandResult | None:
        """Resume an interrupted command or read back whether it was carried out; `None` if nothing proves that it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPolicy:
    """What the cloud may do, and how late."""

    every: timedelta = timedelta(seconds=10)
    """How often the cloud is asked for the commands of all children; 0: only when a telemetry response says that one waits."""
    telemetry_every: timedelta = timedelta(seconds=30)
    """How often each device has a telemetry response, which says whether a command waits."""
    expires_after: timedelta = timedelta(minutes=5)
    """A command that could not start within this time is not carried out any more, unless its device declares another time."""
    refusal: Callable[[str | None, str], str | None] = lambda _child, _name: None
    """Returns why a command of this name is refused for this child, or for the gateway itself, whatever the cloud says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The way to the devices, and the limits."""

    target: CommandTarget
    policy: CommandPolicy
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The present moment, aware."""
    report_event: ReportEvent = lambda child, name, category, text: None
    """Is told of each command that failed, or whose outcome is unknown."""
