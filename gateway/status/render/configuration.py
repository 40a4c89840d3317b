"""Prepare the configuration for its page: the lines around mistakes, and changes in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.status.configuration_view import TextMistake

LINES_AROUND: Final = 1


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line of the text near a mistake."""

    number: int
    text: str
    mistakes: tuple[TextMistake, ...]
    is_after_gap: bool


def lines_near(text: str, mistakes: Sequence[TextMistake]) -> list[ShownLine]:
    """Return the lines that have a mistake, with the lines around them."""
    lines = text.splitlines()
    near = {
        number
        for one in mistakes
        if one.line is not None
        for number in range(one.line - LINES_AROUND, one.line + LINES_AROUND + 1)
        if 1 <= number <= len(lines)
    }
    return list(_shown(lines, sorted(near), mistakes))


def _shown(lines: Sequence[str], numbers: Sequence[int], mistakes: Sequence[TextMistake]) -> Iterator[ShownLine]:
    before = 0
    for number in numbers:
        own = tuple(one for one in mistakes if one.line == number)
        yield ShownLine(number, lines[number - 1], own, is_after_gap=before not in (0, number - 1))
        before = number


def without_line(text: str, mistakes: Sequence[TextMistake]) -> list[TextMistake]:
    """Return the mistakes that stand at no line of the text."""
    last = len(text.splitlines())
    return [one for one in mistakes if one.line is None or not 1 <= one.line <= last]
