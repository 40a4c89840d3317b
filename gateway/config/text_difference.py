"""Compare two texts of a configuration line by line, without their secrets. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from gateway.config.masked_text import MaskedText, mask_secrets
from gateway.url_secrets import MASK

LINES_AROUND = 2
MOST_LINES = 2_000

GAP = "…"


def text_difference(before: str, after: str, names: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Return the lines that differ with some around them, each with its kind: `+`, `-`, a space, or `…` for a gap.

    A secret that another one takes the place of shows as a difference, and neither of them is shown.

    Args:
        before: one text.
        after: the other one.
        names: further keys whose values are secrets, as for `mask_secrets`.
    """
    old, new = mask_secrets(before, names), mask_secrets(after, names)
    known = frozenset(old.secrets.values())
    first = _plain(old, known, "").splitlines()
    second = _plain(new, known, " (another one)").splitlines()
    return list(_lines(first, second))[:MOST_LINES]


def _plain(masked: MaskedText, known: frozenset[str], mark: str) -> str:
    """Return a masked text without the numbers of its masks, where a secret that is not known has a mark."""
    text = masked.text
    for mask, secret in masked.secrets.items():
        shown = f'"{MASK}{"" if secret in known else mark}"' if mask.startswith('"') else f"{MASK}@{mask.partition('@')[2]}"
        text = text.replace(mask, shown + "\n" * mask.count("\n"), 1)
    return text


def _lines(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    groups = difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(LINES_AROUND)
    for number, group in enumerate(groups):
        if number:
            yield GAP, ""
        for kind, first, last, new_first, new_last in group:
            if kind == "equal":
                yield from ((" ", line) for line in before[first:last])
                continue
            yield from (("-", line) for line in before[first:last])
            yield from (("+", line) for line in after[new_first:new_last])
