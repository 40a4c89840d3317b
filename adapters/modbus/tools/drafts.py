"""Draft a profile from the registers of a device that no profile fits. Pure.

The draft is a profile that loads as it is. A person has to add the meaning of its points: a comment beside each has the content
and other ways to decode it, and texts that look like a name or a serial number are listed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from gateway.adapter import Draft, Dump, Found, slug, toml_text

MOST_POINTS = 60
"""The most points of a draft; the other registers are in its dump."""

SHORTEST_TEXT = 4
"""The fewest printable characters in a row that are taken for a text."""


def draft(found: Found, dump: Dump) -> Draft:
    """Return a draft profile of this device."""
    name = f"draft-{slug(found.manufacturer or 'device')}-{slug(found.model or f'unit-{found.address}')}"
    points = [line for table in ("input", "holding") for line in _points(table, dump.cells.get(table, {}))]
    lines = [
        f"# A draft, made from the readable registers of the device at unit {found.address}. It loads as it is; to finish it:",
        "#  1. Describe the device: maker, title, sub_model, and the document that you use.",
        "#  2. Name the points that you need, set unit, scale and type by the document, and delete the others.",
        "#     `xyte-gateway find-register` finds the register of a value that you see on the display.",
        "#  3. Add how the device is recognized, under [[match]], or name it in the config under `devices`.",
        f"#  4. xyte-gateway profile new --from {name}.toml   asks for 1 and writes a case folder, now or at the end",
        f"#  5. xyte-gateway profile check {name}.toml",
        "#",
        "# What the device answered:",
        *(f"#   {_one_line(asked)}: {_one_line(answered)}" for asked, answered in found.evidence.items()),
        "",
        f'name = "{name}"',
        f"title = {toml_text(found.model or f'Unknown device at unit {found.address}')}",
        'family = "unknown"',
        "",
        "[source]",
        'document = "draft: read from the device itself, with no document at hand"',
        'edition = "none"',
        'section = "none"',
        "",
        *_match(found),
        "[not_available]",
        "uint16 = []",
        "",
        *_texts(dump),
        *points,
        "",
        *_hex_dump(dump),
    ]
    return Draft(file_name=f"{name}.toml", text="\n".join(lines) + "\n")


def _match(found: Found) -> Iterator[str]:
    if found.manufacturer:
        product = f", product = {_pattern(found.model)}" if found.model else ""
        yield "[[match]]"
        yield f"identification = {{ vendor = {_pattern(found.manufacturer)}{product} }}"
        yield ""


def _points(table: str, cells: Mapping[int, int]) -> Iterator[str]:
    taken: set[int] = set()
    count = 0
    for address, word in sorted(cells.items()):
        if address in taken or word == 0 or count >= MOST_POINTS // 2:
            continue
        count += 1
        floating = _float(cells, address)
        taken |= {address, address + 1} if floating is not None else {address}
        yield ""
        yield f"# {_decodings(cells, address)}"
        yield "[[points]]"
        yield f'metric = "{table}_{address}"'
        yield f"address = {address}"
        if table == "input":
            yield 'table = "input"'
        yield f'type = "{"uint16" if floating is None else "float32"}"'
    if not count:
        free = min(cells, default=0)
        yield from ("", "# Every register that could be read held 0.") if cells else ()
        yield from ("[[points]]", f'metric = "{table}_{free}"', f"address = {free}", f'table = "{table}"') if cells else ()


def _float(cells: Mapping[int, int], address: int) -> float | None:
    """Return the float at this address, if it is a number that devices measure."""
    if address + 1 not in cells:
        return None
    value: float = struct.unpack(">f", struct.pack(">2H", cells[address], cells[address + 1]))[0]
    return value if isfinite(value) and 1e-3 <= abs(value) <= 1e7 else None


def _decodings(cells: Mapping[int, int], address: int) -> str:
    word = cells[address]
    decodings = [f"{word:04x}: uint16 {word}"]
    if word & 0x8000:
        decodings.append(f"int16 {word - 0x10000}")
    if address + 1 in cells:
        both = cells[address] << 16 | cells[address + 1]
        decodings.append(f"with the next one uint32 {both}")
        if (floating := _float(cells, address)) is not None:
            decodings.append(f"float32 {floating:.6g}")
        swapped = struct.unpack(">f", struct.pack(">2H", cells[address + 1], cells[address]))[0]
        if isfinite(swapped) and 1e-3 <= abs(swapped) <= 1e7:
            decodings.append(f"float32 with the low word first {swapped:.6g}")
    return ", ".join(decodings)


def _texts(dump: Dump) -> Iterator[str]:
    for table, cells in dump.cells.items():
        for start, text in _runs_of_text(cells):
            length = (len(text) + 1) // 2
            yield f'# {table} {start} holds a text: "{text}". If it is a serial number:'
            yield "# [identity]"
            yield f'# serial_number = {{ table = "{table}", address = {start}, type = "string", length = {length} }}'


def _runs_of_text(cells: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    start, text = 0, ""
    for address in (*sorted(cells), -1):
        characters = struct.pack(">H", cells.get(address, 0)).decode("latin-1").rstrip("\0")
        is_text = bool(characters) and all(" " <= character <= "~" for character in characters)
        if is_text and text and address == start + (len(text) + 1) // 2:
            text += characters
            continue
        if len(text.strip()) >= SHORTEST_TEXT and re.search("[A-Za-z0-9]{3}", text):
            yield start, text.strip().replace('"', "'")
        start, text = address, characters if is_text else ""


def _hex_dump(dump: Dump) -> Iterator[str]:
    for table, cells in dump.cells.items():
        yield f"# {table}, all that could be read:"
        for row in _rows(sorted(cells)):
            yield f"#   {row[0]:5}: " + " ".join(f"{cells[address]:04x}" for address in row)


def _rows(addresses: Sequence[int]) -> Iterator[list[int]]:
    row: list[int] = []
    for address in addresses:
        if row and (address != row[-1] + 1 or len(row) == 16):
            yield row
            row = []
        row.append(address)
    if row:
        yield row


def _pattern(text: str) -> str:
    escaped = re.escape(_one_line(text))
    return toml_text(re.sub(r"\\([ -])", r"\1", escaped))  # a blank and a hyphen need no escaping in a pattern


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
