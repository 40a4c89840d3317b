"""Define what the page needs to edit the configuration of the gateway; `gateway.runtime.configuration` implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

MOST_BYTES: Final = 1_000_000
"""A larger text is no configuration that is edited on a page."""


class NotEditable(Exception):
    """The file cannot be edited here; the text says why, as a sentence."""


class TextTooLarge(Exception):
    """A text is larger than a configuration is; the text says so, as a sentence."""


class Effect(StrEnum):
    """When a change counts."""

    AT_ONCE = "at once"
    REOPENS = "reopens"
    """At once, and its buses are opened anew."""
    RESTART = "restart"
    """When the gateway has restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMistake:
    """What is wrong with a text, or probably not meant. It never quotes a secret."""

    line: int | None
    """From 1; `None` where it belongs to no line."""
    where: str
    """The key, as `adapter[0].hosts[3].port`, or the environment variable."""
    wrong: str
    right: str
    is_warning: bool = False
    """Whether the gateway works with it all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPart:
    """One value that a new text changes."""

    key: str
    before: str
    """Empty where there is none; a secret is masked."""
    after: str
    effect: Effect
    note: str = ""
    """What it means for buses and devices, as a sentence."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a comparison of two texts."""

    kind: str
    """`+` added, `-` removed, ` ` the same, `…` lines that are left out."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationPlan:
    """What a new text changes, before it is saved."""

    parts: Sequence[PlannedPart]
    warnings: Sequence[str]
    """What a person should know before it is saved, such as that this page moves."""
    lines: Sequence[DiffLine]
    """The comparison of the texts, without secrets."""

    @property
    def has_buses(self) -> bool:
        """Whether it concerns any bus."""
        return any(part.effect is Effect.REOPENS for part in self.parts)

    @property
    def restart_keys(self) -> list[str]:
        """The keys that need a restart."""
        return [part.key for part in self.parts if part.effect is Effect.RESTART]


class TrialState(StrEnum):
    """How a try of a bus stands."""

    RUNS = "runs"
    ANSWERS = "answers"
    QUIET = "quiet"
    """It opens, and no device has answered."""
    IN_USE = "in use"
    """The gateway uses it right now, so it is not opened twice."""
    FAILS = "fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusTrial:
    """What was seen when a bus was tried."""

    entry: str
    bus: str
    state: TrialState
    text: str
    """In plain words."""
    asked: int = 0
    to_ask: int | None = None
    devices: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDraft:
    """A text that a person is working on, which is not saved. Its secrets are masked."""

    id: str
    etag: str
    """Names its text."""
    text: str
    is_outdated: bool
    """Whether the file has changed since it was begun."""
    mistakes: Sequence[TextMistake]
    warnings: Sequence[TextMistake]
    plan: ConfigurationPlan | None
    """`None` while there is a mistake."""
    trials: Sequence[BusTrial]
    is_trying: bool
    theirs: Sequence[DiffLine] = ()
    """What has changed in the file since it was begun."""
    is_merged: bool = False
    """Whether the answers of a form went into the file as others have changed it meanwhile, in other tables."""
    over: str = ""
    """Names the text of the file that it would replace, where it is outdated: who saves it has seen that text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChange:
    """The latest change of the configuration in this run, and what was seen after it."""

    at: datetime
    what: str
    by: str
    problem: str | None
    """What became worse; `None` while nothing has."""
    is_watched: bool
    """Whether buses and hub are still being watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """The configuration file as it is now. Its secrets are masked."""

    name: str
    """Its path; empty where there is none."""
    text: str
    etag: str
    """Names what it says."""
    has_secrets: bool = False
    problem: str | None = None
    """Why it cannot be edited here; `None` when it can."""
    fix: str = ""
    can_undo: bool = False
    """Whether there is a former text that differs."""
    undo_lines: Sequence[DiffLine] = ()
    """What one step back would change."""
    undo_problem: str | None = None
    """Why one step back is not possible, although there is a former text."""
    restart_keys: Sequence[str] = ()
    """What was saved and counts once the gateway has restarted."""
    elsewhere: Mapping[str, str] = ()  # type: ignore[assignment]  # an empty mapping, which nobody changes
    """Keys whose values come from elsewhere -> from where, in words."""
    change: AppliedChange | None = None
    moves_to: str = ""
    """The address of this page once the gateway has restarted, if that is another one; its host may stand for every address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The outcome of a save or of a step back."""

    problem: str | None = None
    """Why nothing was saved; `None` when it was."""
    is_conflict: bool = False
    """Whether the file has changed meanwhile."""
    restart_keys: Sequence[str] = ()
    """What counts once the gateway has restarted; the rest is in effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """A key of a table as a form asks for it."""

    key: str
    kind: str
    """`text`, `integer`, `number`, `boolean`, `choice`, `secret`, `lines` or `toml`."""
    description: str
    value: str
    """What it has now, as it is entered; empty where it is left out. A secret is never in it."""
    is_set: bool
    default: str = ""
    """What holds when it is left out."""
    choices: Sequence[str] = ()
    minimum: str = ""
    maximum: str = ""
    unit: str = ""
    is_required: bool = False
    from_elsewhere: str = ""
    """Where its value comes from, when that is not this text: it cannot be changed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """A table within the table of a form."""

    name: str
    """What a person tells it by."""
    at: tuple[str | int, ...]
    can_remove: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPart:
    """A key of a table that holds further tables."""

    key: str
    description: str
    rows: Sequence[FormRow]
    new_at: tuple[str | int, ...] | None
    """The place of a further one; `None` where no further one can be added."""
    is_named: bool = False
    """Whether a further one needs a name, which completes `new_at`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationForm:
    """A table of the configuration as a form."""

    at: tuple[str | int, ...]
    title: str
    fields: Sequence[FormField]
    parts: Sequence[FormPart]
    etag: str
    """Names the text that it was made from."""
    draft: str | None
    is_new: bool
    kind: str = ""
    mistakes: Mapping[str, Sequence[TextMistake]] = ()  # type: ignore[assignment]  # an empty mapping, which nobody changes
    """What is wrong, by key; under an empty key what concerns none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationSection:
    """A table of the configuration that has a form."""

    name: str
    at: tuple[str | int, ...]
    description: str
    facts: str
    """What is set in it, in a few words."""
    kind: str = ""
    """The type of a new entry; empty for a table that is there."""
    can_remove: bool = False


class ConfigurationView(Protocol):
    """The configuration of the gateway, as its page edits it. `by` says who asks, in words."""

    async def file(self) -> ConfigurationFile:
        """Return the file as it is now."""

    async def check(self, text: str, *, etag: str = "", plans: bool = True) -> ConfigurationDraft:
        """Return what is wrong with a text in the place of the file's, and what it would change; nothing is kept.

        Args:
            text: the text; see `edit`.
            etag: names the text that its masks are of; by default that of the file.
            plans: whether to say what it would change, which takes longer.

        Raises:
            NotEditable: there is no file, or it cannot be read.
            TextTooLarge: it is.
        """

    async def edit(self, text: str, *, draft: str | None = None, etag: str = "") -> ConfigurationDraft:
        """Keep a text that a person is working on, in the place of that of a draft, or as a new one.

        Args:
            text: the text; a mask in it stands for the secret that it masks in the text that it was made from.
            draft: the id of the draft; a new one is begun where there is none.
            etag: names the text that it was made from.

        Raises:
            NotEditable: there is no file, or it cannot be read.
            TextTooLarge: it is.
        """

    async def draft(self, draft: str) -> ConfigurationDraft | None:
        """Return a draft; `None` when there is none (any more).

        Raises:
            NotEditable: there is no file, or it cannot be read.
        """

    async def discard(self, draft: str) -> None:
        """Forget a draft."""

    async def try_draft(self, draft: str) -> str | None:
        """Begin to try the buses that a draft adds or changes; return why that is not possible."""

    async def save_draft(self, draft: str, *, by: str, over: str = "") -> Saved:
        """Save a draft and put it into effect; where the file has changed meanwhile only if `over` names what it says now."""

    async def save(self, text: str, *, etag: str, by: str) -> Saved:
        """Save a text and put it into effect; `etag` names the text of the file that it replaces."""

    async def undo(self, *, by: str) -> Saved:
        """Go one step back: to the text before the latest change."""

    def begin_anew(self, *, by: str) -> None:
        """Build the gateway anew in this process, with the configuration as it was saved."""

    async def form(self, at: Sequence[str | int], *, draft: str | None = None, kind: str = "") -> ConfigurationForm | None:
        """Return the form of a table; `None` where there is none.

        Args:
            at: its place, as `("adapter", 0, "hosts", 3)`; an index behind the last item stands for a new one.
            draft: the id of the draft that it is of; by default of the file.
            kind: the type of a new entry.

        Raises:
            NotEditable: the text cannot be changed by forms; it says why.
        """

    async def fill_in(
        self, at: Sequence[str | int], answers: Mapping[str, str], *, draft: str | None, etag: str, kind: str = ""
    ) -> ConfigurationDraft | Mapping[str, str]:
        """Change a table by the answers of its form.

        Args:
            at: its place.
            answers: what the fields have now, by key; one that is left out stays as it is.
            draft: the id of the draft; a new one is begun where there is none.
            etag: names the text that the form was made from.
            kind: the type of a new entry.

        Returns:
            The draft, or what is wrong with single answers, by key.

        Raises:
            NotEditable: the text cannot be changed by forms, or is another one now.
        """

    async def remove(self, at: Sequence[str | int], *, draft: str | None, etag: str) -> ConfigurationDraft:
        """Remove a table from a list.

        Raises:
            NotEditable: as for `fill_in`.
        """

    async def sections(self, *, draft: str | None = None) -> Sequence[ConfigurationSection]:
        """Return the tables that have a form.

        Raises:
            NotEditable: the text cannot be changed by forms; it says why.
        """
