"""Set up a gateway on its page: ask for the key and the models, show what would be written, and write it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from gateway.adapter import Adapter
from gateway.cloud.client import CloudAccess
from gateway.cloud.key_check import KeyAnswer, check_hardware_key
from gateway.config.file import file_exists
from gateway.config.loading import load_text
from gateway.config.mistakes import variable_for
from gateway.config.settings import Configuration, StoreSection
from gateway.config.writing import copy_of, keep_copy, mode_for, why_unwritable, write_file
from gateway.errors import SettingsError, SettingsProblem, StoreError
from gateway.first_start.config_proposal import Answers, config_from, is_untouched_proposal
from gateway.first_start.file_correction import FileCorrection, shown_problem
from gateway.first_start.search import SetupSearches
from gateway.first_start.setup_answers import USUAL_CLOUD, SetupAnswers, answers_from
from gateway.first_start.setup_form import decisions_of, setup_form
from gateway.models import Found
from gateway.state.opening import opened_state
from gateway.state.parts import StateParts
from gateway.state.records import Decision
from gateway.state.store import Store
from gateway.status.setup_view import FileToCorrect, KeyVerdict, SetupForm, SetupProblem, SetupReview

log = logging.getLogger(__name__)

MOUNTED_KEY: Final = Path("/run/secrets/hardware_key")
"""Where docker-compose.yml mounts the key of who has named a file for it."""

KEY_FILE: Final = "hardware_key"
CHANGED: Final = (
    "The set-up has changed since this page was opened, perhaps in another window. Nothing was written: look at it again."
)
INCOMPLETE: Final = "Answers are missing. Nothing was written."


class SetUp:
    """The set-up of one gateway. Its answers are in memory only, the same for every browser; the hardware key is never shown."""

    def __init__(
        self,
        file: Path,
        adapters: Mapping[str, type[Adapter[Any]]],
        searches: SetupSearches,
        *,
        store: Callable[[], Path | None],
        mistakes: Callable[[], Sequence[SettingsProblem]],
        on_saved: Callable[[], None],
    ) -> None:
        """Set up the gateway that waits for this file.

        Args:
            file: the configuration file.
            adapters: the adapter classes that can be used, by their type.
            searches: what was found.
            store: returns the file of the store where it is not the default one.
            mistakes: returns those in the file as it is.
            on_saved: is called when the file was written.
        """
        self._file = file
        self._adapters = adapters
        self._searches = searches
        self._store = store
        self._on_saved = on_saved
        self._answers = SetupAnswers()
        self._verdict: tuple[KeyVerdict, str] = (KeyVerdict.UNTRIED, "")
        self._one_at_a_time = asyncio.Lock()
        self._correction = FileCorrection(file, adapters, mistakes=mistakes, on_saved=on_saved)

    # the questions -----------------------------------------------------------------------------------------------------

    def form(self) -> SetupForm:
        """Return the questions with the answers so far."""
        return setup_form(self._answers, list(self._searches.found), key_from=key_given_by())

    async def answer(self, fields: Mapping[str, str]) -> bool:
        """Take the answers of the form; whether they are complete and right. What is wrong is in `form()`."""
        async with self._one_at_a_time:
            found = [one for _, one in self._searches.found]
            answers, key = answers_from(self._answers, fields, found, needs_key=key_given_by() is None)
            key = key or (answers.key if _cloud_of(answers) != _cloud_of(self._answers) else None)
            if key is not None and "entry_url" not in answers.problems:
                answers = await self._try_key(answers, key)
            elif key is not None:
                answers = replace(answers, key=key)
            self._answers = answers
            return not answers.problems

    async def _try_key(self, answers: SetupAnswers, key: SecretStr) -> SetupAnswers:
        access = CloudAccess(entry_url=answers.entry_url, allow_plain_http=answers.allow_plain_http)
        answer = await check_hardware_key(access, key)
        self._verdict = _verdict_of(answer, answers.entry_url)
        if answer.is_refused:
            problem = f"The cloud refuses this key: {answer.text}. Copy it again from the gateway's model in the Partner Portal."
            return replace(answers, key=None, problems={**answers.problems, "hardware_key": problem})
        return replace(answers, key=key)

    # what would be written ---------------------------------------------------------------------------------------------

    async def review(self) -> SetupReview | None:
        """Return what would be written; `None` while answers are missing."""
        answers, given = self._answers, key_given_by()
        if not answers.is_given or answers.problems or (answers.key is None and given is None):
            return None
        return await asyncio.to_thread(self._review, answers, given)

    def _review(self, answers: SetupAnswers, given: str | None) -> SetupReview:
        refusal = why_unwritable(self._file)
        key_file = None if answers.key is None else self._key_file(is_unwritable=refusal is not None)
        text = self._text(answers, key_file, given)
        try:
            load_text(text, self._file, self._adapters, for_cloud=False)
            problems: tuple[SetupProblem, ...] = ()
        except SettingsError as error:
            problems = tuple(shown_problem(one, self._file) for one in error.problems)
        decisions, found = decisions_of(answers, list(self._searches.found)), [one for _, one in self._searches.found]
        admitted = sum(1 for one in found if _is_admitted(one, answers, decisions))
        left_out = sum(1 for _, decision in decisions.values() if decision is Decision.IGNORE)
        verdict, said = self._verdict if answers.key is not None else (KeyVerdict.UNTRIED, "")
        decided = "".join(f"{key}={decision}" for key, (_, decision) in sorted(decisions.items()))
        return SetupReview(
            revision=hashlib.blake2s(f"{text}\n{decided}".encode("utf-8", "surrogatepass"), digest_size=9).hexdigest(),
            file=str(self._file),
            text=text,
            key_file=None if key_file is None else str(key_file),
            verdict=verdict,
            verdict_text=said,
            admitted=admitted,
            waiting=len(found) - admitted - left_out,
            left_out=left_out,
            buses=text.count("\n[[adapter]]\n"),
            unwritable=None if refusal is None else refusal[0],
            unwritable_fix=None if refusal is None else refusal[1],
            kept_as=str(copy_of(self._file)) if self._keeps_former() else None,
            problems=problems,
        )

    def _text(self, answers: SetupAnswers, key_file: Path | None, given: str | None) -> str:
        usual = answers.entry_url == USUAL_CLOUD
        if key_file is None and given == str(MOUNTED_KEY):
            key_file = MOUNTED_KEY
        choices = Answers(
            name=answers.name,
            key_file=None if key_file is None else str(key_file),
            entry_url=None if usual else answers.entry_url,
            allow_plain_http=answers.entry_url.startswith("http://"),
            models=answers.models_in_use,
            admits_later=answers.admits_later,
            kept=self._searches.kinds_by_hand,
        )
        store = self._store()
        return config_from(choices, self._searches.tables, self._searches.buses, store=None if store is None else str(store))

    def _key_file(self, *, is_unwritable: bool) -> Path:
        """Return where the key is kept: beside the configuration or, if nothing can be written there, beside the store."""
        folder = self._file.parent
        if is_unwritable:
            folder = (self._store() or StoreSection().path).absolute().parent
        return folder / KEY_FILE

    def _keeps_former(self) -> bool:
        try:
            return not is_untouched_proposal(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return file_exists(self._file)

    # writing it --------------------------------------------------------------------------------------------------------

    async def save(self, revision: str) -> str | None:
        """Write the configuration that was shown under this revision, and return why that fails."""
        async with self._one_at_a_time:
            review = await self.review()
            if review is None:
                return INCOMPLETE
            if review.revision != revision:
                return CHANGED
            if review.problems:
                return "The configuration has mistakes. Nothing was written."
            try:
                await self._write(review)
            except OSError as error:
                return f"Nothing was written: {error.filename or review.file}: {error.strerror}"
            except (SettingsError, StoreError) as error:
                return f"Nothing was written: {error}"
            self._answers = replace(self._answers, key=None)
            self._on_saved()
            return None

    async def save_key(self) -> str | None:
        """Write the hardware key alone, where the configuration has to be saved by hand; return why that fails."""
        async with self._one_at_a_time:
            review = await self.review()
            if review is None or review.key_file is None or self._answers.key is None:
                return INCOMPLETE
            try:
                await asyncio.to_thread(_write_key, Path(review.key_file), self._answers.key)
            except OSError as error:
                return f"Nothing was written: {review.key_file}: {error.strerror}"
            return None

    async def _write(self, review: SetupReview) -> None:
        """Write the key, then a person's decisions, and the configuration last: it is what lets the gateway start."""
        if review.key_file is not None and self._answers.key is not None:
            await asyncio.to_thread(_write_key, Path(review.key_file), self._answers.key)
        configuration = await asyncio.to_thread(load_text, review.text, self._file, self._adapters)
        await self._store_decisions(configuration)
        await asyncio.to_thread(self._write_config, review)
        log.warning("the configuration %s was written on the set-up page; the gateway starts with it", self._file)

    async def _store_decisions(self, configuration: Configuration) -> None:
        decisions = decisions_of(self._answers, list(self._searches.found))
        if not decisions:
            return
        buses = {found.identity.key: bus for bus, found in self._searches.found}

        async def make(store: Store) -> StateParts:
            state = StateParts.on(store, most_samples=configuration.settings.store.most_samples)
            await state.load()
            return state

        async with opened_state(configuration.settings.store.path, make) as state:
            for key, (found, decision) in decisions.items():
                why = "left out in the set-up" if decision is Decision.IGNORE else "admitted in the set-up"
                await state.registry.add_found(buses[key].entry, buses[key].bus, found, why)
                await state.registry.decide(key, decision)

    def _write_config(self, review: SetupReview) -> None:
        mode = mode_for(self._file)
        if review.kept_as is not None:
            keep_copy(self._file)
        write_file(self._file, review.text, mode=mode)

    # the other actions -------------------------------------------------------------------------------------------------

    async def search_again(self, hosts: str) -> str | None:
        """Search everything anew, and these hosts and networks as well; return why that fails."""
        try:
            await self._searches.again(hosts)
        except ValueError as error:
            return f"{error}."
        return None

    async def add_bus(self, fields: Mapping[str, str]) -> str | None:
        """Add a bus that a person names, and search it; return what is wrong with it."""
        try:
            self._searches.add(fields)
        except ValueError as error:
            return str(error)
        return None

    async def remove_bus(self, number: int) -> str | None:
        """Take back a bus that a person has named; return why that fails."""
        return None if await self._searches.remove(number) else "It is not in the list (any more)."

    def file_to_correct(self) -> FileToCorrect | None:
        """Return the file with its mistakes; `None` while there is none."""
        return self._correction.shown()

    async def correct(self, text: str, stamp: str) -> str | None:
        """Save a corrected file; one that still has mistakes is kept on the page and not saved."""
        return await self._correction.save(text, stamp)

    async def undo_file(self) -> str | None:
        """Go one step back: put the text before the latest change in the place of the file."""
        return await self._correction.undo()


