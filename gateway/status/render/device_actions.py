"""Render the page of a command, and the actions on the page of a child. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.status.cloud_activity import CommandSummary
from gateway.status.device_actions import DeclaredCommand, DeclaredCommands
from gateway.status.device_actions_view import DeviceActions
from gateway.status.model import decode_id, encode_id
from gateway.status.snapshot import ChildDetails, ChildSummary, Snapshot

if TYPE_CHECKING:
    from gateway.status.render.templates import Templates

MAX_RUNS: Final = 20
"""How many of its last commands the page of a command lists."""


@dataclass(frozen=True, slots=True)
class LookedAtDevice:
    """A child or a found device that a person looks at."""

    key: str
    name: str
    page: str
    """The address of the page that it is on."""


class DeviceActionRenderer:
    """Renders the parts of pages that concern actions on devices."""

    def __init__(
        self, templates: Templates, find_child: Callable[[str], ChildDetails | None], actions: DeviceActions | None
    ) -> None:
        self._render = templates.render
        self._find_child = find_child
        self._actions = actions

    def child_actions(self, line: ChildSummary) -> str:
        """Return the region of the page of a child that lists what can be done with it."""
        declared = None if self._actions is None else self._actions.commands.commands_of(line.key)
        commands = declared or DeclaredCommands()
        refusals = dict.fromkeys(one.refusal for one in commands.commands if one.refusal is not None)
        return self._render(
            "_device_actions.html",
            line=line,
            declared=commands,
            refusals=list(refusals),
            asked=None if self._actions is None else self._actions.life.asked_of(line.key),
            word=lambda one: encode_id(one.name),
        )

    def setters(self, line: ChildSummary) -> Mapping[str, str]:
        """Return the address of the command that sets each metric of a child, where there is exactly one that may be sent."""
        declared = None if self._actions is None else self._actions.commands.commands_of(line.key)
        found: dict[str, list[DeclaredCommand]] = {}
        for one in () if declared is None else declared.commands:
            for metric in one.metrics if one.refusal is None else ():
                found.setdefault(metric, []).append(one)
        single = {metric: commands[0] for metric, commands in found.items() if len(commands) == 1}
        return {metric: f"/children/{line.id}/commands/{encode_id(one.name)}" for metric, one in single.items()}

    def find_command(self, child_word: str, command_word: str) -> tuple[ChildSummary, DeclaredCommand] | None:
        """Return a child and one of its commands by their words in addresses, `None` when there is none (any more)."""
        key, name = next(iter(decode_id(child_word)), ""), next(iter(decode_id(command_word)), "")
        child = self._find_child(key)
        declared = None if child is None or self._actions is None else self._actions.commands.commands_of(key)
        command = None if declared is None else declared.find(name)
        return None if child is None or command is None else (child.line, command)

    def runs(self, snapshot: Snapshot, line: ChildSummary, command: DeclaredCommand) -> str:
        """Return the region with the last runs of one command."""
        runs: Sequence[CommandSummary] = [one for one in snapshot.cloud.commands_of(line.id) if one.name == command.name]
        return self._render("_command_runs.html", runs=runs[:MAX_RUNS])

    def find_device(self, word: str, snapshot: Snapshot) -> LookedAtDevice | None:
        """Return a child or a found device by its word in addresses, `None` when there is none (any more)."""
        key = next(iter(decode_id(word)), "")
        child = self._find_child(key)
        if child is not None:
            return LookedAtDevice(key, child.line.name.strip() or key, f"/children/{word}")
        waiting = next((one for one in snapshot.waiting if one.key == key), None)
        return None if waiting is None else LookedAtDevice(key, waiting.name.strip() or key, "/waiting")

    def look(self, device: LookedAtDevice) -> str:
        """Return the region with the last look at a device."""
        look = None if self._actions is None else self._actions.looks.look_of(device.key)
        return self._render("_look.html", look=look)
