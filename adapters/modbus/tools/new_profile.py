"""Write a new Modbus profile from what a person says of a device and its table of registers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from adapters.modbus.client.pdu import Table
from adapters.modbus.tools.drafts import quoted
from adapters.modbus.tools.register_table import AddressNotation, TableRow, needs_notation, read_table
from gateway.adapter import NewProfile, ProfileFacts


def new_profile(facts: ProfileFacts) -> NewProfile:
    """Return the text of the profile, which loads as it is where the table has points.

    Raises:
        ValueError: the table is none, or how it counts is not clear; the text says what to do.
    """
    if facts.addresses is None and needs_notation(facts.points):
        raise ValueError(
            "the addresses are such as 40001: say what is meant, `--addresses modicon` (40001 is the first holding register) "
            "or `--addresses protocol` (40001 is sent as it is)"
        )
    notation = cast("AddressNotation", facts.addresses or "protocol")
    table = read_table(facts.points, notation, Table(facts.table or Table.HOLDING))
    lines = [
        f"name = {quoted(facts.name)}",
        *([f"maker = {quoted(facts.maker)}"] if facts.maker else []),
        f"title = {quoted(facts.title)}",
        f"family = {quoted(facts.family)}",
        "",
        "[source]",
        f"document = {quoted(facts.document)}",
        f"edition = {quoted(facts.edition)}",
        f"section = {quoted(facts.section)}",
        "",
        "# How a scan recognizes the device; without it, name the profile under `devices` of the entry:",
        "# [[match]]",
        '# registers = [{ table = "holding", address = 0, equals = 1 }]',
    ]
    for row in table.rows:
        lines += ["", *_point(row)]
    return NewProfile(text="\n".join(lines) + "\n", points=len(table.rows), refused=tuple(table.refused))


def _point(row: TableRow) -> Iterator[str]:
    yield "[[points]]"
    yield f"metric = {quoted(row.metric)}"
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
        yield f"scale = {row.scale:.12g}" if row.scale % 1 else f"scale = {row.scale:.1f}"
    if row.unit:
        yield f"unit = {quoted(row.unit)}"
