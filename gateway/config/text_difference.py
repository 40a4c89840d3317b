"""Compare two texts of a configuration line by line, without their secrets. Pure."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from gateway.config.masked_text import ANY_MASK, MaskedText, mask_secrets
from gateway.url_secrets import MASK

LINES_AROUND = 2
MOST_LINES = 2_000
MOST_WORK: Final = 2_000_000
"""The most comparisons of lines that repeat; lines that are left after them count as replaced."""

GAP = "…"


def text_difference(before: str, after: str, names: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Return the lines that differ with some around them, each with its kind: `+`, `-`, a space, or `…` for a gap.

    A secret that another one takes the place of shows as a difference, and neither of them is shown. The time grows with the
    number of lines, not with its square.

    Args:
        before: one text.
        after: the other one.
        names: further keys whose values are secrets, as for `mask_secrets`.
    """
    known = mask_secrets(before, names).values | mask_secrets(after, names).values
    old, new = mask_secrets(before, names, known), mask_secrets(after, names, known)
    former = frozenset(old.secrets.values())
    first = _plain(old, former, "").splitlines()
    second = _plain(new, former, " (another one)").splitlines()
    return list(islice(_with_gaps(list(_lines(first, second))), MOST_LINES))


def _plain(masked: MaskedText, known: frozenset[str], mark: str) -> str:
    """Return a masked text without the numbers of its masks, where a secret that is not known has a mark."""

    def shown(found: re.Match[str]) -> str:
        mask = found[0]
        if (secret := masked.secrets.get(mask)) is None:
            return mask
        if not mask.startswith('"'):
            return MASK + (f"@{mask.partition('@')[2]}" if "@" in mask else "")
        return f'"{MASK}{"" if secret in known else mark}"' + "\n" * mask.count("\n")

    return ANY_MASK.sub(shown, masked.text)


def _with_gaps(lines: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the lines near a change, and a gap between those that are not neighbours."""
    until = 0
    for change in (place for place, (kind, _) in enumerate(lines) if kind != " "):
        start = max(until, change - LINES_AROUND)
        if until and start > until:
            yield GAP, ""
        until = min(len(lines), change + LINES_AROUND + 1)
        yield from lines[start:until]


def _lines(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield every line of both texts with its kind."""
    start, end = _same_ends(before, after)
    yield from ((" ", line) for line in before[:start])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    left = MOST_WORK
    at, new_at = 0, 0
    for place, new_place in [*_anchors(old, new), (len(old), len(new))]:
        gap, new_gap = old[at:place], new[new_at:new_place]
        work = len(gap) * len(new_gap) * min(len(gap), len(new_gap))
        is_whole = work > left
        left -= 0 if is_whole else work
        yield from _of_gap(gap, new_gap, is_whole=is_whole)
        yield from ((" ", line) for line in old[place : place + 1])
        at, new_at = place + 1, new_place + 1
    yield from ((" ", line) for line in before[len(before) - end :])


def _same_ends(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """Return how many lines are the same at the start, and how many of the others at the end."""
    most = min(len(before), len(after))
    start = next((place for place in range(most) if before[place] != after[place]), most)
    most -= start
    return start, next((place for place in range(most) if before[-1 - place] != after[-1 - place]), most)


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return where lines stand that both have once, as many as have the same order in both."""
    count, new_count = Counter(before), Counter(after)
    places = {line: place for place, line in enumerate(after) if new_count[line] == 1}
    pairs = [(place, places[line]) for place, line in enumerate(before) if count[line] == 1 and line in places]
    ends: list[int] = []
    at_end: list[int] = []
    previous: list[int] = []
    for number, (_, new_place) in enumerate(pairs):
        length = bisect_left(ends, new_place)
        ends[length : length + 1] = [new_place]
        at_end[length : length + 1] = [number]
        previous.append(at_end[length - 1] if length else -1)
    chain: list[tuple[int, int]] = []
    number = at_end[-1] if at_end else -1
    while number >= 0:
        chain.append(pairs[number])
        number = previous[number]
    return chain[::-1]


def _of_gap(before: Sequence[str], after: Sequence[str], *, is_whole: bool) -> Iterator[tuple[str, str]]:
    """Yield the lines between two anchors."""
    opcodes = [("replace", 0, len(before), 0, len(after))]
    if not is_whole:
        opcodes = list(difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes())
    for kind, first, last, new_first, new_last in opcodes:
        if kind == "equal":
            yield from ((" ", line) for line in before[first:last])
            continue
        yield from (("-", line) for line in before[first:last])
        yield from (("+", line) for line in after[new_first:new_last])
