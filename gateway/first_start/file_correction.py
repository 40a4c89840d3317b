"""Correct a configuration file that has mistakes: its text without secrets, the lines around each mistake, and saving it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.config.loading import load_text
from gateway.config.masked_text import mask_secrets
from gateway.config.mistakes import problem_location
from gateway.config.secret_fields import secret_field_names
from gateway.config.writing import copy_of, replace_file, swap_with_copy, why_unwritable
from gateway.errors import SettingsError, SettingsProblem
from gateway.status.setup_view import FileLine, FileToCorrect, SetupProblem

log = logging.getLogger(__name__)

MOST_BYTES: Final = 256 * 1024
"""A larger file is no configuration that a person has written, and is not shown."""

LINES_AROUND: Final = 2

CHANGED: Final = "The file has changed since this page was opened. What it says now is below; nothing was saved."
NO_FORMER: Final = "There is no former text with which the gateway could start. Nothing was changed."
TOO_LARGE: Final = "This text is larger than 256 KB; a configuration is not. Nothing was saved."


class FileCorrection:
    """The file of a gateway that cannot start, and what a person has entered in its place."""

    def __init__(
        self,
        file: Path,
        adapters: Mapping[str, type[Adapter[Any]]],
        *,
        mistakes: Callable[[], Sequence[SettingsProblem]],
        on_saved: Callable[[], None],
    ) -> None:
        """Correct this file.

        Args:
            file: the configuration file.
            adapters: the adapter classes that can be used, by their type.
            mistakes: returns those in the file as it is.
            on_saved: is called when a text without mistakes was saved.
        """
        self._file = file
        self._adapters = adapters
        self._names = secret_field_names(adapters)
        self._mistakes = mistakes
        self._on_saved = on_saved
        self._unsaved: tuple[str, str, tuple[SettingsProblem, ...]] | None = None
        """The stamp of the file that was edited, the text in its place, and the mistakes in that."""
        self._one_at_a_time = asyncio.Lock()

    def shown(self) -> FileToCorrect | None:
        """Return the file as the page shows it; `None` where there is none, or one that cannot be shown."""
        text, problems = _text_of(self._file), self._mistakes()
        if text is None:
            return None
        stamp, unsaved = stamp_of(text), self._unsaved
        is_unsaved = unsaved is not None and unsaved[0] == stamp
        if unsaved is not None and is_unsaved:
            text, problems = unsaved[1], unsaved[2]
        masked = mask_secrets(text, self._names)
        refusal = why_unwritable(self._file)
        return FileToCorrect(
            text=masked.text,
            stamp=stamp,
            lines=tuple(_lines_around(masked.text, problems, self._file)),
            is_unsaved=is_unsaved,
            mistakes=tuple(shown_problem(problem, self._file) for problem in problems) if is_unsaved else (),
            has_secrets=bool(masked.secrets),
            unwritable=None if refusal is None else refusal[0],
            unwritable_fix=None if refusal is None else refusal[1],
            has_usable_former=refusal is None and self._usable_former() is not None,
        )

    async def undo(self) -> str | None:
        """Put the former text in the place of the file, and return why that fails."""
        async with self._one_at_a_time:
            if await asyncio.to_thread(self._usable_former) is None:
                return NO_FORMER
            try:
                await asyncio.to_thread(swap_with_copy, self._file)
            except OSError as error:
                return f"It cannot be saved: {self._file}: {error.strerror}"
            self._unsaved = None
            log.warning("%s is as before its latest change, as asked on the page", self._file)
            self._on_saved()
            return None

    def _usable_former(self) -> str | None:
        """Return the text before the latest change, where the gateway can start with it."""
        former = _text_of(copy_of(self._file.resolve()))
        if former is None or former == _text_of(self._file):
            return None
        try:
            load_text(former, self._file, self._adapters)
        except SettingsError:
            return None
        return former

    async def save(self, text: str, stamp: str) -> str | None:
        """Save a corrected text, and return why that fails. One with mistakes is kept for the page, and not saved."""
        async with self._one_at_a_time:
            before = await asyncio.to_thread(_text_of, self._file)
            if before is None or stamp_of(before) != stamp:
                return CHANGED
            base = self._unsaved[1] if self._unsaved is not None and self._unsaved[0] == stamp else before
            restored = mask_secrets(base, self._names).restored(text.replace("\r\n", "\n"))
            if len(restored.encode("utf-8", "surrogatepass")) > MOST_BYTES:
                return TOO_LARGE
            try:
                await asyncio.to_thread(load_text, restored, self._file, self._adapters)
            except SettingsError as error:
                self._unsaved = stamp, restored, tuple(error.problems)
                return None
            try:
                await asyncio.to_thread(replace_file, self._file, restored)
            except OSError as error:
                return f"It cannot be saved: {self._file}: {error.strerror}"
            self._unsaved = None
            log.warning("%s was corrected on the page; the former one is %s", self._file, copy_of(self._file))
            self._on_saved()
            return None


def stamp_of(text: str) -> str:
    """Return a word that names a text; it says nothing of the secrets in it that could be guessed from it."""
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=16, person=b"gwconfig").hexdigest()


def shown_problem(problem: SettingsProblem, file: Path) -> SetupProblem:
    """Return a mistake as the page shows it."""
    place = problem_location(SettingsError(file, [problem]), problem)
    return SetupProblem(place=place, where=problem.where, wrong=problem.wrong, right=problem.right)


def _text_of(file: Path) -> str | None:
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None


def _lines_around(text: str, problems: Sequence[SettingsProblem], file: Path) -> list[FileLine]:
    lines = text.splitlines()
    at: dict[int, list[SetupProblem]] = {}
    for problem in problems:
        if problem.line and 1 <= problem.line <= len(lines):
            at.setdefault(problem.line, []).append(shown_problem(problem, file))
    near = {number for line in at for number in range(line - LINES_AROUND, line + LINES_AROUND + 1)}
    numbers = sorted(number for number in near if 1 <= number <= len(lines))
    shown: list[FileLine] = []
    for number in numbers:
        is_after_gap = bool(shown) and shown[-1].number != number - 1
        mistakes = tuple(at.get(number, ()))
        shown.append(FileLine(number=number, text=lines[number - 1], mistakes=mistakes, is_after_gap=is_after_gap))
    return shown
