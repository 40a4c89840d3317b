"""Which blocks to read for which points, and what each costs the bus. Nothing here waits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from adapters.modbus.client.pdu import ADDRESSES, MAX_BITS, MAX_REGISTERS, Read, Table
from adapters.modbus.client.timing import silence_seconds
from adapters.modbus.profile.decode import BlockDecoder
from adapters.modbus.profile.points import PlacedPoint
from gateway.adapter import Metric

SLICE_SECONDS = 0.1
"""A block takes no longer, unless a single point does: whoever is next in line on the bus waits for one block at most."""

ASSUMED_TURNAROUND_SECONDS = 0.005
"""What a unit on a serial line is expected to take before it answers, until it has been measured."""

ASSUMED_ROUND_TRIP_SECONDS = 0.005
"""What a TCP host is expected to take for an answer, until it has been measured."""

NEAR = 32
"""A scale factor so many registers away is always read with its value; one further away, as long as both fit into a slice."""

_FRAME_BYTES = 13
"""Characters of a request and its answer beside the payload: 8 and 5."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a transaction costs on one bus with one unit.

    T(N) = (13 + payload) characters + 2 silences + turnaround (Modbus over Serial Line V1.02, sections 2.5.1 and 2.5.1.1). Over a
    network the characters cost nothing worth counting.
    """

    character_seconds: float = 0.0
    silence_seconds: float = 0.0
    turnaround_seconds: float = ASSUMED_ROUND_TRIP_SECONDS

    @classmethod
    def of_line(cls, baudrate: int, bits_per_character: int = 11, turnaround_seconds: float = ASSUMED_TURNAROUND_SECONDS) -> Pace:
        """Return the pace of a serial line of this speed, in bits per second."""
        character = bits_per_character / baudrate
        return cls(character, silence_seconds(baudrate, bits_per_character), turnaround_seconds)

    @property
    def overhead_seconds(self) -> float:
        """What every read costs, however short."""
        return _FRAME_BYTES * self.character_seconds + 2 * self.silence_seconds + self.turnaround_seconds

    def seconds(self, read: Read) -> float:
        """Return how long this read takes the bus."""
        return self.overhead_seconds + read.payload_bytes * self.character_seconds


@dataclass(frozen=True, slots=True)
class Block:
    """One transaction: what to read, and the points that are in it."""

    read: Read
    points: tuple[PlacedPoint, ...]
    factors: tuple[Read, ...] = ()
    """Where the scale factors stand that are read apart: once, for all blocks that need them."""

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that it gives."""
        return [point.metric for point in self.points]

    def decoder(self) -> BlockDecoder:
        """Return the compiled decoder of this block. It takes the bytes of the block with those of its factors behind them."""
        if not self.factors:
            return BlockDecoder(self.read.table, self.read.address, self.points)
        addresses = [address for read in self.factors for address in range(read.address, read.address + read.count)]
        behind = {address: place for place, address in enumerate(addresses, start=self.read.address + self.read.count)}
        points = [
            replace(point, scale_factor=behind[point.scale_factor])
            if point.is_apart and point.scale_factor is not None
            else point
            for point in self.points
        ]
        return BlockDecoder(self.read.table, self.read.address, points)

    def with_factors(self, payload: bytes, factors: Mapping[Read, bytes]) -> bytes:
        """Return the bytes for the decoder: those of the block, and of its factors, which were read before."""
        return payload + b"".join(factors[read] for read in self.factors) if self.factors else payload


Seam: TypeAlias = tuple[Table, int]
"""No block spans both sides of this address: the device refuses that."""


