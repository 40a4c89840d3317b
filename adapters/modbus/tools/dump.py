"""Which registers of a device can be read, and what stands in them. Nothing here waits: it yields reads and is sent answers."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence

from adapters.modbus.client.pdu import ADDRESSES, Answer, Read, Refused, Silence, Table

DEFAULT_RANGES = ("input 0-999", "holding 0-999")
"""Where most devices have what they measure."""

SEEDS = (*range(1000, 10_000, 1000), *range(0x1000, 0x10000, 0x100), *range(10_000, 65_000, 10_000))
"""Where devices begin a range of registers, where it is not at 0. Two are asked for; only if they can be read, the rest is."""

BLOCK = 100
SEED = 2

READS_BOUND = 5000
"""A dump never asks more often: two ranges of a thousand registers of which none is legal take 4,000."""


class WrongRange(ValueError):
    """What was given is no range of registers."""


def parse_range(text: str) -> tuple[Table, int, int]:
    """Return `"holding 0-999"` as the table, the first address and the one after the last.

    Raises:
        WrongRange: it is none; the text says what one looks like.
    """
    matched = re.fullmatch(r"\s*(holding|input)\s+(\d+|0x[0-9a-f]+)(?:\s*-\s*(\d+|0x[0-9a-f]+))?\s*", text, re.IGNORECASE)
    if matched is None:
        raise WrongRange(f'{text!r} is no range of registers: write "holding 0-999" or "input 0x100-0x1ff"')
    first = int(matched[2], 0)
    end = int(matched[3] or matched[2], 0) + 1
    if not first < end <= ADDRESSES:
        raise WrongRange(f"{text!r}: addresses rise, and end at {ADDRESSES - 1}")
    return Table(matched[1].lower()), first, end


def dump(where: Sequence[str]) -> Generator[Read, Answer, dict[str, dict[int, int]]]:
    """Yield what to read, be sent the answers, and return the registers: table -> address -> word.

    Raises:
        WrongRange: one of the ranges is none.
    """
    ranges = [parse_range(text) for text in where or DEFAULT_RANGES]
    waiting = [Read(table, at, min(BLOCK, end - at)) for table, first, end in ranges for at in range(first, end, BLOCK)][::-1]
    if not where:
        waiting = [*_seeds(), *waiting]
    cells: dict[str, dict[int, int]] = {}
    for _ in range(READS_BOUND):
        if not waiting:
            break
        read = waiting.pop()
        answer = yield read
        if isinstance(answer, bytes):
            words = {read.address + at // 2: int.from_bytes(answer[at : at + 2]) for at in range(0, len(answer), 2)}
            known = cells.setdefault(str(read.table), {})
            known.update(words)
            if not where and read.address in SEEDS and read.count == SEED:
                waiting += _around(read, known)
        elif isinstance(answer, Refused | Silence) and read.count > 1:
            half = read.count // 2
            waiting.append(Read(read.table, read.address + half, read.count - half))
            waiting.append(Read(read.table, read.address, half))
    return cells


def _seeds() -> list[Read]:
    return [Read(table, address, SEED) for table in (Table.HOLDING, Table.INPUT) for address in reversed(SEEDS)]


def _around(seed: Read, known: Mapping[int, int]) -> list[Read]:
    """Return the blocks that begin at a seed that can be read, but for what is known already."""
    starts = (seed.address + BLOCK, seed.address + SEED)
    return [Read(seed.table, start, BLOCK) for start in starts if start not in known and start + BLOCK <= ADDRESSES]


def reads_at_least(where: Sequence[str]) -> int:
    """Return how many reads a dump of these ranges takes when nothing is refused."""
    ranges = [parse_range(text) for text in where or DEFAULT_RANGES]
    return sum(-(-(end - first) // BLOCK) for _, first, end in ranges) + (0 if where else 2 * len(SEEDS))
