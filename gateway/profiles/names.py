"""Check names that a file or a configuration gives: unknown ones get a suggestion, duplicates are found. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar

MOST_LISTED = 8
"""A list of this many known names is shown whole; a longer one is only counted."""

T = TypeVar("T", bound=Hashable)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that does not exist, with similar names as a suggestion.

    Args:
        kind: what the name should denote: `profile`, `bus`.
        name: the name that was given.
        known: the names that exist.
    """
    existing = sorted(known)
    similar = get_close_matches(name, existing, n=3, cutoff=0.5) or (existing if len(existing) <= MOST_LISTED else ())
    hint = f"did you mean {' or '.join(similar)}?" if similar else f"none of the {len(existing)} {kind} names is similar"
    return f"there is no {kind} {name!r}; {hint}"


def slug(text: str) -> str:
    """Return a text as part of a key or file name, lower case with hyphens: `Schneider Electric` is `schneider-electric`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unknown"


def first_duplicate(values: Iterable[T]) -> T | None:
    """Return the first value that occurs twice; `None` where all differ."""
    return next(duplicates(values), None)


def duplicates(values: Iterable[T]) -> Iterator[T]:
    """Yield each value that occurs more than once, when it occurs for the second time."""
    times = Counter[T]()
    for value in values:
        times[value] += 1
        if times[value] == 2:
            yield value
