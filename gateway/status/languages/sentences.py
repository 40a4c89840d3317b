"""Translate sentences that the rest of the gateway has made in English: causes, problems and events as they are stored. Pure.

A sentence is looked up as it is, then among the patterns: texts of the catalogue with placeholders in braces, such as
`no answer within {limit} s`. What stands in the place of a placeholder is kept; where its name says that it is itself a sentence,
it is translated as well, and where it says that it is a quantity, its number gets the decimal point of the language.

A sentence is also found with another first letter, or without the mark at its end: it was put into another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
SENTENCES: Final = frozenset({"why", "reason", "problem", "error", "what", "text", "how", "silence", "advice", "expected"})
"""Placeholders that stand for sentences."""
QUANTITIES: Final = frozenset({"budget", "high", "interval", "limit", "low", "share", "size", "time"})
"""Placeholders that stand for a number, mostly with a unit, among other things."""
QUANTITY: Final = re.compile(r"(\d+)\.(\d+)((?: [a-zA-Z%]+)?)", re.ASCII)
MARKS: Final = ".?"
"""What may end a sentence and is left out within another one."""
MOST_KEPT: Final = 4096
DEEPEST: Final = 3
"""A sentence within a sentence is translated so many times."""
LONGEST: Final = 2000
"""A longer text is shown as it is."""


class Sentences:
    """The sentences of one language, by their English."""

    def __init__(
        self, texts: Mapping[str, str] | None = None, patterns: Mapping[str, str] | None = None, decimal_point: str = "."
    ) -> None:
        """Take what a catalogue has: English texts -> the same in this language, and those of them that are patterns."""
        self._texts = texts or {}
        self._decimal_point = decimal_point
        self._patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for text, translation in sorted((patterns or {}).items(), key=lambda item: -len(PLACEHOLDER.sub("", item[0]))):
            if PLACEHOLDER.search(text) is not None:
                self._patterns.setdefault(_first_word(text), []).append((_pattern(text), translation))
        self.find = lru_cache(MOST_KEPT)(self._find)

    def _find(self, sentence: str, depth: int = DEEPEST) -> str | None:
        """Return a sentence in this language; `None` where it is not known."""
        found = self._as_it_is(sentence, depth)
        if found is None and sentence[:1].isupper():
            found = self._as_it_is(sentence[0].lower() + sentence[1:], depth)
            return None if found is None else found[:1].upper() + found[1:]
        return found

    def _as_it_is(self, sentence: str, depth: int) -> str | None:
        exact = self._texts.get(sentence)
        if exact is not None:
            return exact
        if depth == 0 or len(sentence) > LONGEST:
            return None
        for pattern, translation in self._candidates(sentence):
            match = pattern.fullmatch(sentence)
            if match is not None:
                return self._filled(translation, match.groupdict(), depth)
        return None

    def _filled(self, translation: str, values: Mapping[str, str], depth: int) -> str:
        found = {name: self._value(name, value, depth) for name, value in values.items()}
        return PLACEHOLDER.sub(lambda place: found.get(place[1], place[0]), translation)

    def _candidates(self, sentence: str) -> Sequence[tuple[re.Pattern[str], str]]:
        return [*self._patterns.get(_first_word(sentence), ()), *self._patterns.get("", ())]

    def _value(self, name: str, value: str, depth: int) -> str:
        name = name.rstrip("_")
        if name in QUANTITIES:
            number = QUANTITY.fullmatch(value)
            return value if number is None else f"{number[1]}{self._decimal_point}{number[2]}{number[3]}"
        if name not in SENTENCES:
            return value
        found = self.find(value, depth - 1)
        for mark in MARKS if found is None else "":
            with_mark = self.find(value + mark, depth - 1)
            if with_mark is not None:
                return with_mark.removesuffix(mark)
        return found or value


def _first_word(text: str) -> str:
    """Return the word with which a text begins; nothing where that is, or holds, a placeholder."""
    word = text.split(" ", 1)[0]
    return "" if "{" in word else word


def _pattern(text: str) -> re.Pattern[str]:
    pieces = PLACEHOLDER.split(text)
    known: set[str] = set()
    parts = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            parts.append(re.escape(piece))
        elif piece in known:
            parts.append(f"(?P={piece})")
        else:
            known.add(piece)
            parts.append(f"(?P<{piece}>.+?)")
    return re.compile("".join(parts), re.DOTALL)