def plan(
    points: Iterable[PlacedPoint],
    pace: Pace,
    *,
    read_through: int = 0,
    max_registers: int = MAX_REGISTERS,
    seams: Collection[Seam] = (),
) -> tuple[Block, ...]:
    """Return the blocks that read all points in the least time, each point whole and in exactly one of them.

    A hole is read through where that costs less than another request, which depends on the speed of the line and on how long the
    unit takes to answer. A block that would take longer than `SLICE_SECONDS` is two, unless it is a single point. A scale factor
    that does not fit into a slice with its value is read apart.

    Args:
        points: in any order; each spans at most `MAX_REGISTERS`, which a profile makes sure of.
        pace: what a transaction costs.
        read_through: the device lets holes of at most so many places be read; 0 and more.
        max_registers: the device gives so many registers in one answer, 1 to 125; a single point that is longer gets a block of
            its own.
        seams: boundaries that no block spans.
    """
    limit = _limit(pace, max_registers)
    everything = [_apart(point) if point.end - point.start > limit else point for point in points]
    return tuple(
        block
        for table in Table
        for block in _Table(table, pace, read_through, MAX_BITS if table.holds_bits else max_registers, seams).plan(everything)
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """The rules for the blocks of one table."""

    table: Table
    pace: Pace
    read_through: int
    limit: int
    seams: Collection[Seam]

    def plan(self, everything: Sequence[PlacedPoint]) -> Iterator[Block]:
        points = sorted((point for point in everything if point.table is self.table), key=lambda point: (point.start, point.end))
        factors = self._factors(points)
        for first, last in pairwise(self._cuts(points)):
            group = points[first:last]
            start, end = group[0].start, max(point.end for point in group)
            yield Block(Read(self.table, start, end - start), tuple(group), _needed(group, factors))

    def _factors(self, points: Iterable[PlacedPoint]) -> list[Read]:
        """Return the reads that hold all scale factors that are read apart."""
        addresses = sorted({point.scale_factor for point in points if point.is_apart and point.scale_factor is not None})
        runs: list[list[int]] = []
        for address in addresses:
            if runs and address - runs[-1][0] < NEAR and address - runs[-1][-1] - 1 <= self.read_through:
                runs[-1].append(address)
            else:
                runs.append([address])
        return [Read(self.table, run[0], run[-1] + 1 - run[0]) for run in runs]

    def _cuts(self, points: Sequence[PlacedPoint]) -> list[int]:
        """Return where the points are cut into blocks, the first place and the last one included.

        The least time to read the first n points is that for some fewer of them plus one block with the rest, whatever comes
        after: so it is found for one number after the other, each from those before.
        """
        least = [0.0] + [float("inf")] * len(points)
        cut_before = [0] * (len(points) + 1)
        for first in range(len(points)):
            for last, seconds in self._blocks_from(points, first):
                if least[first] + seconds < least[last]:
                    least[last], cut_before[last] = least[first] + seconds, first
        cuts = [len(points)]
        while cuts[-1] > 0:
            cuts.append(cut_before[cuts[-1]])
        return cuts[::-1]

    def _blocks_from(self, points: Sequence[PlacedPoint], first: int) -> Iterator[tuple[int, float]]:
        """Yield each block that begins with this point: the place after its last one, and what it costs."""
        start, end = points[first].start, points[first].end
        seam = min((address for table, address in self.seams if table is self.table and address > start), default=ADDRESSES)
        alone = self.pace.seconds(Read(self.table, start, end - start))
        yield first + 1, alone
        for last in range(first + 1, len(points)):
            point = points[last]
            longer = max(end, point.end)
            if longer - start > self.limit or longer > seam or point.start - end > self.read_through:
                return
            seconds = self.pace.overhead_seconds + self.pace.character_seconds * self._payload_bytes(longer - start)
            if seconds > SLICE_SECONDS:
                return
            end = longer
            yield last + 1, seconds

    def _payload_bytes(self, count: int) -> int:
        return (count + 7) // 8 if self.table.holds_bits else 2 * count


def _limit(pace: Pace, max_registers: int) -> int:
    """Return how far apart a value and its scale factor may be, with both of them, to be read at once."""
    room = SLICE_SECONDS - pace.overhead_seconds
    slice_registers = max_registers if pace.character_seconds == 0 else int(room / (2 * pace.character_seconds))
    return min(max(NEAR, slice_registers), max_registers)


def _apart(point: PlacedPoint) -> PlacedPoint:
    return point if point.scale_factor is None else replace(point, is_apart=True)


def _needed(points: Sequence[PlacedPoint], factors: Sequence[Read]) -> tuple[Read, ...]:
    """Return those of the reads that hold a scale factor of these points."""
    wanted = {point.scale_factor for point in points if point.is_apart}
    return tuple(read for read in factors if wanted & set(range(read.address, read.address + read.count)))
