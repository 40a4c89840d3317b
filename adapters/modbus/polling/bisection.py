"""Find the points of a block that cannot be read, by halving the block again and again. Pure.

One illegal address makes a whole block unreadable: the unit answers an exception for all of it, or does not answer. Halving reads
all its points but those. The larger parts are asked for first, so that most points are read after few requests, and so that
a block of which nothing can be read is left after few: its device may only be starting.

A unit that is silent to a read, or refuses it with exception 03, may not return so many registers. Then the shortest part is
asked for first, until one was read; a part as long as one that failed is halved without being asked for; and a single point that
is too long is read in parts of registers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from adapters.modbus.client.pdu import ReadRequest
from adapters.modbus.polling.plan import BlockBoundary, ReadBlock
from adapters.modbus.profile.points import PlacedPoint

ILLEGAL_VALUE: Final = 0x03
"""The exception code with which units refuse a read that is too long (Modbus Application Protocol V1.1b3, section 6.3)."""

FRUITLESS_BOUND: Final = 6
"""After this many parts, of which none could be read, a block is left: its two halves and its four quarters."""

TOO_LONG_BOUND: Final = 10
"""The same for a block that may be too long, also where some parts were read: silence costs a time-out for each."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a block to read now."""

    block: ReadBlock
    at_once: int | None = None
    """How many of its registers are read in one request; `None` for all of them."""

    @property
    def longest(self) -> int:
        """The most registers or bits in one request."""
        return self.block.read.count if self.at_once is None else self.at_once


@dataclass(slots=True)
class _Split:
    """The two halves of a block that was refused."""

    boundary: BlockBoundary
    halves_read: int = 0


@dataclass(frozen=True, slots=True)
class RefusedPoint:
    """A point that cannot be read even alone."""

    point: PlacedPoint
    code: int | None
    """The exception code; `None` for silence."""


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """How many registers a unit returns in one answer."""

    works: int
    """The longest read that it answered."""
    fails: int
    """The shortest that failed for its length."""


@dataclass(slots=True)
class Bisection:
    """The bisection of one block that failed: `next()` returns a part to read, `was_read()` or `failed()` take the outcome.

    Args:
        block: the block.
        code: the exception code of its refusal; `None` where it was not answered.
        is_complete: it is halved to the end, although nothing of it can be read.
        known: how many registers the unit returns, as far as that is known before.
    """

    block: ReadBlock
    code: int | None
    is_complete: bool = True
    known: LengthLimit | None = None
    refused: list[RefusedPoint] = field(default_factory=list)
    """The points that cannot be read even alone."""
    longest_read: int = 0
    """The longest part that was read."""
    is_given_up: bool = False
    """It was left before it was known which points are refused."""
    _splits: list[_Split] = field(default_factory=list)
    _open: deque[tuple[Part, _Split | None]] = field(default_factory=deque)
    _failed: list[ReadRequest] = field(default_factory=list)
    """Reads that failed and contain no point that is refused alone."""
    _fruitless: int = 0

    def __post_init__(self) -> None:
        self._halve(Part(self.block), self.code, None)

    def next(self) -> Part | None:
        """Return the part to read now; `None` when the bisection is complete, or given up."""
        if self.is_given_up:
            return None
        while self._open:
            if self._may_be_too_long and not self.longest_read:
                shortest = min(self._open, key=lambda item: item[0].longest)
                self._open.remove(shortest)
                self._open.appendleft(shortest)
            if not self._is_surely_too_long(self._open[0][0]):
                return self._open[0][0]
            part, split = self._open.popleft()
            self._halve(part, self.code, split)
        return None

    def was_read(self) -> None:
        """Record that the part was answered."""
        part, split = self._open.popleft()
        self.longest_read = max(self.longest_read, part.longest)
        if split is not None:
            split.halves_read += 1

    def failed(self, code: int | None) -> None:
        """Record that the part was refused with this code, or not answered, and halve it."""
        part, split = self._open.popleft()
        self._fruitless += 1
        self._halve(part, code, split)
        if self._may_be_too_long:
            is_enough = self._fruitless >= TOO_LONG_BOUND and (code is None or not self.longest_read)
        else:
            is_enough = self._fruitless >= FRUITLESS_BOUND and not self.longest_read
        self.is_given_up = bool(self._open) and is_enough and (code is None or not self.is_complete)

    @property
    def unresolved(self) -> list[PlacedPoint]:
        """The points of which it is not known whether they can be read: it was given up before."""
        return [point for part, _ in self._open for point in part.block.points]

    @property
    def boundaries(self) -> list[BlockBoundary]:
        """Addresses that no block may span: both sides can be read, but not in one request."""
        return [] if self.refused else [split.boundary for split in self._splits if split.halves_read == 2]

    @property
    def limit(self) -> LengthLimit | None:
        """How many registers the unit returns at once, where that explains what failed; `None` where the addresses do."""
        fails = min((read.count for read in self._failed), default=0)
        is_register = not self.block.read.table.holds_bits
        return LengthLimit(self.longest_read, fails) if is_register and 0 < self.longest_read < fails else None

    @property
    def _may_be_too_long(self) -> bool:
        return self.code is None or self.code == ILLEGAL_VALUE

    def _is_surely_too_long(self, part: Part) -> bool:
        if self.known is not None and part.longest >= self.known.fails:
            return not part.block.read.table.holds_bits
        fails = min((read.count for read in self._failed), default=None)
        return fails is not None and self.longest_read < fails <= part.longest

    def _halve(self, part: Part, code: int | None, split: _Split | None) -> None:
        may_be_too_long = code is None or code == ILLEGAL_VALUE
        at = _middle(part.block.points)
        if at is not None:
            if may_be_too_long:
                self._failed.append(part.block.read)
            left, right = part.block.points[:at], part.block.points[at:]
            halves = _Split((part.block.read.table, right[0].start))
            self._splits.append(halves)
            self._open.extend((Part(_part(part.block, half)), halves) for half in (left, right))
        elif may_be_too_long and part.longest > 1 and not part.block.read.table.holds_bits:
            read = part.block.read
            self._failed.append(ReadRequest(read.table, read.address, part.longest))
            self._open.append((Part(part.block, part.longest // 2), split))
        else:
            self.refused += [RefusedPoint(point, code) for point in part.block.points]
            self._failed = [read for read in self._failed if not _overlap(read, part.block.read)]


def _overlap(read: ReadRequest, other: ReadRequest) -> bool:
    return read.address < other.address + other.count and other.address < read.address + read.count


def _middle(points: Sequence[PlacedPoint]) -> int | None:
    """Return where to halve: at the hole nearest to the middle, else between two points; `None` if it cannot be halved."""
    spans = [(point.start, point.end) for point in points]
    cuts = [at for at in range(1, len(points)) if spans[at] != spans[at - 1]]
    if not cuts:
        return None
    reached = list(accumulate((end for _, end in spans), max))
    holes = [at for at in cuts if spans[at][0] > reached[at - 1]]
    quarter = len(points) / 4
    near = [at for at in holes if quarter <= at <= 3 * quarter]
    return min(near or cuts, key=lambda at: abs(at - len(points) / 2))


def _part(block: ReadBlock, points: Sequence[PlacedPoint]) -> ReadBlock:
    start, end = min(point.start for point in points), max(point.end for point in points)
    return ReadBlock(ReadRequest(block.read.table, start, end - start), tuple(points), block.factors)
