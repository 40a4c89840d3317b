"""Return texts in the language of the reader for whom a page is being made. Pure.

English is what stands in the source. The language is one of the context in which a request is answered or an open page rendered;
elsewhere, as in the log and the JSON API, it is English. Values are filled in by name, as `%(name)s`; a percent sign is written
twice. Whole numbers are written with their thousands separated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from gateway.status.languages.language import ENGLISH, Language

_CURRENT: Final[ContextVar[Language]] = ContextVar("language", default=ENGLISH)


def current_language() -> Language:
    """Return the language of the reader."""
    return _CURRENT.get()


def set_language(language: Language) -> None:
    """Set the language of this context from now on."""
    _CURRENT.set(language)


@contextmanager
def in_language(language: Language) -> Iterator[None]:
    """Set the language for a while."""
    token = _CURRENT.set(language)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def gettext(text: str, /, **values: object) -> str:
    """Return a text with values in it."""
    return _filled(_CURRENT.get().translations.gettext(text), values)


def ngettext(one: str, many: str, number: int, /, **values: object) -> str:
    """Return a text for this number of things, which may stand in it as `%(n)s`."""
    text = _CURRENT.get().translations.ngettext(one, many, number)
    return _filled(text, {"n": number, **values})


def pgettext(context: str, text: str, /, **values: object) -> str:
    """Return a text whose meaning only its context tells."""
    return _filled(_CURRENT.get().translations.pgettext(context, text), values)


def gettext_noop(text: str) -> str:
    """Mark a text that is translated where it is shown, and return it as it is."""
    return text


def localized(sentence: str) -> str:
    """Return a sentence that another part of the gateway has made, in the language of the reader where it is known there."""
    language = _CURRENT.get()
    return sentence if language.is_source else language.sentences.find(sentence) or sentence


def decimal(number: str) -> str:
    """Return a number that is written with a point, with the sign that this language has for it."""
    return number.replace(".", _CURRENT.get().decimal_point)


def written(value: object) -> object:
    """Return a value as it stands in a text: whole numbers with their thousands separated by spaces at which no line breaks."""
    return f"{value:,}".replace(",", "\u202f") if type(value) is int else value


def _filled(text: str, values: Mapping[str, object]) -> str:
    return text % {name: written(value) for name, value in values.items()} if "%" in text else text
