"""Dump the readable registers of a device: yield the reads and receive the responses. Pure."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.modbus.client.pdu import ADDRESSES, ExceptionResponse, NoResponse, ReadRequest, Response, Table

DEFAULT_RANGES = ("input 0-999", "holding 0-999")
"""The registers in which most devices have their measurements."""

SEEDS = (*range(1000, 10_000, 1000), *range(0x1000, 0x10000, 0x100), *range(10_000, 65_000, 10_000))
"""Addresses at which devices begin a range of registers, apart from 0. Two registers are read there first; then the rest."""

BLOCK = 100
SEED = 2

READS_BOUND = 5000
"""The most reads of a dump: two ranges of a thousand registers of which none is legal take 4,000."""


class InvalidRange(ValueError):
    """A text is not a range of registers."""


def parse_range(text: str) -> tuple[Table, int, int]:
    """Return `"holding 0-999"` as the table, the first address and the one after the last.

    Raises:
        InvalidRange: it is not one; the message shows the format.
    """
    matched = re.fullmatch(r"\s*(holding|input)\s+(\d+|0x[0-9a-f]+)(?:\s*-\s*(\d+|0x[0-9a-f]+))?\s*", text, re.IGNORECASE)
    if matched is None:
        raise InvalidRange(f'{text!r} is not a range of registers: write "holding 0-999" or "input 0x100-0x1ff"')
    first = int(matched[2], 0)
    end = int(matched[3] or matched[2], 0) + 1
    if not first < end <= ADDRESSES:
        raise InvalidRange(f"{text!r}: addresses rise, and end at {ADDRESSES - 1}")
    return Table(matched[1].lower()), first, end


def dump_registers(where: Sequence[str]) -> Generator[ReadRequest, Response, dict[str, dict[int, int]]]:
    """Yield the reads, receive the responses, and return the registers: table -> address -> word.

    Raises:
        InvalidRange: one of the ranges is invalid.
    """
    ranges = [parse_range(text) for text in where or DEFAULT_RANGES]
    blocks = ((table, at, min(BLOCK, end - at)) for table, first, end in ranges for at in range(first, end, BLOCK))
    waiting = [ReadRequest(*block) for block in blocks][::-1]
    if not where:
        waiting = [*_seeds(), *waiting]
    cells: dict[str, dict[int, int]] = {}
    too_long = _TooLong()
    for _ in range(READS_BOUND):
        if not waiting:
            break
        read = waiting.pop()
        if read.count > 1 and too_long.holds_for(read):
            waiting += _halves(read)
            continue
        answer = yield read
        too_long.learn(read, answer)
        if isinstance(answer, bytes):
            words = {read.address + at // 2: int.from_bytes(answer[at : at + 2]) for at in range(0, len(answer), 2)}
            known = cells.setdefault(str(read.table), {})
            known.update(words)
            if not where and read.address in SEEDS and read.count == SEED:
                waiting += _around(read, known)
        elif isinstance(answer, ExceptionResponse | NoResponse) and read.count > 1:
            waiting += _halves(read)
    return cells


def _halves(read: ReadRequest) -> list[ReadRequest]:
    """Return the halves of a read, the first one last."""
    half = read.count // 2
    return [
        ReadRequest(read.table, read.address + half, read.count - half),
        ReadRequest(read.table, read.address, half),
    ]


@dataclass(slots=True)
class _TooLong:
    """The reads that are not answered for their length: shorter ones from the same address are."""

    longest: int = 0
    """The longest read that was answered with registers."""
    shortest: int | None = None
    """The shortest that was not answered, and from whose address a shorter one was."""
    _silent: dict[tuple[Table, int], int] = field(default_factory=dict)

    def holds_for(self, read: ReadRequest) -> bool:
        """Return whether this read need not be tried."""
        return self.shortest is not None and self.longest < self.shortest <= read.count

    def learn(self, read: ReadRequest, answer: Response) -> None:
        """Take over what became of a read."""
        place = (read.table, read.address)
        if isinstance(answer, NoResponse):
            self._silent[place] = read.count
        elif isinstance(answer, bytes):
            self.longest = max(self.longest, read.count)
            if (silent := self._silent.pop(place, None)) is not None:
                self.shortest = silent if self.shortest is None else min(silent, self.shortest)


def _seeds() -> list[ReadRequest]:
    return [ReadRequest(table, address, SEED) for table in (Table.HOLDING, Table.INPUT) for address in reversed(SEEDS)]


def _around(seed: ReadRequest, known: Mapping[int, int]) -> list[ReadRequest]:
    """Return the blocks that begin at a readable seed, without those that are known already."""
    starts = (seed.address + BLOCK, seed.address + SEED)
    return [ReadRequest(seed.table, start, BLOCK) for start in starts if start not in known and start + BLOCK <= ADDRESSES]


def fewest_reads(where: Sequence[str]) -> int:
    """Return how many reads a dump of these ranges needs when nothing is refused."""
    ranges = [parse_range(text) for text in where or DEFAULT_RANGES]
    return sum(-(-(end - first) // BLOCK) for _, first, end in ranges) + (0 if where else 2 * len(SEEDS))
