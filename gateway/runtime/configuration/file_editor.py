"""Edit the configuration file of the running gateway: check, plan, try, save, put into effect, watch, one step back."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.adapter import Adapter
from gateway.config import toml_editing
from gateway.config.cloud_overlay import Origin
from gateway.config.masked_text import mask_secrets
from gateway.config.mistakes import ENV_PREFIX, dotted, variable_for
from gateway.config.secret_fields import secret_field_names
from gateway.config.settings import Configuration
from gateway.config.text_difference import text_difference
from gateway.config.writing import copy_of, replace_file, swap_with_copy, why_unwritable
from gateway.errors import ConfigurationRejected
from gateway.models import Reach
from gateway.runtime.configuration.after_change import ExpectedBuses, HubWatch, Watch, watch
from gateway.runtime.configuration.bus_preview import buses_of
from gateway.runtime.configuration.bus_trials import BusTrials
from gateway.runtime.configuration.file_forms import FileForms
from gateway.runtime.configuration.file_plan import FieldNow, changed_entries, plan_warnings, planned_parts
from gateway.runtime.configuration.file_text import (
    Checked,
    Unreadable,
    check_text,
    former_text,
    read_text,
    restore_masks,
    stamp_of,
)
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.configuration.live_part import live_part
from gateway.runtime.configuration.watch import BusWatch
from gateway.runtime.file_watch import FileInUse
from gateway.runtime.parts import CloudParts, FieldParts
from gateway.runtime.restart import ExpectedState, Restart
from gateway.state.history.timeline import EventKind
from gateway.state.parts import StateParts
from gateway.status.configuration_view import (
    MOST_BYTES,
    AppliedChange,
    ConfigurationDraft,
    ConfigurationFile,
    ConfigurationForm,
    ConfigurationPlan,
    ConfigurationSection,
    DiffLine,
    Effect,
    NotEditable,
    Saved,
    TextMistake,
    TextTooLarge,
)
from gateway.toml_text import read_toml

log = logging.getLogger(__name__)

Made = TypeVar("Made")

MOST_DRAFTS: Final = 8
"""The draft that was touched longest ago is forgotten for a further one."""
MOST_TEXTS: Final = 16
SHOWN_KEYS: Final = 8

CHANGED: Final = "The file has changed since this text was begun. Nothing was saved; compare, and save again."
TOO_LARGE: Final = f"This text has more than {MOST_BYTES // 1000} kB; a configuration has not. Nothing was saved."
HAS_MISTAKES: Final = "The text has mistakes. Nothing was saved."
NO_DRAFT: Final = "This draft is not kept any more: the gateway has restarted, or others have been begun since."
NO_STEP_BACK: Final = "There is no former text that differs."


@dataclass(slots=True)
class _Draft:
    id: str
    base: str
    """What the file said when it was begun."""
    checked: Checked
    trials: BusTrials | None = None
    plan: tuple[str, Configuration, ConfigurationPlan] | None = None
    """The latest plan, with the text and the configuration in effect that it compares with."""


class FileEditor:
    """Implements `gateway.status.configuration_view.ConfigurationView`.

    Args:
        own: the configuration in effect.
        adapters: the adapter classes, by `type`.
        state: what survives a restart; its timeline has the changes.
        field: the buses and the children.
        cloud: the connection to the cloud.
        restart: builds the gateway anew.
        address: returns the address of the page as it is served now.
    """

    def __init__(
        self,
        own: GatewayConfiguration,
        adapters: Mapping[str, type[Adapter[Any]]],
        *,
        state: StateParts,
        field: FieldParts,
        cloud: CloudParts,
        restart: Restart,
        address: Callable[[], str],
    ) -> None:
        self._own = own
        self._adapters = adapters
        self._names = secret_field_names(adapters)
        self._forms = FileForms(adapters, self._names)
        self._state = state
        self._field = field
        self._cloud = cloud
        self._restart = restart
        self._address = address
        self._path = None if own.base.file is None else own.base.file.absolute()
        self._saved = own.base
        """What the file says that was loaded or saved here."""
        self._drafts: dict[str, _Draft] = {}
        self._texts: dict[str, str] = {}
        """The texts that pages were made of lately, by their names: masks in what comes back are those of one of them."""
        self._one_at_a_time = asyncio.Lock()
        self._worked: tuple[frozenset[tuple[str, str]], bool] | None = None
        """The buses that worked before the first change that is not in effect as a whole, and whether the hub did."""
        self._change: AppliedChange | None = None
        self._watching: asyncio.Task[None] | None = None
        self._restart_keys: Sequence[str] = ()
        self.in_use = FileInUse()
        """Tells the watch over the file what is in effect."""

    async def run(self) -> None:
        """Watch after the gateway has restarted with another configuration, until cancelled."""
        expected, self._restart.expected = self._restart.expected, None
        if expected is not None:
            self._change = AppliedChange(at=expected.at, what=expected.what, by=expected.by, problem=None, is_watched=True)
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

    # the file ----------------------------------------------------------------------------------------------------------

    async def file(self) -> ConfigurationFile:
        """Return the file as it is now."""
        return await asyncio.to_thread(self._file_now)

    def _file_now(self) -> ConfigurationFile:
        name = "" if self._path is None else str(self._path)
        try:
            now = read_text(self._path)
        except Unreadable as error:
            return ConfigurationFile(
                name=name, text="", etag="", problem=error.why, fix=error.fix, elsewhere=self._elsewhere(), change=self._change
            )
        path = self._known_path()
        shown = self._masked(now.text)
        refusal = why_unwritable(path.resolve())
        former = former_text(path)
        undo = former is not None and former != now.text
        undo_check = self._check(former) if undo and former is not None else None
        return ConfigurationFile(
            name=name,
            text=shown,
            etag=self._remember(now.text),
            has_secrets=shown != now.text,
            problem=None if refusal is None else refusal[0],
            fix="" if refusal is None else refusal[1],
            can_undo=undo_check is not None and not undo_check.mistakes,
            undo_lines=self._difference(now.text, former) if undo and former is not None else (),
            undo_problem=None
            if undo_check is None or not undo_check.mistakes
            else "The former text has mistakes: the gateway could not start with it.",
            restart_keys=self._restart_keys,
            elsewhere=self._elsewhere(),
            change=self._change,
        )

    def _elsewhere(self) -> Mapping[str, str]:
        """Return the keys whose values come from the environment or from the cloud."""
        found: dict[str, str] = {}
        settings = self._own.base.settings
        for name, section in ((name, getattr(settings, name)) for name in type(settings).model_fields):
            for key in getattr(type(section), "model_fields", ()):
                if (variable := variable_for((name, key))) is not None:
                    found[f"{name}.{key}"] = f"the environment variable {variable}"
        for name in ("models", "child", "adapter"):
            if (variable := variable_for((name,))) is not None:
                found[name] = f"the environment variable {variable} (or others that begin with {ENV_PREFIX}{name.upper()})"
        for place, value in self._own.effective.values.items():
            if value.origin is Origin.CLOUD:
                found[dotted(place)] = "the configuration in the cloud"
        return found

    # checking ----------------------------------------------------------------------------------------------------------

    async def check(self, text: str, *, etag: str = "", plans: bool = True) -> ConfigurationDraft:
        """Return what is wrong with a text in the place of the file's, and what it would change."""
        now = await asyncio.to_thread(read_text, self._path)
        begun_with = self._texts.get(etag, "") if etag else now.text
        draft = _Draft(id="", base=begun_with, checked=await self._checked(text, begun_with))
        return await self._shown(draft, plans=plans)

    async def edit(self, text: str, *, draft: str | None = None, etag: str = "") -> ConfigurationDraft:
        """Keep a text that a person is working on."""
        now = await asyncio.to_thread(read_text, self._path)
        begun_with = now.text if etag == stamp_of(now.text) else self._texts.get(etag, "")
        checked = await self._checked(text, begun_with)
        return await self._keep_checked(checked, draft, begun_with=begun_with)

    async def draft(self, draft: str) -> ConfigurationDraft | None:
        """Return a draft; `None` when there is none (any more)."""
        kept = self._drafts.get(draft)
        return None if kept is None else await self._shown(kept)

    async def discard(self, draft: str) -> None:
        """Forget a draft."""
        kept = self._drafts.pop(draft, None)
        if kept is not None:
            await _end_trials(kept)

    async def try_draft(self, draft: str) -> str | None:
        """Begin to try the buses that a draft adds or changes."""
        kept = self._drafts.get(draft)
        if kept is None:
            return NO_DRAFT
        if kept.checked.configuration is None:
            return HAS_MISTAKES
        if kept.trials is None:
            kept.trials = BusTrials(self._adapters, self._field.fleet, self._count_devices)
        kept.trials.begin(self._own.base, kept.checked.configuration)
        return None

    def _count_devices(self, bus: tuple[str, str]) -> tuple[int, int]:
        """Return how many devices of a bus answer, and how many it has."""
        children = [key for key, one in self._state.registry.children.items() if (one.child.adapter, one.child.bus) == bus]
        answering = sum(self._field.availability.of(key).reach is Reach.REACHABLE for key in children)
        return answering, len(children)

    async def _checked(self, edited: str, base: str) -> Checked:
        if len(edited.encode("utf-8", "surrogatepass")) > MOST_BYTES:
            raise TextTooLarge(TOO_LARGE)
        return await asyncio.to_thread(lambda: self._check(restore_masks(edited, base, self._names)))

    def _check(self, text: str) -> Checked:
        return check_text(text, self._known_path(), self._adapters, self._names)

    async def _shown(self, draft: _Draft, *, plans: bool = True) -> ConfigurationDraft:
        now = await asyncio.to_thread(read_text, self._path)
        checked = draft.checked
        plan = None
        if plans and checked.configuration is not None:
            known = draft.plan
            if known is None or known[0] != now.text or known[1] is not self._own.base:
                base = self._own.base
                draft.plan = known = now.text, base, await self._plan(now.text, checked.text, checked.configuration)
            plan = known[2]
        is_outdated = now.text != draft.base
        return ConfigurationDraft(
            id=draft.id,
            etag=self._remember(checked.text),
            text=self._masked(checked.text),
            is_outdated=is_outdated,
            mistakes=checked.mistakes,
            warnings=checked.warnings,
            plan=plan,
            trials=() if draft.trials is None else draft.trials.shown,
            is_trying=draft.trials is not None and draft.trials.is_running,
            theirs=await asyncio.to_thread(self._difference, draft.base, now.text) if is_outdated and draft.base else (),
        )

    async def _plan(self, before: str, after: str, new: Configuration) -> ConfigurationPlan:
        old = self._own.base
        entries = changed_entries(old, new)
        found = await asyncio.gather(*(buses_of(entry, self._adapters[entry.type]) for entry in entries))
        labels = {entry.entry: buses for entry, buses in zip(entries, found, strict=True)}
        return ConfigurationPlan(
            parts=planned_parts(old, new, self._field_now(), labels),
            warnings=[*plan_warnings(old, new, self._address()), *self._cloud_warnings(new)],
            lines=await asyncio.to_thread(self._difference, before, after),
        )

    def _cloud_warnings(self, new: Configuration) -> list[str]:
        if (why := self._own.base_problem(live_part(self._own.base, new))) is None:
            return []
        return [f"The configuration in the cloud does not fit this one, and is set aside when the gateway restarts: {why}"]

    def _field_now(self) -> FieldNow:
        names: dict[tuple[str, str], list[str]] = {bus: [] for bus in self._field.fleet.supervisors}
        for key, record in self._state.registry.children.items():
            bus = record.child.adapter, record.child.bus
            if bus in names:
                names[bus].append(self._state.registry.name_of(key) or key)
        return FieldNow(buses=names)

    # forms -------------------------------------------------------------------------------------------------------------

    async def sections(self, *, draft: str | None = None) -> Sequence[ConfigurationSection]:
        """Return the tables that have a form."""
        text, _ = await self._text_of(draft)
        return await self._in_forms(lambda: self._forms.sections(text))

    async def form(self, at: Sequence[str | int], *, draft: str | None = None, kind: str = "") -> ConfigurationForm | None:
        """Return the form of a table; `None` where there is none."""
        text, mistakes = await self._text_of(draft)
        elsewhere = self._elsewhere()
        form = await self._in_forms(lambda: self._forms.form(text, tuple(at), elsewhere=elsewhere, mistakes=mistakes, kind=kind))
        return None if form is None else replace(form, etag=self._remember(text), draft=draft if draft in self._drafts else None)

    async def fill_in(
        self, at: Sequence[str | int], answers: Mapping[str, str], *, draft: str | None, etag: str, kind: str = ""
    ) -> ConfigurationDraft | Mapping[str, str]:
        """Change a table by the answers of its form."""
        text = await self._named_text(draft, etag)
        elsewhere = self._elsewhere()
        given = {key: answer for key, answer in answers.items() if dotted((*at, key)) not in elsewhere}
        changed, problems = await self._in_forms(lambda: self._forms.filled_in(text, tuple(at), given, kind))
        return problems or await self._keep(changed, draft, begun_with=text)

    async def remove(self, at: Sequence[str | int], *, draft: str | None, etag: str) -> ConfigurationDraft:
        """Remove a table from a list."""
        text = await self._named_text(draft, etag)
        return await self._keep(await self._in_forms(lambda: self._forms.removed(text, tuple(at))), draft, begun_with=text)

    async def _in_forms(self, work: Callable[[], Made]) -> Made:
        try:
            return await asyncio.to_thread(work)
        except toml_editing.NotEditable as error:
            raise NotEditable(str(error)) from error

    async def _text_of(self, draft: str | None) -> tuple[str, Sequence[TextMistake]]:
        """Return the text of a draft, or of the file, with its secrets, and its mistakes."""
        kept = None if draft is None else self._drafts.get(draft)
        if kept is not None:
            return kept.checked.text, kept.checked.mistakes
        return (await asyncio.to_thread(read_text, self._path)).text, ()

    async def _named_text(self, draft: str | None, etag: str) -> str:
        """Return the text of a draft, or of the file, where it is the one that a form was made from.

        Raises:
            NotEditable: it is another one.
        """
        text, _ = await self._text_of(draft)
        if (draft is not None and draft not in self._drafts) or stamp_of(text) != etag:
            raise NotEditable(CHANGED)
        return text

    async def _keep(self, text: str, draft: str | None, *, begun_with: str) -> ConfigurationDraft:
        """Keep a text with its secrets as that of a draft."""
        return await self._keep_checked(await asyncio.to_thread(self._check, text), draft, begun_with=begun_with)

    async def _keep_checked(self, checked: Checked, draft: str | None, *, begun_with: str) -> ConfigurationDraft:
        kept = None if draft is None else self._drafts.pop(draft, None)
        if kept is None:
            kept = _Draft(id=secrets.token_urlsafe(9), base=begun_with, checked=checked)
        await _end_trials(kept)
        kept.checked, kept.trials, kept.plan = checked, None, None
        self._drafts[kept.id] = kept
        while len(self._drafts) > MOST_DRAFTS:
            self._drafts.pop(next(iter(self._drafts)))
        return await self._shown(kept)

    # saving ------------------------------------------------------------------------------------------------------------

    async def save_draft(self, draft: str, *, by: str) -> Saved:
        """Save a draft and put it into effect."""
        kept = self._drafts.get(draft)
        if kept is None:
            return Saved(problem=NO_DRAFT)
        await _end_trials(kept)  # the gateway may open the same ports now
        async with self._one_at_a_time:
            saved = await self._save(kept.checked, kept.base, by=by)
        if saved.problem is None:
            self._drafts.pop(draft, None)
        elif saved.is_conflict:
            kept.base = (await asyncio.to_thread(read_text, self._path)).text
        return saved

    async def save(self, text: str, *, etag: str, by: str) -> Saved:
        """Save a text and put it into effect."""
        async with self._one_at_a_time:
            try:
                now = await asyncio.to_thread(read_text, self._path)
            except Unreadable as error:
                return Saved(problem=str(error))
            if etag != stamp_of(now.text):
                return Saved(problem=CHANGED, is_conflict=True)
            try:
                checked = await self._checked(text, now.text)
            except TextTooLarge as error:
                return Saved(problem=str(error))
            return await self._save(checked, now.text, by=by)

    async def undo(self, *, by: str) -> Saved:
        """Go one step back: to the text before the latest change."""
        async with self._one_at_a_time:
            try:
                now = await asyncio.to_thread(read_text, self._path)
            except Unreadable as error:
                return Saved(problem=str(error))
            former = await asyncio.to_thread(former_text, self._known_path())
            if former is None or former == now.text:
                return Saved(problem=NO_STEP_BACK)
            checked = await asyncio.to_thread(self._check, former)
            if checked.configuration is None:
                return Saved(problem="The former text has mistakes: the gateway could not start with it. Nothing was changed.")
            return await self._replace(checked, checked.configuration, by=by, write=swap_with_copy, what="one step back")

    async def _save(self, checked: Checked, base: str, *, by: str) -> Saved:
        if checked.configuration is None:
            return Saved(problem=HAS_MISTAKES)
        try:
            now = await asyncio.to_thread(read_text, self._path)
        except Unreadable as error:
            return Saved(problem=str(error))
        if now.text != base:
            return Saved(problem=CHANGED, is_conflict=True)
        written = now.as_written(checked.text)
        return await self._replace(checked, checked.configuration, by=by, write=lambda file: replace_file(file, written), what="")

    async def _replace(self, checked: Checked, new: Configuration, *, by: str, write: Callable[[Path], None], what: str) -> Saved:
        """Write the file, and put what it says into effect as far as that is possible now."""
        path = self._known_path()
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
        return Saved(restart_keys=self._restart_keys)

    async def _put_into_effect(self, new: Configuration, what: str, by: str) -> None:
        watches = self._watches(new)
        if self._worked is None or not self._restart_keys:
            self._worked = self._works_now()
        live = live_part(self._own.base, new)
        self._saved = new
        try:
            await self._own.use_base(live)
        except ConfigurationRejected as error:
            log.warning("the configuration takes effect when the gateway restarts: %s", error)
            self._restart_keys = ["cloud"]
        else:
            parts = planned_parts(self._own.base, new, FieldNow(), {})
            self._restart_keys = [part.key for part in parts if part.effect is Effect.RESTART]
        self._change = AppliedChange(at=datetime.now(UTC), what=what, by=by, problem=None, is_watched=True)
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
            self._note(problem=None if self._change is None else self._change.problem, is_watched=False)

        self._watching = asyncio.create_task(watched())

    def _note(self, *, problem: str | None, is_watched: bool) -> None:
        change = self._change
        if change is not None:
            self._change = replace(change, problem=problem, is_watched=is_watched)

    def _notice(self) -> str | None:
        keys = self._restart_keys
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
            what="a restart" if self._change is None else self._change.what,
            by=by,
            at=datetime.now(UTC),
        )
        log.warning("the gateway restarts with the configuration as saved, as asked by %s", by)
        self._state.timeline.record(EventKind.RESTART, f"restarts with the configuration as saved, as asked by {by}")
        asyncio.get_running_loop().call_later(0.5, self._restart.begin_anew, "its configuration was changed on the page")

    # texts -------------------------------------------------------------------------------------------------------------

    def _known_path(self) -> Path:
        if self._path is None:
            raise Unreadable("There is no configuration file", "The environment gives the configuration: change it there")
        return self._path

    def _masked(self, text: str) -> str:
        return mask_secrets(text, self._names).text

    def _remember(self, text: str) -> str:
        """Keep a text that a page is made of, and return its name."""
        stamp = stamp_of(text)
        self._texts.pop(stamp, None)
        self._texts[stamp] = text
        while len(self._texts) > MOST_TEXTS:
            self._texts.pop(next(iter(self._texts)))
        return stamp

    def _difference(self, before: str, after: str) -> list[DiffLine]:
        return [DiffLine(kind, text) for kind, text in text_difference(before, after, self._names)]


async def _end_trials(draft: _Draft) -> None:
    if draft.trials is not None:
        await draft.trials.end()


def _keys_in_words(keys: Sequence[str]) -> str:
    if not keys:
        return "no setting"
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more
