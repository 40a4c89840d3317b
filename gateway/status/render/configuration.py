"""Prepare the configuration for its page: the lines around mistakes, and changes in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.status.configuration_view import TextMistake, TrialState
from gateway.status.hosts import local_host_for

LINES_AROUND: Final = 1

LONGEST_PLACE: Final = 500
NUMBER: Final = "#"
"""Begins an index in a place, which a key may be as well."""

TRIAL_MARKS: Final[Mapping[str, str]] = {
    TrialState.RUNS: "unasked",
    TrialState.ANSWERS: "fine",
    TrialState.QUIET: "unregistered",
    TrialState.IN_USE: "fine",
    TrialState.FAILS: "refused",
}
"""The CSS class of each state, shared with the child status of the same urgency."""


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


def place_of(text: str) -> tuple[str | int, ...]:
    """Return the place that a word in an address stands for; an empty one if it is none."""
    steps = text.split("/") if 0 < len(text) <= LONGEST_PLACE else []
    place: list[str | int] = []
    for step in steps:
        number = step.removeprefix(NUMBER)
        is_index = step.startswith(NUMBER) and number.isascii() and number.isdigit() and len(number) < 6
        place.append(int(number) if is_index else step.replace("~1", "/").replace("~0", "~"))
    return tuple(place)


def address_for(moves_to: str, host: str) -> str:
    """Return the address of a page that moves, for a browser that has reached it under this host."""
    if not moves_to:
        return ""
    address = urlsplit(moves_to)
    if address.hostname is not None and local_host_for(address.hostname) != address.hostname:
        address = address._replace(netloc=f"{f'[{host}]' if ':' in host else host}:{address.port}")
    return address._replace(path="/configuration").geturl()


def written_place(place: tuple[str | int, ...]) -> str:
    """Return the word for a place in an address."""
    return "/".join(f"{NUMBER}{step}" if isinstance(step, int) else step.replace("~", "~0").replace("/", "~1") for step in place)
