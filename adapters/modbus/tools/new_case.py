"""Write the first case folder of a new Modbus profile: what a device answers, and what the profile makes of it. Pure."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby

from adapters.modbus.client.pdu import Table
from adapters.modbus.polling.plan import TransactionCost, plan_blocks
from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, Encoding, PlacedPoint, ValueType
from adapters.modbus.profile.profile import Profile
from gateway.adapter import MADE_ORIGIN, Value, toml_text, toml_value

FIRST_NUMBER = 101
"""The raw number of the first point; that of the next one is one larger."""

DUMPED_ORIGIN = "read from the device by scan --drafts: say which device, with which firmware"

Cells = Mapping[Table, Mapping[int, int]]
"""Table -> 0-based address -> word or bit."""


def new_case(profile: Profile, cells: Cells | None = None) -> dict[str, str]:
    """Return the files of the case folder, name -> text.

    Args:
        profile: without SunSpec models and repetitions.
        cells: what a device answered; left out, each point gets a made value.
    """
    points = list(profile.place(frozenset(profile.intervals)))
    answered = made_cells(points) if cells is None else cells
    device = [
        f"origin = {toml_text(MADE_ORIGIN if cells is None else DUMPED_ORIGIN)}",
        "unit = 1",
        "configured = true   # delete this when the profile has a `match`: then a scan has to find the device",
    ]
    for table in Table:
        if answered.get(table):
            device += ["", f"[{table}]", *_content(table, answered[table])]
    readings = _readings(points, answered)
    expected = [
        "[found]",
        f"family = {toml_text(profile.family)}",
        "",
        "[readings]",
        *(f"{metric} = {toml_value(value)}" for metric, value in readings.items()),
    ]
    return {"device.toml": "\n".join(device) + "\n", "expected.toml": "\n".join(expected) + "\n"}


def made_cells(points: list[PlacedPoint]) -> Cells:
    """Return words and bits with a small number, `true` or a few letters in each point."""
    cells: defaultdict[Table, dict[int, int]] = defaultdict(dict)
    for number, point in enumerate(points, start=FIRST_NUMBER):
        if point.table.holds_bits:
            cells[point.table][point.address] = 1
        else:
            cells[point.table].update(enumerate(_words(point.encoding, number), start=point.address))
    return cells


def _words(encoding: Encoding, number: int) -> list[int]:
    if encoding.type in NUMBER_FORMATS:
        made = number + 0.5 if encoding.type in FLOATS else number
        content = struct.pack(f">{NUMBER_FORMATS[encoding.type]}", made)
    elif encoding.type is ValueType.STRING:
        content = f"X{number}"[: 2 * encoding.words].encode().ljust(2 * encoding.words, b"\0")
    else:
        content = b"\0\1" * encoding.words
    words = [word for (word,) in struct.iter_unpack("<H" if encoding.low_byte_first else ">H", content)]
    return words[::-1] if encoding.low_word_first else words


def _content(table: Table, cells: Mapping[int, int]) -> Iterator[str]:
    """Yield a line for each run of at most 16 neighbours."""
    for _, run in groupby(enumerate(sorted(cells)), key=lambda placed: placed[1] - placed[0]):
        addresses = [address for _, address in run]
        for at in range(0, len(addresses), 16):
            part = [cells[address] for address in addresses[at : at + 16]]
            digits = "".join(map(str, part)) if table.holds_bits else " ".join(f"{word:04x}" for word in part)
            yield f'{addresses[at]} = "{digits}"'


def _readings(points: list[PlacedPoint], cells: Cells) -> dict[str, Value]:
    """Return what the profile decodes of these cells; a point that lacks one of its cells has no reading."""
    readings: dict[str, Value] = {}
    for point in points:
        (block,) = plan_blocks([point], TransactionCost())
        content, read = cells.get(point.table, {}), block.read
        if not all(at in content for at in range(read.address, read.address + read.count)):
            continue
        held = [content[at] for at in range(read.address, read.address + read.count)]
        payload = bytes(held) if read.table.holds_bits else struct.pack(f">{len(held)}H", *held)
        readings.update((one.metric.name, one.value) for one in block.decoder().decode(payload, "1", datetime.now(UTC)))
    return readings


def dumped_cells(draft: str) -> Cells:
    """Return the cells that a draft of a scan lists in its last comment."""
    cells: dict[Table, dict[int, int]] = {}
    table: Table | None = None
    for line in draft.splitlines():
        if begin := re.fullmatch(r"# (\w+), all that could be read:", line):
            table = next((one for one in Table if one == begin[1]), None)
        elif table is not None and (row := re.fullmatch(r"# +(\d+): ((?:[0-9a-f]{4} ?)+)", line)):
            cells.setdefault(table, {}).update((int(row[1]) + place, int(word, 16)) for place, word in enumerate(row[2].split()))
    return cells
