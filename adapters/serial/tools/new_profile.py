"""Write a new profile of a serial device from what a person says of it and its table of requests and answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.tools.new_case import new_case
from adapters.serial.tools.request_table import CommandRow, read_commands
from gateway.adapter import NewProfile, ProfileFacts, in_order, scale_text, toml_text, with_points


def new_profile(facts: ProfileFacts) -> NewProfile:
    """Return the text of the profile, which loads as it is where the table has points, and its first case folder.

    Raises:
        ValueError: the table is none, or line or end mark are missing; the text says what to do.
    """
    if not facts.line or not facts.end:
        raise ValueError(
            'say how the line is set: `--line "9600 8N1"`' if not facts.line else r'say what ends a message: `--end "\r"`'
        )
    rows, refused = read_commands(facts.points)
    head = [
        "",
        "# The frame around each request and answer. Checksums and other kinds of frames are in adapters/README.md.",
        "[framing]",
        'kind = "delimiter"',
        f"end = {template_text(facts.end)}",
        "",
        "# How a scan recognizes the device: a harmless request; without it, name the profile under `devices` of the entry:",
        "# [[match]]",
        '# ask = "the name of a query"',
        "",
        "# The answers with which the device refuses a request, as the maker writes them:",
        "# [[refusals]]",
        '# answer = "ERR{code:d}"',
        "",
        "# What stands in the place of a number that the device does not have:",
        "# [no_value]",
        '# words = ["---"]',
    ]
    written = with_points(facts, head, rows, _queries, PROFILE_FILES)
    case = new_case(PROFILE_FILES.parse(written.text, Path(f"{facts.name}.toml"))) if written.points else {}
    return NewProfile(text=written.text, points=written.points, refused=in_order(refused, written.refused), case=case)


def template_text(text: str) -> str:
    r"""Return a template or an end mark as TOML writes it; `\r` stays an escape, and what no printer shows becomes one."""
    escaped = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
    return f"'{escaped}'" if "\\" in escaped and "'" not in escaped else toml_text(escaped)


def _queries(rows: Sequence[CommandRow]) -> str:
    """Write a query for each request, with the points of its answer; it has the name of the first one."""
    first = {row.ask: at for at, row in reversed(list(enumerate(rows)))}
    tables: list[str] = []
    for ask, alike in groupby(sorted(rows, key=lambda row: first[row.ask]), key=lambda row: row.ask):
        points = list(alike)
        lines = ["[[queries]]", f"name = {toml_text(points[0].metric)}", f"ask = {template_text(ask)}"]
        lines.append(f"answer = {template_text(points[0].answer)}")
        tables += ["\n".join(lines), *("\n".join(_point(row)) for row in points)]
    return "\n\n".join(tables)


def _point(row: CommandRow) -> list[str]:
    lines = ["[[queries.points]]", f"metric = {toml_text(row.metric)}"]
    if row.field != row.metric:
        lines.append(f"field = {toml_text(row.field)}")
    if row.unit:
        lines.append(f"unit = {toml_text(row.unit)}")
    if row.scale != 1:
        lines.append(f"scale = {scale_text(row.scale)}")
    if row.values:
        pairs = ", ".join(f"{toml_text(raw)} = {toml_text(meaning)}" for raw, meaning in row.values.items())
        lines.append(f"values = {{ {pairs} }}")
    return lines
