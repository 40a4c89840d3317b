"""Write the text of a new profile: what a person says of the device, and a point for each row of a table. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gateway.profiles.files import ProfileError, ProfileFiles
from gateway.workbench import ProfileFacts

MADE_ORIGIN = "made by profile new: replace the words by those of a device"
"""The `origin` of a case folder with made values."""

_BEHIND_SOURCE = '# checked_against = ["..."]   # a second source, which the first did not copy'


class Row(Protocol):
    """A row of a table that is a point."""

    @property
    def line(self) -> int:
        """Its 1-based line."""


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class PointsText:
    """The text of a profile, how many points it has, and why rows are left out."""

    text: str
    points: int
    refused: Sequence[str]
    """`line 4: ...`, in the order of the lines."""


def toml_text(text: str) -> str:
    """Return a text as TOML writes it, in one line; what no printer shows becomes a question mark."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(character if character.isprintable() else "?" for character in escaped)}"'


def toml_value(value: object) -> str:
    """Return a boolean, a number or a text as TOML writes it; `None` is the text "<none>", as case folders write it."""
    if value is None:
        return '"<none>"'
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else toml_text(str(value))


def scale_text(scale: float) -> str:
    """Return a scale as TOML writes it, without the digits that a division adds."""
    return f"{scale:.12g}" if scale % 1 else f"{scale:.1f}"


def profile_head(facts: ProfileFacts) -> list[str]:
    """Return the lines of a profile before its first point: what the device is, and where the facts come from."""
    return [
        f"name = {toml_text(facts.name)}",
        *([f"maker = {toml_text(facts.maker)}"] if facts.maker else []),
        f"title = {toml_text(facts.title)}",
        f"family = {toml_text(facts.family)}",
        *([f"line = {toml_text(facts.line)}"] if facts.line else []),
        "",
        *_source(facts),
    ]


def with_points(
    facts: ProfileFacts,
    head: Sequence[str],
    rows: Sequence[RowT],
    tables: Callable[[Sequence[RowT]], str],
    files: ProfileFiles[Any],
) -> PointsText:
    """Return the profile with each row that the grammar accepts; a row that makes a mistake is refused with its line.

    Args:
        facts: the device.
        head: the lines between what is said of the device and its points.
        rows: the points.
        tables: writes some of them as tables of the profile.
        files: the profiles of the adapter, with their grammar.

    Raises:
        ProfileError: the profile has a mistake that is of no row.
    """
    file, start = Path(f"{facts.name}.toml"), "\n".join((*profile_head(facts), *head))

    def text_of(some: Sequence[RowT]) -> str:
        return f"{start}\n\n{tables(some)}\n"

    wrong = _wrong(text_of(rows), file, files) if rows else None
    if wrong is None:
        return PointsText(text_of(rows), len(rows), ())
    kept, refused = list[RowT](), list[str]()
    for row in rows:
        told = _wrong(text_of([*kept, row]), file, files)
        if told is None:
            kept.append(row)
        else:
            refused.append(f"line {row.line}: {_mistakes(told)}")
    if not kept:
        raise wrong
    return PointsText(text_of(kept), len(kept), refused)


def in_order(*refused: Iterable[str]) -> tuple[str, ...]:
    """Return sentences that begin with `line 4: ` in the order of their lines."""
    return tuple(sorted(chain(*refused), key=lambda told: int(told.partition(":")[0].removeprefix("line "))))


def _wrong(text: str, file: Path, files: ProfileFiles[Any]) -> ProfileError | None:
    try:
        files.parse(text, file)
    except ProfileError as error:
        return error
    return None


def _mistakes(error: ProfileError) -> str:
    """Return what is wrong without the lines of a file that is not written."""
    told = (f"{one.where}: {one.wrong}{f'. {one.right}' if one.right else ''}" for one in error.problems)
    return "; ".join(told) or str(error)


def completed_draft(facts: ProfileFacts) -> str:
    """Return the draft with the name, maker, title, family and source of these facts, and all else as it is.

    Raises:
        ValueError: it is no draft: a key that each profile has stands in no line of its own.
    """
    text = facts.draft.removeprefix("\ufeff").replace("\r\n", "\n")
    head, has_table, rest = text.partition("\n[")
    keys: Mapping[str, str] = {"name": facts.name, "title": facts.title, "family": facts.family}
    for key, value in keys.items():
        line = f"{key} = {toml_text(value)}".replace("\\", r"\\")  # the backslash has a meaning in a replacement
        head, times = re.subn(rf"(?m)^{key} *=.*$", line, head)
        if times != 1:
            raise ValueError(f"it is no draft of a scan: no line of its own says `{key}`")
    if facts.maker:
        head = re.sub(r"(?m)^maker *=.*\n", "", head)
        head = re.sub(r"(?m)^title =", lambda _: f"maker = {toml_text(facts.maker or '')}\ntitle =", head, count=1)
    source = "\n".join(_source(facts)) + "\n"
    body, times = re.subn(r"(?m)^\[source\]\n(?:(?!\[|#|$).*\n)*", lambda _: source, has_table[1:] + rest)
    if times != 1:
        raise ValueError("it is no draft of a scan: it has no table [source]")
    return f"{_without_steps(head).rstrip()}\n\n{body}"


def _without_steps(head: str) -> str:
    """Leave out the comment that says how a draft is finished: this is what it was made for."""
    lines = head.splitlines()
    told = next((at for at, line in enumerate(lines) if line.startswith("# What the device answered")), None)
    return "\n".join(lines if told is None else lines[told:])


def _source(facts: ProfileFacts) -> list[str]:
    return [
        "[source]",
        f"document = {toml_text(facts.document)}",
        f"edition = {toml_text(facts.edition)}",
        f"section = {toml_text(facts.section)}",
        _BEHIND_SOURCE,
    ]
