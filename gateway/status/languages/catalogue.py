"""Read the catalogue of a language, once, for the first reader who wants it; the only file that imports polib.

The catalogue is read as the text file that people edit. A compiled one beside it would be a second file to keep up to date.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Final

import polib

from gateway.status.languages.language import ENGLISH, NAMES, Language
from gateway.status.languages.sentences import Sentences

FOLDER: Final = Path(__file__).parent
PATTERN_FLAG: Final = "python-brace-format"
"""The flag of an entry that stands for all sentences of its form (`gateway.status.languages.sentences`)."""
_DECIMAL_POINTS: Final[Mapping[str, str]] = {"de": ","}


def catalogue_files() -> list[Path]:
    """Return the files of all languages."""
    return sorted(FOLDER.glob("*.po"))


class Languages:
    """The languages of the page; one that nobody wants is never read."""

    def __init__(self) -> None:
        self._loaded: dict[str, Language] = {ENGLISH.code: ENGLISH}

    async def find(self, code: str) -> Language:
        """Return a language; the first time, its catalogue is read in a thread, as that takes a tenth of a second and more."""
        language = self._loaded.get(code)
        if language is None:
            language = self._loaded[code] = await asyncio.to_thread(read_language, code)
        return language

    def known(self, code: str) -> Language:
        """Return a language that was found before."""
        return self._loaded.get(code, ENGLISH)


@cache
def read_language(code: str) -> Language:
    """Return a language with its catalogue.

    Raises:
        KeyError: there is no such language.
    """
    if code == ENGLISH.code:
        return ENGLISH
    if code not in NAMES:
        raise KeyError(code)
    catalogue = polib.pofile(str(FOLDER / f"{code}.po"))
    entries = [entry for entry in catalogue.translated_entries() if entry.msgstr and not entry.msgctxt]
    patterns = {entry.msgid: entry.msgstr for entry in entries if PATTERN_FLAG in entry.flags}
    sentences = {entry.msgid: entry.msgstr for entry in entries}
    translations = GNUTranslations(io.BytesIO(catalogue.to_binary()))
    point = _DECIMAL_POINTS.get(code, ".")
    return Language(code, translations, Sentences(sentences, patterns, point), point)
