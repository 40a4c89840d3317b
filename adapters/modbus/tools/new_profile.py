"""Write a new Modbus profile from what a person says of a device and its table of registers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.points import raw_limits
from adapters.modbus.tools.new_case import dumped_cells, new_case
from adapters.modbus.tools.register_table import AddressNotation, TableRow, needs_notation, read_table
from gateway.adapter import NewProfile, ProfileFacts, completed_draft, in_order, scale_text, toml_text, with_points


def new_profile(facts: ProfileFacts) -> NewProfile:
    """Return the text of the profile, which loads as it is where the table has points.

    Raises:
        ValueError: the table or the draft is none, or how it counts is not clear; the text says what to do.
    """
    if facts.draft:
        return _from_draft(facts)
    if facts.addresses is None and needs_notation(facts.points):
        raise ValueError(
            "the addresses are such as 40001: say what is meant, `--addresses modicon` (40001 is the first holding register) "
            "or `--addresses protocol` (40001 is sent as it is)"
        )
    notation = cast("AddressNotation", facts.addresses or "protocol")
    table = read_table(facts.points, notation, Table(facts.table or Table.HOLDING))
    head = [
        "",
        "# How a scan recognizes the device; without it, name the profile under `devices` of the entry:",
        "# [[match]]",
        '# registers = [{ table = "holding", address = 0, equals = 1 }]',
        *_not_available(table.rows),
    ]
    written = with_points(facts, head, table.rows, _points, PROFILE_FILES)
    case = new_case(PROFILE_FILES.parse(written.text, Path(f"{facts.name}.toml"))) if written.points else {}
    return NewProfile(text=written.text, points=written.points, refused=in_order(table.refused, written.refused), case=case)


def _from_draft(facts: ProfileFacts) -> NewProfile:
    text = completed_draft(facts)
    profile = PROFILE_FILES.parse(text, Path(f"{facts.name}.toml"))
    return NewProfile(
        text=text, points=profile.point_count, refused=(), case=new_case(profile, dumped_cells(facts.draft) or None)
    )


def _not_available(rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield an empty rule for each type of whole numbers that the points have."""
    integers = sorted({row.type for row in rows if raw_limits(row.type) is not None})
    if integers:
        yield ""
        yield "# The numbers with which the device says that it has no value, as the maker writes them: uint16 = [0xFFFF]."
        yield "# An empty list says that the maker defines none."
        yield "[not_available]"
        yield from (f"{one} = []" for one in integers)


def _points(rows: Sequence[TableRow]) -> str:
    return "\n\n".join("\n".join(_point(row)) for row in rows)


def _point(row: TableRow) -> Iterator[str]:
    yield "[[points]]"
    yield f"metric = {toml_text(row.metric)}"
    if row.table is not Table.HOLDING:
        yield f'table = "{row.table}"'
    yield f"address = {row.address}"
    yield f'type = "{row.type}"'
    if row.length is not None:
        yield f"length = {row.length}"
    if row.low_word_first:
        yield 'word_order = "low-first"'
    if row.low_byte_first:
        yield 'byte_order = "low-first"'
    if row.scale != 1:
        yield f"scale = {scale_text(row.scale)}"
    if row.unit:
        yield f"unit = {toml_text(row.unit)}"
