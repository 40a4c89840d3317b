"""Read the configuration file as a person edits it, check a text in its place, and name what it says."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.config.file import STANDARD_INPUT
from gateway.config.loading import load_text
from gateway.config.masked_text import MaskedText, mask_secrets, misplaced_masks
from gateway.config.settings import Configuration
from gateway.config.writing import copy_of
from gateway.errors import SettingsError, SettingsProblem
from gateway.status.configuration_view import MOST_BYTES, NotEditable, TextMistake

_KEY: Final = secrets.token_bytes(32)
"""Nobody guesses a secret of the file from the name of its text."""
SHORTEST_SECRET: Final = 4
"""A shorter one is too often a part of other words to be hidden in a sentence."""

MISPLACED: Final = SettingsProblem(
    "file", "the mask of a secret stands where no secret belongs", "Enter the value itself, or remove the mask"
)


@dataclass(frozen=True, slots=True)
class FileText:
    """What a configuration file says, with line ends of one kind, and how it is written."""

    text: str
    has_mark: bool = False
    """Whether it begins with a byte order mark."""
    has_crlf: bool = False

    def as_written(self, text: str) -> str:
        """Return a text as it is to stand in the file: with the line ends and the mark that the file has."""
        return ("\ufeff" if self.has_mark else "") + (text.replace("\n", "\r\n") if self.has_crlf else text)


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that was checked."""

    text: str
    configuration: Configuration | None
    """`None` when it has mistakes."""
    mistakes: tuple[TextMistake, ...] = ()
    warnings: tuple[TextMistake, ...] = ()


class Unreadable(NotEditable):
    """The file cannot be edited here: why, and what would change that."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(f"{why}. {fix}.")
        self.why = why
        self.fix = fix


def no_file() -> Unreadable:
    """Return the error where the environment gives the configuration."""
    return Unreadable("There is no configuration file", "The environment gives the configuration: change it there")


def read_text(file: Path | None) -> FileText:
    """Return what the file says.

    Raises:
        Unreadable: there is none, or it cannot be edited.
    """
    if file is None or file == STANDARD_INPUT:
        raise no_file()
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}", "Put it back, or let the gateway read it") from error
    if len(content) > MOST_BYTES:
        raise Unreadable(f"{file} has more than {MOST_BYTES // 1000} kB", "Edit it with an editor on its machine")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{file} is not UTF-8 text", "Save it as UTF-8") from error
    return FileText(unified(text), has_mark=text.startswith("\ufeff"), has_crlf="\r\n" in text)


def unified(text: str) -> str:
    """Return a text with line feeds alone, and without a byte order mark."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def stamp_of(text: str) -> str:
    """Return a word that names a text, and says nothing of what is in it."""
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=16, key=_KEY).hexdigest()


def former_text(file: Path) -> str | None:
    """Return the text before the latest change; `None` where there is none."""
    try:
        return read_text(copy_of(file.resolve())).text
    except Unreadable:
        return None


def restore_masks(edited: str, base: str, names: frozenset[str]) -> str:
    """Return an edited text with the secrets of the text that it was made from."""
    return mask_secrets(base, names).restored(unified(edited))


def check_text(text: str, file: Path, adapters: Mapping[str, type[Adapter[Any]]], names: frozenset[str]) -> Checked:
    """Return what a text in the place of the file is, and every mistake in it."""
    masked = mask_secrets(text, names)
    misplaced = [_shown(MISPLACED, masked, line) for line in misplaced_masks(text)]
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        nul = SettingsProblem("file", "it has the control character 0", "Remove it; it may have been copied from elsewhere", line)
        return Checked(text, None, (_shown(nul, masked),))
    try:
        configuration = load_text(text, file, adapters)
    except SettingsError as error:
        mistakes = (*misplaced, *(_shown(problem, masked) for problem in error.problems))
        return Checked(text, None, mistakes, tuple(_shown(one, masked, is_warning=True) for one in error.warnings))
    warnings = tuple(_shown(problem, masked, is_warning=True) for problem in configuration.warnings)
    return Checked(text, None if misplaced else configuration, tuple(misplaced), warnings)


def _shown(problem: SettingsProblem, masked: MaskedText, line: int | None = None, *, is_warning: bool = False) -> TextMistake:
    """Return a mistake as the page shows it: it quotes no secret of the text."""
    wrong, right = problem.wrong, problem.right
    for secret in sorted(masked.values, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            wrong, right = wrong.replace(secret, "********"), right.replace(secret, "********")
    return TextMistake(
        line=line if line is not None else problem.line, where=problem.where, wrong=wrong, right=right, is_warning=is_warning
    )
