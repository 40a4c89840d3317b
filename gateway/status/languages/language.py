"""Define what is known of a language, and find the one that a reader wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from gettext import NullTranslations
from typing import Final

from gateway.status.languages.sentences import Sentences

NAMES: Final[Mapping[str, str]] = {"en": "English", "de": "Deutsch"}
"""The languages of the page: their codes -> what those who speak them call them."""

DEFAULT: Final = "en"
MOST_WISHES: Final = 20
"""So many languages of an `Accept-Language` header are read."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language, with what was translated into it."""

    code: str
    """As `<html lang>` has it."""
    translations: NullTranslations
    sentences: Sentences = field(default_factory=Sentences)
    """Translates sentences that other parts of the gateway made in English."""
    decimal_point: str = "."

    @property
    def is_source(self) -> bool:
        """Whether it is the language in which the texts are written."""
        return self.code == DEFAULT


ENGLISH: Final = Language(DEFAULT, NullTranslations())


def wanted_code(chosen: str | None, accept_language: str) -> str:
    """Return the code of the language that a reader has chosen, or else wants most of those that there are.

    Args:
        chosen: what the reader chose; anything that is no code of a language counts as no choice.
        accept_language: the header of that name (RFC 9110, section 12.5.4); what cannot be read in it is left out.
    """
    if chosen is not None and chosen in NAMES:
        return chosen
    wishes = [_wish(part) for part in accept_language.split(",", MOST_WISHES)[:MOST_WISHES]]
    best = max((wish for wish in wishes if wish[0] > 0 and wish[1] in NAMES), key=lambda wish: wish[0], default=None)
    return DEFAULT if best is None else best[1]


def _wish(part: str) -> tuple[float, str]:
    """Return how much a language is wanted, from 0 to 1, and its code without its region."""
    tag, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                weight = 0.0
    return (weight if 0 <= weight <= 1 else 0.0), tag.split("-")[0]
