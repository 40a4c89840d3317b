"""Keep the drafts of the configuration file, and the texts that pages were made of; say what is wrong, and what would change."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.config.settings import Configuration
from gateway.models import Reach
from gateway.runtime.configuration.bus_preview import buses_of
from gateway.runtime.configuration.bus_trials import BusTrials
from gateway.runtime.configuration.editable_file import EditableFile
from gateway.runtime.configuration.file_plan import FieldNow, changed_entries, plan_warnings, planned_parts
from gateway.runtime.configuration.file_text import Checked, stamp_of
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.configuration.live_part import live_part
from gateway.runtime.configuration.page_address import why_not_served
from gateway.runtime.parts import FieldParts
from gateway.state.registry import Registry
from gateway.status.configuration_view import ConfigurationDraft, ConfigurationPlan, NotEditable, TextMistake

MOST_DRAFTS: Final = 8
"""The draft that was touched longest ago is forgotten for a further one."""
MOST_TEXTS: Final = 16

CHANGED: Final = "The file has changed since this text was begun. Nothing was saved; compare, and save again."
HAS_MISTAKES: Final = "The text has mistakes. Nothing was saved."
NO_DRAFT: Final = "This draft is not kept any more: the gateway has restarted, or others have been begun since."


@dataclass(slots=True)
class Draft:
    """A text that a person is working on, with its secrets."""

    id: str
    base: str
    """What the file said when it was begun."""
    checked: Checked
    merged_from: str | None = None
    """What the file said when the form was opened whose answers went into a later text; `None` where that is the same."""
    trials: BusTrials | None = None
    plan: tuple[str, Configuration, ConfigurationPlan] | None = None
    """The latest plan, with the text and the configuration in effect that it compares with."""

    async def end_trials(self) -> None:
        """Close the buses that are being tried."""
        if self.trials is not None:
            await self.trials.end()


class FileDrafts:
    """The drafts of one file.

    Args:
        file: the file.
        own: the configuration in effect.
        adapters: the adapter classes, by `type`.
        field: the buses and the children.
        registry: the children that are known.
        address: returns the address of the page as it is served now.
    """

    def __init__(
        self,
        file: EditableFile,
        own: GatewayConfiguration,
        adapters: Mapping[str, type[Adapter[Any]]],
        *,
        field: FieldParts,
        registry: Registry,
        address: Callable[[], str],
    ) -> None:
        self._file = file
        self._own = own
        self._adapters = adapters
        self._field = field
        self._registry = registry
        self._address = address
        self._drafts: dict[str, Draft] = {}
        self._texts: dict[str, str] = {}
        """The texts that pages were made of lately, by their names: masks in what comes back are those of one of them."""

    def find(self, draft: str | None) -> Draft | None:
        """Return a draft; `None` when there is none (any more)."""
        return None if draft is None else self._drafts.get(draft)

    def remember(self, text: str) -> str:
        """Keep a text that a page is made of, and return its name."""
        stamp = stamp_of(text)
        self._texts.pop(stamp, None)
        self._texts[stamp] = text
        while len(self._texts) > MOST_TEXTS:
            self._texts.pop(next(iter(self._texts)))
        return stamp

    async def check(self, text: str, *, etag: str, plans: bool) -> ConfigurationDraft:
        """Return what is wrong with a text in the place of the file's, and what it would change."""
        now = await self._file.text()
        begun_with = self._texts.get(etag, "") if etag else now
        draft = Draft(id="", base=begun_with, checked=await self._file.check_edited(text, begun_with))
        return await self.shown(draft, plans=plans)

    async def edit(self, text: str, *, draft: str | None, etag: str) -> ConfigurationDraft:
        """Keep a text that a person is working on."""
        now = await self._file.text()
        begun_with = now if etag == stamp_of(now) else self._texts.get(etag, "")
        checked = await self._file.check_edited(text, begun_with)
        return await self._keep_checked(checked, draft, begun_with=begun_with)

    async def keep(self, text: str, draft: str | None, *, begun_with: str, merged_from: str | None = None) -> ConfigurationDraft:
        """Keep a text with its secrets as that of a draft."""
        checked = await asyncio.to_thread(self._file.check, text)
        return await self._keep_checked(checked, draft, begun_with=begun_with, merged_from=merged_from)

    async def _keep_checked(
        self, checked: Checked, draft: str | None, *, begun_with: str, merged_from: str | None = None
    ) -> ConfigurationDraft:
        kept = None if draft is None else self._drafts.pop(draft, None)
        if kept is None:
            kept = Draft(id=secrets.token_urlsafe(9), base=begun_with, checked=checked)
        await kept.end_trials()
        kept.checked, kept.trials, kept.plan = checked, None, None
        kept.merged_from = merged_from or kept.merged_from
        self._drafts[kept.id] = kept
        while len(self._drafts) > MOST_DRAFTS:
            self._drafts.pop(next(iter(self._drafts)))
        return await self.shown(kept)

    async def discard(self, draft: str) -> None:
        """Forget a draft."""
        kept = self._drafts.pop(draft, None)
        if kept is not None:
            await kept.end_trials()

    def begin_trials(self, draft: str) -> str | None:
        """Begin to try the buses that a draft adds or changes; return why that is not possible."""
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
        children = [key for key, one in self._registry.children.items() if (one.child.adapter, one.child.bus) == bus]
        answering = sum(self._field.availability.of(key).reach is Reach.REACHABLE for key in children)
        return answering, len(children)

    async def text_of(self, draft: str | None) -> tuple[str, Sequence[TextMistake]]:
        """Return the text of a draft, or of the file, with its secrets, and its mistakes."""
        kept = self.find(draft)
        return (await self._file.text(), ()) if kept is None else (kept.checked.text, kept.checked.mistakes)

    async def texts_of_form(self, draft: str | None, etag: str) -> tuple[str, str]:
        """Return the text that a form was made from, and what the draft, or the file without it, says now.

        Raises:
            NotEditable: what it was made from is not known any more.
        """
        now, _ = await self.text_of(draft)
        formed = now if stamp_of(now) == etag else self._texts.get(etag)
        if formed is None:
            raise NotEditable(CHANGED)
        return formed, now

    async def shown(self, draft: Draft, *, plans: bool = True) -> ConfigurationDraft:
        """Return a draft as a page shows it: without secrets, compared with the file as it is now."""
        now = await self._file.text()
        checked = draft.checked
        is_outdated = now != draft.base
        return ConfigurationDraft(
            plan=await self._plan(draft, now) if plans else None,
            id=draft.id,
            etag=self.remember(checked.text),
            text=self._file.masked(checked.text),
            is_outdated=is_outdated,
            over=stamp_of(now) if is_outdated else "",
            mistakes=checked.mistakes,
            warnings=checked.warnings,
            trials=() if draft.trials is None else draft.trials.shown,
            is_trying=draft.trials is not None and draft.trials.is_running,
            theirs=()
            if (before := _before_theirs(draft, now)) is None
            else await asyncio.to_thread(self._file.difference, before, now),
            is_merged=not is_outdated and draft.merged_from is not None,
        )

    async def _plan(self, draft: Draft, now: str) -> ConfigurationPlan | None:
        new, base = draft.checked.configuration, self._own.base
        if new is None:
            return None
        if draft.plan is None or draft.plan[0] != now or draft.plan[1] is not base:
            draft.plan = now, base, await self._compared(now, draft.checked.text, new)
        return draft.plan[2]

    async def _compared(self, before: str, after: str, new: Configuration) -> ConfigurationPlan:
        old = self._own.base
        entries = changed_entries(old, new)
        found = await asyncio.gather(*(buses_of(entry, self._adapters[entry.type]) for entry in entries))
        labels = {entry.entry: buses for entry, buses in zip(entries, found, strict=True)}
        unserved = await why_not_served(old.settings.status, new.settings.status, self._address())
        return ConfigurationPlan(
            parts=planned_parts(old, new, self._field_now(), labels),
            warnings=[
                *([unserved] if unserved else []),
                *plan_warnings(old, new, self._address()),
                *self._cloud_warnings(new),
            ],
            lines=await asyncio.to_thread(self._file.difference, before, after),
        )

    def _cloud_warnings(self, new: Configuration) -> list[str]:
        if (why := self._own.base_problem(live_part(self._own.base, new))) is None:
            return []
        return [f"The configuration in the cloud does not fit this one, and is set aside when the gateway restarts: {why}"]

    def _field_now(self) -> FieldNow:
        names: dict[tuple[str, str], list[str]] = {bus: [] for bus in self._field.fleet.supervisors}
        for key, record in self._registry.children.items():
            bus = record.child.adapter, record.child.bus
            if bus in names:
                names[bus].append(self._registry.name_of(key) or key)
        return FieldNow(buses=names)


def _before_theirs(draft: Draft, now: str) -> str | None:
    """Return what the file said before others changed it, while a draft was made; `None` where none is known."""
    return (draft.base or None) if now != draft.base else draft.merged_from
