"""Choose and name the lines of the log that a page shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final
from urllib.parse import urlencode

from gateway.status.languages.texts import gettext_noop
from gateway.status.logs_view import LEVELS, PARTS, LogLine, part_of

PER_PAGE: Final = 100
MOST_PAGES: Final = 1000
MAX_SEARCH_LENGTH: Final = 100

LEVEL_TEXTS: Final[Mapping[str, str]] = {
    "debug": gettext_noop("debug"),
    "info": gettext_noop("info"),
    "warning": gettext_noop("warning"),
    "error": gettext_noop("error"),
}

LEVEL_MARKS: Final[Mapping[str, str]] = {"debug": "deleted", "info": "fine", "warning": "unregistered", "error": "refused"}
"""The CSS class of each level, shared with the child status of the same urgency."""


class WrongQuery(ValueError):
    """A parameter of an address means nothing; the text says which, for the caller."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines are shown, as it stands in an address."""

    level: str = "debug"
    """The lowest level."""
    part: str = ""
    """One of `PARTS`; empty for all."""
    search: str = ""
    page: int = 1
    """1 has the latest lines."""

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> LogQuery:
        """Read the query parameters of an address.

        Raises:
            WrongQuery: one of them has a value that means nothing.
        """
        level, part, page = (parameters.get(name, "") for name in ("level", "part", "page"))
        if level and level not in LEVELS:
            raise WrongQuery(f"level: one of {', '.join(LEVELS)}")
        if part and part not in PARTS:
            raise WrongQuery(f"part: one of {', '.join(PARTS)}")
        if page and not (page.isascii() and page.isdigit() and len(page) <= 4 and int(page) >= 1):
            raise WrongQuery(f"page: a number from 1 to {MOST_PAGES}")
        search = parameters.get("search", "").strip()
        if len(search) > MAX_SEARCH_LENGTH:
            raise WrongQuery(f"search: at most {MAX_SEARCH_LENGTH} characters")
        return cls(level=level or "debug", part=part, search=search, page=int(page or 1))

    def encode(self, **changes: str | int) -> str:
        """Return the query part of an address, with these parameters changed."""
        values = {"level": self.level, "part": self.part, "search": self.search, "page": self.page} | changes
        given = {name: value for name, value in values.items() if value not in ("", 1, "debug")}
        return f"?{urlencode(given, errors='replace')}" if given else "?"


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page of the lines that were asked for, the latest first."""

    rows: Sequence[LogLine]
    total: int
    page: int
    pages: int


def matching(lines: Sequence[LogLine], query: LogQuery) -> list[LogLine]:
    """Return the lines that were asked for, the oldest first."""
    wanted = LEVELS[LEVELS.index(query.level) :]
    words = query.search.casefold().split()
    return [
        line
        for line in lines
        if line.level in wanted
        and (not query.part or part_of(line.logger) == query.part)
        and all(word in line.text.casefold() or word in line.logger for word in words)
    ]


def log_page(lines: Sequence[LogLine], query: LogQuery) -> LogPage:
    """Return one page of the lines that were asked for."""
    found = matching(lines, query)
    pages = max(1, ceil(len(found) / PER_PAGE))
    page = min(query.page, pages)
    start = (page - 1) * PER_PAGE
    return LogPage(rows=found[::-1][start : start + PER_PAGE], total=len(found), page=page, pages=pages)


def as_text(lines: Sequence[LogLine]) -> str:
    """Return lines as they stand in a file."""
    rows = (f"{line.at:%Y-%m-%dT%H:%M:%S}Z {line.level.upper():7} {line.logger}: {line.text}\n" for line in lines)
    return "".join(rows)
