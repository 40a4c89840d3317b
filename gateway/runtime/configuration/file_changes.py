"""Save the configuration file, put it into effect, watch what became worse, and go one step back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.config.settings import Configuration
from gateway.config.writing import copy_of, replace_file, swap_with_copy
from gateway.errors import ConfigurationRejected
from gateway.runtime.configuration.change_watch import ExpectedBuses, HubWatch, Watch, watch
from gateway.runtime.configuration.editable_file import EditableFile
from gateway.runtime.configuration.file_drafts import CHANGED, HAS_MISTAKES
from gateway.runtime.configuration.file_plan import FieldNow, changed_entries, moves_to, planned_parts
from gateway.runtime.configuration.file_text import Checked, Unreadable
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.configuration.live_part import live_part
from gateway.runtime.configuration.watch import BusWatch
from gateway.runtime.file_watch import FileInUse
from gateway.runtime.parts import CloudParts, FieldParts
from gateway.runtime.restart import ExpectedState, Restart
from gateway.state.history.timeline import EventKind
from gateway.state.parts import StateParts
from gateway.status.configuration_view import AppliedChange, Effect, Saved
from gateway.toml_text import read_toml

log = logging.getLogger(__name__)

SHOWN_KEYS: Final = 8

NO_STEP_BACK: Final = "There is no former text that differs."
FORMER_HAS_MISTAKES: Final = "The former text has mistakes: the gateway could not start with it. Nothing was changed."


class FileChanges:
    """The changes of the configuration file, one at a time.

    Args:
        file: the file.
        own: the configuration in effect.
        state: what survives a restart; its timeline has the changes.
        field: the buses and the children.
        cloud: the connection to the cloud.
        restart: builds the gateway anew.
    """

    def __init__(
        self,
        file: EditableFile,
        own: GatewayConfiguration,
        *,
        state: StateParts,
        field: FieldParts,
        cloud: CloudParts,
        restart: Restart,
    ) -> None:
        self._file = file
        self._own = own
        self._state = state
        self._field = field
        self._cloud = cloud
        self._restart = restart
        self._saved = own.base
        """What the file says that was loaded or saved here."""
        self._one_at_a_time = asyncio.Lock()
        self._worked: tuple[frozenset[tuple[str, str]], bool] | None = None
        """The buses that worked before the first change that is not in effect as a whole, and whether the hub did."""
        self._watching: asyncio.Task[None] | None = None
        self.change: AppliedChange | None = None
        """The latest change of this run."""
        self.restart_keys: Sequence[str] = ()
        """What was saved and counts once the gateway has restarted."""
        self.in_use = FileInUse()
        """Tells the watch over the file what is in effect."""

    @property
    def moves_to(self) -> str:
        """The address to which the page moves with the restart, with what is saved; empty where it stays."""
        return moves_to(self._own.base, self._saved)

    async def run(self) -> None:
        """Watch after the gateway has restarted with another configuration, until cancelled."""
        expected, self._restart.expected = self._restart.expected, None
        if expected is not None:
            self.change = AppliedChange(at=expected.at, what=expected.what, by=expected.by, problem=None, is_watched=True)
            watches: list[Watch] = [
                ExpectedBuses(self._field.fleet, expected.buses),
                HubWatch(self._cloud.session.rate_control, was_reachable=expected.has_hub),
            ]
            self._begin_watch(watches)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            if self._watching is not None:
                self._watching.cancel()

    async def save(self, checked: Checked, base: str, *, by: str) -> Saved:
        """Save a text, and put it into effect, if the file still says what the text was made from."""
        async with self._one_at_a_time:
            if checked.configuration is None:
                return Saved(problem=HAS_MISTAKES)
            try:
                now = await asyncio.to_thread(self._file.read)
            except Unreadable as error:
                return Saved(problem=str(error))
            if now.text != base:
                return Saved(problem=CHANGED, is_conflict=True)
            if checked.text == now.text:
                return await self._use_unchanged(checked, checked.configuration, by=by)
            written = now.as_written(checked.text)
            return await self._replace(
                checked, checked.configuration, by=by, write=lambda file: replace_file(file, written), what=""
            )

    async def _use_unchanged(self, checked: Checked, new: Configuration, *, by: str) -> Saved:
        """Write nothing, so that the former text stays; what was edited without this page takes effect."""
        if not planned_parts(self._saved, new, FieldNow(), {}):
            return Saved(restart_keys=self.restart_keys)
        return await self._replace(checked, new, by=by, write=lambda _file: None, what="")

    async def undo(self, *, by: str) -> Saved:
        """Go one step back: to the text before the latest change."""
        async with self._one_at_a_time:
            try:
                now = await self._file.text()
            except Unreadable as error:
                return Saved(problem=str(error))
            former = await asyncio.to_thread(self._file.former)
            if former is None or former == now:
                return Saved(problem=NO_STEP_BACK)
            checked = await asyncio.to_thread(self._file.check, former)
            if checked.configuration is None:
                return Saved(problem=FORMER_HAS_MISTAKES)
            return await self._replace(checked, checked.configuration, by=by, write=swap_with_copy, what="one step back")

    async def _replace(self, checked: Checked, new: Configuration, *, by: str, write: Callable[[Path], None], what: str) -> Saved:
        """Write the file, and put what it says into effect as far as that is possible now."""
        path = self._file.path
        with self.in_use.being_changed():
            try:
                await asyncio.to_thread(write, path)
            except OSError as error:
                return Saved(problem=f"It cannot be saved: {path}: {error.strerror}. Nothing has changed.")
            keys = _keys_in_words([part.key for part in planned_parts(self._saved, new, FieldNow(), {})])
            told = f"{what}: {keys}" if what else keys
            log.warning("the configuration was changed by %s: %s; the former one is %s", by, told, copy_of(path.resolve()))
            self._state.timeline.record(EventKind.CONFIGURATION, f"changed by {by}: {told}")
            await self._put_into_effect(new, told, by)
            self.in_use.notice = self._notice()
            self.in_use.tables = read_toml(checked.text)
        return Saved(restart_keys=self.restart_keys)

    async def _put_into_effect(self, new: Configuration, what: str, by: str) -> None:
        watches = self._watches(new)
        if self._worked is None or not self.restart_keys:
            self._worked = self._works_now()
        live = live_part(self._own.base, new)
        self._saved = new
        try:
            await self._own.use_base(live)
        except ConfigurationRejected as error:
            log.warning("the configuration takes effect when the gateway restarts: %s", error)
            self.restart_keys = ["cloud"]
        else:
            parts = planned_parts(self._own.base, new, FieldNow(), {})
            self.restart_keys = [part.key for part in parts if part.effect is Effect.RESTART]
        self.change = AppliedChange(at=datetime.now(UTC), what=what, by=by, problem=None, is_watched=True)
        self._begin_watch(watches)

    def _watches(self, new: Configuration) -> list[Watch]:
        """Return watches over what the change touches, which know how it is now."""
        changed = {entry.entry for entry in changed_entries(self._own.base, new)}
        buses = [bus for bus in self._field.fleet.supervisors if bus[0] in changed]
        rate_control = self._cloud.session.rate_control
        return [
            BusWatch(self._field, self._state.registry, buses),
            HubWatch(rate_control, was_reachable=rate_control.is_reachable is True),
        ]

    def _begin_watch(self, watches: Sequence[Watch]) -> None:
        if self._watching is not None:
            self._watching.cancel()
        for one in watches:
            if isinstance(one, BusWatch):
                one.begin()

        def tell(problem: str | None) -> None:
            self._note(problem=problem, is_watched=True)
            if problem is not None:
                log.warning("since the configuration was changed: %s; the page offers one step back", problem)
                self._state.timeline.record(EventKind.CONFIGURATION, f"worse since it was changed: {problem}")

        async def watched() -> None:
            seconds = self._own.base.settings.cloud.configuration_watch.total_seconds()
            await watch(watches, seconds, tell)
            self._note(problem=None if self.change is None else self.change.problem, is_watched=False)

        self._watching = asyncio.create_task(watched())

    def _note(self, *, problem: str | None, is_watched: bool) -> None:
        change = self.change
        if change is not None:
            self.change = replace(change, problem=problem, is_watched=is_watched)

    def _notice(self) -> str | None:
        keys = self.restart_keys
        if not keys:
            return None
        return f"the configuration was changed on the page; {_keys_in_words(keys)} counts once the gateway has restarted"

    def _works_now(self) -> tuple[frozenset[tuple[str, str]], bool]:
        buses = frozenset(bus for bus, one in self._field.fleet.supervisors.items() if one.problem is None)
        return buses, self._cloud.session.rate_control.is_reachable is True

    def begin_anew(self, *, by: str) -> None:
        """Build the gateway anew in this process, with the configuration as it was saved."""
        buses, has_hub = self._worked or self._works_now()
        self._restart.expected = ExpectedState(
            buses=buses,
            has_hub=has_hub,
            what="a restart" if self.change is None else self.change.what,
            by=by,
            at=datetime.now(UTC),
        )
        log.warning("the gateway restarts with the configuration as saved, as asked by %s", by)
        self._state.timeline.record(EventKind.RESTART, f"restarts with the configuration as saved, as asked by {by}")
        asyncio.get_running_loop().call_later(0.5, self._restart.begin_anew, "its configuration was changed on the page")


def _keys_in_words(keys: Sequence[str]) -> str:
    if not keys:
        return "no setting"
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more
