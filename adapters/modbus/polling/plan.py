"""Plan the blocks that read a set of points in the least bus time. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from adapters.modbus.client.pdu import ADDRESSES, MAX_BITS, MAX_REGISTERS, ReadRequest, Table
from adapters.modbus.client.timing import ascii_pause_seconds, silence_seconds
from adapters.modbus.profile.decode import BlockDecoder
from adapters.modbus.profile.points import NEAR_REGISTERS, PlacedPoint
from gateway.adapter import Metric

MAX_BLOCK_SECONDS = 0.1
"""The longest block, unless a single point is longer: the next job on the bus waits for one block at most."""

ASSUMED_TURNAROUND_SECONDS = 0.005
"""The turnaround of a unit on a serial line until it has been measured."""

ASSUMED_ROUND_TRIP_SECONDS = 0.005
"""The turnaround of a TCP host until it has been measured."""

_FRAME_BYTES = 13
"""The characters of a request and its answer beside the payload: 8 and 5."""


@dataclass(frozen=True, slots=True)
class TransactionCost:
    """The time that transactions with one unit take on one bus.

    T(N) = (13 + payload) characters + 2 silences + turnaround (Modbus over Serial Line V1.02, sections 2.5.1 and 2.5.1.1). Over a
    network the characters cost nothing worth counting. With ASCII each byte is two characters, and a frame has one more (section
    2.5.2.1), which is counted with the pause.
    """

    character_seconds: float = 0.0
    silence_seconds: float = 0.0
    turnaround_seconds: float = ASSUMED_ROUND_TRIP_SECONDS
    pause_seconds: float = 0.0
    """The pause that the unit needs before each request."""

    @classmethod
    def of_line(
        cls,
        baudrate: int,
        bits_per_character: int = 11,
        turnaround_seconds: float = ASSUMED_TURNAROUND_SECONDS,
        *,
        is_ascii: bool = False,
    ) -> TransactionCost:
        """Return the cost on a serial line of this speed, in bits per second."""
        character = bits_per_character / baudrate
        if is_ascii:
            pause = ascii_pause_seconds(baudrate, bits_per_character) / 2 + character  # one pause for two frames: units need none
            return cls(2 * character, pause, turnaround_seconds)
        return cls(character, silence_seconds(baudrate, bits_per_character), turnaround_seconds)

    @property
    def overhead_seconds(self) -> float:
        """The time of a read without its payload."""
        return _FRAME_BYTES * self.character_seconds + 2 * self.silence_seconds + self.turnaround_seconds + self.pause_seconds

    @property
    def wait_seconds(self) -> float:
        """The time of each read, however short, that is not counted when a block is too long: more reads would only add to it."""
        return self.pause_seconds + (self.turnaround_seconds if self.turnaround_seconds > MAX_BLOCK_SECONDS / 2 else 0.0)

    def seconds(self, read: ReadRequest) -> float:
        """Return how long this read occupies the bus."""
        return self.overhead_seconds + read.payload_bytes * self.character_seconds


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One transaction: the read, and the points that it contains."""

    read: ReadRequest
    points: tuple[PlacedPoint, ...]
    factors: tuple[ReadRequest, ...] = ()
    """The reads of scale factors that are read separately: once, for all blocks that need them."""

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of its points."""
        return [point.metric for point in self.points]

    def decoder(self) -> BlockDecoder:
        """Return the compiled decoder of this block. It takes the bytes of the block followed by those of its scale factors."""
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

    def with_factors(self, payload: bytes, factors: Mapping[ReadRequest, bytes]) -> bytes:
        """Return the bytes for the decoder: those of the block followed by those of its scale factors, which were read before."""
        return payload + b"".join(factors[read] for read in self.factors) if self.factors else payload


BlockBoundary: TypeAlias = tuple[Table, int]
"""An address that no block spans, since the device refuses that."""


def plan_blocks(
    points: Iterable[PlacedPoint],
    cost: TransactionCost,
    *,
    read_through: int = 0,
    max_registers: int = MAX_REGISTERS,
    boundaries: Collection[BlockBoundary] = (),
) -> tuple[ReadBlock, ...]:
    """Return the blocks that read all points in the least time, each point complete and in exactly one of them.

    A hole is read through where that costs less than another request, which depends on the speed of the line and on the
    turnaround of the unit. A block that would take longer than `MAX_BLOCK_SECONDS` is split, unless it is a single point. A scale
    factor that does not fit into one block with its value is read separately.

    Args:
        points: in any order; each spans at most `MAX_REGISTERS`, which a profile ensures.
        cost: the time of a transaction.
        read_through: the longest hole, in addresses, that the device allows to be read; 0 and more.
        max_registers: how many registers the device returns in one answer, 1 to 125; a single point that is longer gets a block
            of its own.
        boundaries: addresses that no block spans.
    """
    limit = _limit(cost, max_registers)
    all_points = [_separately(point) if point.end - point.start > limit else point for point in points]
    return tuple(
        block
        for table in Table
        for block in _TablePlanner(table, cost, read_through, MAX_BITS if table.holds_bits else max_registers, boundaries).plan(
            all_points
        )
    )


@dataclass(frozen=True, slots=True)
class _TablePlanner:
    """The rules for the blocks of one table."""

    table: Table
    cost: TransactionCost
    read_through: int
    limit: int
    boundaries: Collection[BlockBoundary]

    def plan(self, all_points: Sequence[PlacedPoint]) -> Iterator[ReadBlock]:
        points = sorted((point for point in all_points if point.table is self.table), key=lambda point: (point.start, point.end))
        factors = self._factors(points)
        for first, last in pairwise(self._cuts(points)):
            group = points[first:last]
            start, end = group[0].start, max(point.end for point in group)
            yield ReadBlock(ReadRequest(self.table, start, end - start), tuple(group), _factors_of(group, factors))

    def _factors(self, points: Iterable[PlacedPoint]) -> list[ReadRequest]:
        """Return the reads that contain all separately read scale factors."""
        addresses = sorted({point.scale_factor for point in points if point.is_apart and point.scale_factor is not None})
        runs: list[list[int]] = []
        for address in addresses:
            if runs and address - runs[-1][0] < NEAR_REGISTERS and address - runs[-1][-1] - 1 <= self.read_through:
                runs[-1].append(address)
            else:
                runs.append([address])
        return [ReadRequest(self.table, run[0], run[-1] + 1 - run[0]) for run in runs]

    def _cuts(self, points: Sequence[PlacedPoint]) -> list[int]:
        """Return the indexes at which the points are cut into blocks, including the first and the last.

        The least time to read the first n points is the least time for some fewer points plus one block with the rest, regardless
        of the points after them: so it is computed for one number after the other, each from those before (dynamic programming).
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
        """Yield each block that begins with this point: the index after its last point, and its cost."""
        start, end = points[first].start, points[first].end
        boundary = min(
            (address for table, address in self.boundaries if table is self.table and address > start), default=ADDRESSES
        )
        alone = self.cost.seconds(ReadRequest(self.table, start, end - start))
        yield first + 1, alone
        for last in range(first + 1, len(points)):
            point = points[last]
            longer = max(end, point.end)
            if longer - start > self.limit or longer > boundary or point.start - end > self.read_through:
                return
            seconds = self.cost.overhead_seconds + self.cost.character_seconds * self._payload_bytes(longer - start)
            if seconds - self.cost.wait_seconds > MAX_BLOCK_SECONDS:
                return
            end = longer
            yield last + 1, seconds

    def _payload_bytes(self, count: int) -> int:
        return (count + 7) // 8 if self.table.holds_bits else 2 * count


def _limit(cost: TransactionCost, max_registers: int) -> int:
    """Return the longest span of a value and its scale factor, including both, that is read in one request."""
    payload_seconds = MAX_BLOCK_SECONDS - (cost.overhead_seconds - cost.wait_seconds)
    slice_registers = max_registers if cost.character_seconds == 0 else int(payload_seconds / (2 * cost.character_seconds))
    return min(max(NEAR_REGISTERS, slice_registers), max_registers)


def _separately(point: PlacedPoint) -> PlacedPoint:
    return point if point.scale_factor is None else replace(point, is_apart=True)


def _factors_of(points: Sequence[PlacedPoint], factors: Sequence[ReadRequest]) -> tuple[ReadRequest, ...]:
    """Return those of the reads that contain a scale factor of these points."""
    wanted = {point.scale_factor for point in points if point.is_apart}
    return tuple(read for read in factors if wanted & set(range(read.address, read.address + read.count)))
