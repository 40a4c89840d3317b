"""Write the text of a new profile: what a person says of the device, and a point for each row of a table. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.profiles.files import ProfileError, ProfileFiles
from gateway.workbench import ProfileFacts

MADE_ORIGIN = "made by profile new: replace the words by those of a device"
"""The `origin` of a case folder with made values."""

_BEHIND_SOURCE = '# checked_against = ["..."]   # a second source, which the first did not copy'


@dataclass(frozen=True, slots=True)
class PointText:
    """A row of a table as text of a profile."""

    line: int
    """The 1-based line of the row."""
    text: str


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


def profile_head(facts: ProfileFacts) -> list[str]:
    """Return the lines of a profile before its first point: what the device is, and where the facts come from."""
    return [
        f"name = {toml_text(facts.name)}",
        *([f"maker = {toml_text(facts.maker)}"] if facts.maker else []),
        f"title = {toml_text(facts.title)}",
        f"family = {toml_text(facts.family)}",
        "",
        *_source(facts),
    ]


def with_points(head: Sequence[str], rows: Iterable[PointText], name: str, files: ProfileFiles[Any]) -> PointsText:
    """Return the profile with each row that the grammar accepts; a row that makes a mistake is refused with its line.

    Raises:
        ProfileError: the profile has a mistake that is of no row.
    """
    kept, refused = list(rows), list[str]()
    file, start = Path(f"{name}.toml"), "\n".join(head)
    text = _joined(start, kept)
    if kept and (wrong := _wrong(text, file, files)):
        accepted: list[PointText] = []
        for row in kept:
            told = _wrong(_joined(start, [*accepted, row]), file, files)
            if told is None:
                accepted.append(row)
            else:
                refused.append(f"line {row.line}: {told}")
        if not accepted:
            raise wrong
        kept, text = accepted, _joined(start, accepted)
    return PointsText(text, len(kept), refused)


def _joined(start: str, rows: Sequence[PointText]) -> str:
    return "\n\n".join((start, *(row.text for row in rows))) + "\n"


def _wrong(text: str, file: Path, files: ProfileFiles[Any]) -> ProfileError | None:
    try:
        files.parse(text, file)
    except ProfileError as error:
        return error
    return None


def completed_draft(facts: ProfileFacts) -> str:
    """Return the draft with the name, maker, title, family and source of these facts, and all else as it is.

    Raises:
        ValueError: it is no draft: a key that each profile has stands in no line of its own.
    """
    text = facts.draft.removeprefix("\ufeff").replace("\r\n", "\n")
    head, has_table, rest = text.partition("\n[")
    keys: Mapping[str, str] = {"name": facts.name, "title": facts.title, "family": facts.family}
    for key, value in keys.items():
        head, times = re.subn(rf"(?m)^{key} *=.*$", lambda _, key=key, value=value: f"{key} = {toml_text(value)}", head)  # type: ignore[misc]
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
