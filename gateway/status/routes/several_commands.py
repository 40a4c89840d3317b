"""Send one command to several devices of one model, for the form of the page and for the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.status.cloud_activity import CommandSummary
from gateway.status.device_actions import ActionProblem, CommandPlan, DeclaredCommand
from gateway.status.device_actions_view import CommandActions, CommandOrder
from gateway.status.several import short_word
from gateway.status.snapshot import ChildReport


@dataclass(frozen=True, slots=True)
class SentCommand:
    """The command as one device got it."""

    key: str
    request_id: str
    outcome: CommandSummary | ActionProblem


class SeveralCommands:
    """The commands that devices have in common.

    Args:
        commands: the commands of single children.
        report_of: returns what is known of a child, by its key; `None` when there is no such child.
    """

    def __init__(self, commands: CommandActions, report_of: Callable[[str], ChildReport | None]) -> None:
        self._commands = commands
        self._report_of = report_of

    def are_of_one_model(self, keys: Iterable[str]) -> bool:
        """Return whether the devices are of one model, as far as is known."""
        return len({self._model(key) for key in keys}) == 1

    def in_common(self, keys: Sequence[str]) -> list[DeclaredCommand]:
        """Return the commands of devices of one model; none for devices of several, whose commands only look alike."""
        declared = [self._commands.commands_of(key) for key in keys]
        if not self.are_of_one_model(keys) or not declared or declared[0] is None:
            return []
        others = [{one.name for one in each.commands} if each is not None else set() for each in declared]
        return [one for one in declared[0].commands if all(one.name in other for other in others)]

    async def plan(self, keys: Sequence[str], name: str, parameters: Mapping[str, Any]) -> CommandPlan | ActionProblem:
        """Check a command that all of the devices have, and return what it would do to each. Sends nothing."""
        return await self._commands.plan_command(CommandOrder(keys[0], name, parameters))

    async def send(
        self, keys: Sequence[str], name: str, parameters: Mapping[str, Any], *, request_id: str, asked_by: str
    ) -> list[SentCommand]:
        """Send a command to each device, once for each request and device, and return what came of it in this order."""
        sent = []
        for key in keys:
            own_id = (
                f"{request_id}-{short_word(key)}"  # of the device and not of its place: the list may be another one next time
            )
            outcome = await self._commands.send_command(CommandOrder(key, name, parameters), request_id=own_id, asked_by=asked_by)
            sent.append(SentCommand(key, own_id, outcome))
        return sent

    def _model(self, key: str) -> tuple[str | None, ...]:
        report = self._report_of(key)
        return () if report is None else (report.child.profile, report.child.manufacturer, report.child.model)
