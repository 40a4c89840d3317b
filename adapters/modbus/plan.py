"""Which blocks to read for which points. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adapters.modbus.pdu import MAX_BITS, MAX_REGISTERS, Read, Table
from adapters.modbus.points import PlacedPoint
from adapters.modbus.registers import BlockDecoder


@dataclass(frozen=True, slots=True)
class Block:
    """One transaction: what to read, and the points that are in it."""

    read: Read
    points: tuple[PlacedPoint, ...]

    def decoder(self) -> BlockDecoder:
        """Return the compiled decoder of this block."""
        return BlockDecoder(self.read.table, self.read.address, self.points)


def plan(points: Iterable[PlacedPoint], *, max_gap: int, max_registers: int = MAX_REGISTERS) -> tuple[Block, ...]:
    """Return the fewest blocks that hold all points, each point whole and in exactly one of them.

    Args:
        points: in any order; each spans at most `MAX_REGISTERS`, which a profile makes sure of.
        max_gap: holes of at most so many places are read through, 0 and more.
        max_registers: registers in one block, 1 to 125; a single point that is longer gets a block of its own.
    """
    everything = list(points)
    return tuple(
        block
        for table in Table
        for block in _plan_table(
            table,
            [point for point in everything if point.table is table],
            max_gap=max_gap,
            limit=MAX_BITS if table.holds_bits else max_registers,
        )
    )


def worthwhile_gap(baudrate: int, turnaround_seconds: float = 0.005, bits_per_character: int = 11) -> int:
    """Return the longest hole, in registers, that costs less to read through on a serial line than another request does.

    Another request costs 13 characters, two silences and the turnaround of the device; a register in a hole costs 2 characters.
    """
    character = bits_per_character / baudrate
    return int((13 * character + 2 * silence_seconds(baudrate, bits_per_character) + turnaround_seconds) / (2 * character))


def silence_seconds(baudrate: int, bits_per_character: int = 11) -> float:
    """Return how long a line must be silent between two frames (Modbus over Serial Line V1.02, section 2.5.1.1)."""
    return 3.5 * bits_per_character / baudrate if baudrate <= 19200 else 0.00175


def _plan_table(table: Table, points: list[PlacedPoint], *, max_gap: int, limit: int) -> Iterator[Block]:
    group: list[PlacedPoint] = []
    start = end = 0
    for point in sorted(points, key=lambda point: (point.start, point.end)):
        if group and point.start <= end + max_gap and max(end, point.end) - start <= limit:
            group.append(point)
            end = max(end, point.end)
        else:
            if group:
                yield Block(Read(table, start, end - start), tuple(group))
            group, start, end = [point], point.start, point.end
    if group:
        yield Block(Read(table, start, end - start), tuple(group))
