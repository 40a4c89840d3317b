"""Edit the configuration file of the running gateway for its page: what it says, forms, drafts, saving and one step back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gateway.adapter import Adapter
from gateway.config import toml_editing
from gateway.config.cloud_overlay import Origin
from gateway.config.mistakes import ENV_PREFIX, dotted, variable_for
from gateway.config.writing import why_unwritable
from gateway.runtime.configuration.editable_file import EditableFile
from gateway.runtime.configuration.file_changes import FileChanges
from gateway.runtime.configuration.file_drafts import CHANGED, NO_DRAFT, FileDrafts
from gateway.runtime.configuration.file_forms import FileForms, same_table
from gateway.runtime.configuration.file_text import Unreadable, stamp_of
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.configuration.page_address import former_page
from gateway.runtime.file_watch import FileInUse
from gateway.runtime.parts import CloudParts, FieldParts
from gateway.runtime.restart import Restart
from gateway.state.parts import StateParts
from gateway.status.configuration_view import (
    ConfigurationDraft,
    ConfigurationFile,
    ConfigurationForm,
    ConfigurationSection,
    NotEditable,
    Saved,
    TextTooLarge,
)
from gateway.status.listening.former_address import keep_former_address

Made = TypeVar("Made")

UNDO_HAS_MISTAKES = "The former text has mistakes: the gateway could not start with it."


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
        self._restart = restart
        self._address = address
        self._file = EditableFile(own.base.file, adapters)
        self._forms = FileForms(adapters, self._file.secret_names)
        self._drafts = FileDrafts(self._file, own, adapters, field=field, registry=state.registry, address=address)
        self._changes = FileChanges(self._file, own, state=state, field=field, cloud=cloud, restart=restart)

    @property
    def in_use(self) -> FileInUse:
        """What tells the watch over the file what is in effect."""
        return self._changes.in_use

    async def run(self) -> None:
        """Watch after the gateway has restarted with another configuration, until cancelled."""
        await self._changes.run()

    async def file(self) -> ConfigurationFile:
        """Return the file as it is now."""
        return await asyncio.to_thread(self._file_now)

    def _file_now(self) -> ConfigurationFile:
        file, change = self._file, self._changes.change
        try:
            now = file.read().text
        except Unreadable as error:
            return ConfigurationFile(
                name=file.name, text="", etag="", problem=error.why, fix=error.fix, elsewhere=self._elsewhere(), change=change
            )
        shown = file.masked(now)
        refusal = why_unwritable(file.path.resolve())
        former = file.former()
        undo = None if former is None or former == now else file.check(former)
        return ConfigurationFile(
            name=file.name,
            text=shown,
            etag=self._drafts.remember(now),
            has_secrets=shown != now,
            problem=None if refusal is None else refusal[0],
            fix="" if refusal is None else refusal[1],
            can_undo=undo is not None and not undo.mistakes,
            undo_lines=() if undo is None else file.difference(now, undo.text),
            undo_problem=UNDO_HAS_MISTAKES if undo is not None and undo.mistakes else None,
            restart_keys=self._changes.restart_keys,
            elsewhere=self._elsewhere(),
            change=change,
            moves_to=self._changes.moves_to,
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

    async def check(self, text: str, *, etag: str = "", plans: bool = True) -> ConfigurationDraft:
        """Return what is wrong with a text in the place of the file's, and what it would change."""
        return await self._drafts.check(text, etag=etag, plans=plans)

    async def edit(self, text: str, *, draft: str | None = None, etag: str = "") -> ConfigurationDraft:
        """Keep a text that a person is working on."""
        return await self._drafts.edit(text, draft=draft, etag=etag)

    async def draft(self, draft: str) -> ConfigurationDraft | None:
        """Return a draft; `None` when there is none (any more)."""
        kept = self._drafts.find(draft)
        return None if kept is None else await self._drafts.shown(kept)

    async def discard(self, draft: str) -> None:
        """Forget a draft."""
        await self._drafts.discard(draft)

    async def try_draft(self, draft: str) -> str | None:
        """Begin to try the buses that a draft adds or changes."""
        return self._drafts.begin_trials(draft)

    async def sections(self, *, draft: str | None = None) -> Sequence[ConfigurationSection]:
        """Return the tables that have a form."""
        text, _ = await self._drafts.text_of(draft)
        return await self._in_forms(lambda: self._forms.sections(text))

    async def form(self, at: Sequence[str | int], *, draft: str | None = None, kind: str = "") -> ConfigurationForm | None:
        """Return the form of a table; `None` where there is none."""
        text, mistakes = await self._drafts.text_of(draft)
        elsewhere = self._elsewhere()
        form = await self._in_forms(lambda: self._forms.form(text, tuple(at), elsewhere=elsewhere, mistakes=mistakes, kind=kind))
        return (
            None
            if form is None
            else replace(form, etag=self._drafts.remember(text), draft=None if self._drafts.find(draft) is None else draft)
        )

    async def fill_in(
        self, at: Sequence[str | int], answers: Mapping[str, str], *, draft: str | None, etag: str, kind: str = ""
    ) -> ConfigurationDraft | Mapping[str, str]:
        """Change a table by the answers of its form."""
        begun_with, merged_from = await self._begun_with(at, draft, etag)
        elsewhere = self._elsewhere()
        given = {key: answer for key, answer in answers.items() if dotted((*at, key)) not in elsewhere}
        changed, problems = await self._in_forms(lambda: self._forms.filled_in(begun_with, tuple(at), given, kind))
        if problems:
            return problems
        return await self._drafts.keep(changed, draft, begun_with=begun_with, merged_from=merged_from)

    async def remove(self, at: Sequence[str | int], *, draft: str | None, etag: str) -> ConfigurationDraft:
        """Remove a table from a list."""
        begun_with, merged_from = await self._begun_with(at, draft, etag)
        changed = await self._in_forms(lambda: self._forms.removed(begun_with, tuple(at)))
        return await self._drafts.keep(changed, draft, begun_with=begun_with, merged_from=merged_from)

    async def _begun_with(self, at: Sequence[str | int], draft: str | None, etag: str) -> tuple[str, str | None]:
        """Return the text that the answers of a form go into, and the one that the form was made from where that differs.

        It is the text of now where the table of the form is the same in it; otherwise the former one, so that a person compares.

        Raises:
            NotEditable: the draft has changed in another window, or nobody knows what the form was made from.
        """
        formed, text = await self._drafts.texts_of_form(draft, etag)
        if text == formed:
            return formed, None
        if await self._in_forms(lambda: same_table(formed, text, tuple(at))):
            return text, formed
        if self._drafts.find(draft) is not None:
            raise NotEditable(CHANGED)  # in another window of the same draft
        return formed, None

    async def _in_forms(self, work: Callable[[], Made]) -> Made:
        try:
            return await asyncio.to_thread(work)
        except toml_editing.NotEditable as error:
            raise NotEditable(str(error)) from error

    async def save_draft(self, draft: str, *, by: str, over: str = "") -> Saved:
        """Save a draft and put it into effect."""
        kept = self._drafts.find(draft)
        if kept is None:
            return Saved(problem=NO_DRAFT)
        await kept.end_trials()  # the gateway may open the same ports now
        try:
            now = await self._file.text()
        except Unreadable as error:
            return Saved(problem=str(error))
        base = now if over == stamp_of(now) else kept.base
        saved = await self._changes.save(kept.checked, base, by=by)
        await self._keep_address(saved)
        if saved.problem is None:
            await self._drafts.discard(draft)
        return saved

    async def save(self, text: str, *, etag: str, by: str) -> Saved:
        """Save a text and put it into effect."""
        try:
            now = await self._file.text()
            if etag != stamp_of(now):
                return Saved(problem=CHANGED, is_conflict=True)
            checked = await self._file.check_edited(text, now)
        except (Unreadable, TextTooLarge) as error:
            return Saved(problem=str(error))
        saved = await self._changes.save(checked, now, by=by)
        await self._keep_address(saved)
        return saved

    async def undo(self, *, by: str) -> Saved:
        """Go one step back: to the text before the latest change."""
        undone = await self._changes.undo(by=by)
        await self._keep_address(undone)
        return undone

    async def _keep_address(self, saved: Saved) -> None:
        """Keep where the page is, if it moves: another process may find that it cannot be served at the new address."""
        settings = self._own.base.settings
        former = former_page(settings.status, self._address())
        if saved.problem is None and self._changes.moves_to and former is not None:
            await asyncio.to_thread(keep_former_address, settings.store.path, former)

    def begin_anew(self, *, by: str) -> None:
        """Build the gateway anew in this process, with the configuration as it was saved."""
        self._restart.former_page = former_page(self._own.base.settings.status, self._address())
        self._changes.begin_anew(by=by)