def key_given_by() -> str | None:
    """Return the environment variable or mounted file that gives the hardware key; `None` for none."""
    for key in ("hardware_key", "hardware_key_file"):
        variable = variable_for(("cloud", key))
        if variable is not None:
            return variable
    try:
        return str(MOUNTED_KEY) if MOUNTED_KEY.read_text(encoding="utf-8").strip() else None
    except (OSError, ValueError):
        return None


def _write_key(file: Path, key: SecretStr) -> None:
    write_file(file, key.get_secret_value() + "\n")


def _is_admitted(found: Found, answers: SetupAnswers, decisions: Mapping[str, tuple[Found, Decision]]) -> bool:
    decided = decisions.get(found.identity.key)
    if decided is not None:
        return decided[1] is Decision.ADMIT
    return answers.admits_later and found.profile is not None and found.family in answers.models_in_use


def _cloud_of(answers: SetupAnswers) -> tuple[str, bool]:
    return answers.entry_url, answers.allow_plain_http


def _verdict_of(answer: KeyAnswer, url: str) -> tuple[KeyVerdict, str]:
    if answer.is_refused is None:
        return KeyVerdict.UNREACHABLE, f"{url}: {answer.text}"
    return (KeyVerdict.REFUSED if answer.is_refused else KeyVerdict.NOT_REFUSED), answer.text
