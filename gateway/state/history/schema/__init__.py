"""Load the SQL of each schema version of the history file. Pure.

One file for each version, `0001_*.sql` first, applied once and in order. A file is never edited after its release.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

MIGRATIONS: Final = tuple(
    file.read_text(encoding="utf-8")
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name)
    if file.name.endswith(".sql")
)
"""The SQL that leads from each version to the next, the oldest first."""

NEWEST_VERSION: Final = len(MIGRATIONS)

TABLES: Final = tuple(re.findall(r"^CREATE TABLE (\w+)", "\n".join(MIGRATIONS), re.MULTILINE))
"""The names of all tables."""
