"""Render what became of an action on several devices: each as it is now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.status.cloud_activity import CommandState, CommandSummary
from gateway.status.device_actions import LookState
from gateway.status.device_actions_view import LookActions
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import gettext_noop, ngettext
from gateway.status.model import encode_id
from gateway.status.render.formatting import COMMAND_TEXTS
from gateway.status.several import SeveralAction, SeveralForm, SeveralResult, SeveralRow
from gateway.status.snapshot import Snapshot

if TYPE_CHECKING:
    from gateway.status.render.templates import Templates

DONE_TEXTS: Final[Mapping[SeveralAction | SeveralForm, str]] = {
    SeveralAction.ADMIT: gettext_noop("admitted"),
    SeveralAction.IGNORE: gettext_noop("ignored"),
    SeveralForm.RENAME: gettext_noop("renamed"),
}
COMMAND_STATES: Final = {CommandState.DONE: "done", CommandState.FAILED: "failed", CommandState.UNKNOWN: "failed"}


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One device of a result."""

    name: str
    page: str | None
    """The address of its page."""
    state: str
    """`done`, `failed` or `running`."""
    text: str
    why: str | None = None


class SeveralRenderer:
    """Renders results."""

    def __init__(self, templates: Templates, looks: LookActions | None) -> None:
        self._render = templates.render
        self._looks = looks

    def region(self, result: SeveralResult, snapshot: Snapshot) -> str:
        """Return the region with what became of each device so far."""
        children = {child.key for child in snapshot.children}
        commands = {one.request_id: one for one in snapshot.cloud.commands if one.request_id}
        rows = [self._row(result.action, row, commands, is_child=row.key in children) for row in result.rows]
        count = {state: sum(1 for row in rows if row.state == state) for state in ("done", "failed", "running")}
        order = ("failed", "running", "done")
        return self._render("_several_result.html", rows=sorted(rows, key=lambda row: order.index(row.state)), **count)

    def _row(
        self,
        action: SeveralAction | SeveralForm,
        row: SeveralRow,
        commands: Mapping[str, CommandSummary],
        *,
        is_child: bool,
    ) -> ShownRow:
        word = encode_id(row.key)
        page = f"/children/{word}" if is_child else None
        if row.problem is not None:
            return ShownRow(row.name, page, "failed", _("failed"), row.problem)
        match action:
            case SeveralAction.RETIRE | SeveralAction.RETIRE_HERE:
                if is_child:
                    return ShownRow(row.name, page, "running", _("not yet"), _("It is retired as soon as the cloud answers."))
                return ShownRow(row.name, page, "done", _("retired"))
            case SeveralForm.COMMAND:
                sent = commands.get(row.request_id)
                if sent is None:
                    return ShownRow(row.name, page, "running", _("not yet"))
                state = COMMAND_STATES.get(sent.state, "running")
                return ShownRow(row.name, page, state, _(COMMAND_TEXTS[sent.state]), sent.message)
            case SeveralAction.READ | SeveralAction.IDENTIFY:
                return self._look(row, f"/devices/{word}/look")
            case _:
                return ShownRow(row.name, page, "done", _(DONE_TEXTS[action]))

    def _look(self, row: SeveralRow, page: str) -> ShownRow:
        look = None if self._looks is None else self._looks.look_of(row.key)
        if look is None or look.state is LookState.RUNNING:
            return ShownRow(row.name, page, "running", _("being looked at"), None if look is None else look.progress)
        if look.state is LookState.FAILED:
            return ShownRow(row.name, page, "failed", _("failed"), look.problem)
        read = ngettext("%(n)s value read", "%(n)s values read", len(look.values)) if look.values else _("it has answered")
        return ShownRow(row.name, page, "done", read)
