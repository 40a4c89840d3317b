"""Load the SQL of each schema version of the store. Pure.

One file for each version, `0001_*.sql` first, applied once and in order. A file is never edited after its release: stores that
were made by it exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Final

MIGRATIONS: Final = tuple(
    file.read_text(encoding="utf-8")
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name)
    if file.name.endswith(".sql")
)
"""The SQL that leads from each version to the next, the oldest first."""

NEWEST_VERSION: Final = len(MIGRATIONS)


def migrations_after(version: int, until: int = NEWEST_VERSION) -> Iterator[tuple[int, str]]:
    """Yield every later version, up to the last one wanted, with the SQL that leads to it."""
    yield from enumerate(MIGRATIONS[version:until], start=version + 1)
