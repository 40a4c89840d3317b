"""Find the points of a device model that cannot be read, by bisecting the blocks that a unit refuses. Pure.

One illegal address makes a whole block unreadable: the unit answers an exception for all of it. Halving it again and again reads
all its points but the refused ones. The result is stored by profile, model and firmware version, so that it costs a few
transactions once and not for each unit; it is determined again when the firmware changes, and regularly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate

from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.polling.plan import BlockBoundary, ReadBlock
from adapters.modbus.profile.points import PlacedPoint

ADDRESS_EXCEPTIONS = frozenset({0x01, 0x02, 0x03, 0x04})
"""Exception codes with which units refuse addresses. 02 is meant for it; there are units that use each of the others. Busy (06),
acknowledge (05) and the codes of a Modbus gateway (0A, 0B) do not depend on the address."""

EXCLUDED_FOR = timedelta(days=1)
"""How long a point that cannot be read is left out before it is tried again."""

EXCLUDED_BRIEFLY_FOR = timedelta(minutes=10)
"""The same where a whole block was refused with another code than 02: the device may only be starting."""

ILLEGAL_ADDRESS = 0x02


@dataclass(slots=True)
class _Split:
    """The two halves of a block that was refused."""

    boundary: BlockBoundary
    halves_read: int = 0


class Bisection:
    """The bisection of one refused block: `next()` returns a part to read, `was_read()` or `was_refused()` take the outcome."""

    def __init__(self, block: ReadBlock) -> None:
        self.refused: list[PlacedPoint] = []
        """Points that cannot be read even alone."""
        self.has_read = False
        """At least one part of the block could be read."""
        self._splits: list[_Split] = []
        self._open: list[tuple[ReadBlock, _Split]] = []
        self._split(block)

    def next(self) -> ReadBlock | None:
        """Return the part to read now; `None` when the bisection is complete."""
        return self._open[-1][0] if self._open else None

    def was_read(self) -> None:
        """Record that the part was answered."""
        _, split = self._open.pop()
        split.halves_read += 1
        self.has_read = True

    def was_refused(self) -> None:
        """Record that the part was refused, too, and halve it."""
        block, _ = self._open.pop()
        self._split(block)

    @property
    def boundaries(self) -> list[BlockBoundary]:
        """Addresses that no block may span: both sides can be read, but not in one request."""
        return [] if self.refused else [split.boundary for split in self._splits if split.halves_read == 2]

    def _split(self, block: ReadBlock) -> None:
        at = _middle(block.points)
        if at is None:
            self.refused += block.points
            return
        left, right = block.points[:at], block.points[at:]
        split = _Split((block.read.table, right[0].start))
        self._splits.append(split)
        self._open += [(_part(block, half), split) for half in (right, left)]


@dataclass(frozen=True, slots=True)
class IllegalAddresses:
    """The points and boundaries that the units of one model and firmware version refuse."""

    refused: frozenset[str] = frozenset()
    """Metrics that cannot be read."""
    places: Sequence[str] = ()
    """Their tables and addresses, for a person."""
    boundaries: frozenset[BlockBoundary] = field(default_factory=frozenset)
    until: datetime | None = None
    """When it is determined again; an aware time."""

    def with_bisection(self, bisection: Bisection, code: int, now: datetime) -> IllegalAddresses:
        """Return this with the results of the bisection of a block that was refused with this exception code."""
        until = now + (EXCLUDED_FOR if bisection.has_read or code == ILLEGAL_ADDRESS else EXCLUDED_BRIEFLY_FOR)
        reads = (ReadRequest(point.table, point.start, point.end - point.start) for point in bisection.refused)
        return replace(
            self,
            refused=self.refused | {point.metric.name for point in bisection.refused},
            places=sorted({*self.places, *map(str, reads)}),
            boundaries=self.boundaries | {*bisection.boundaries, *((point.table, point.end) for point in bisection.refused)},
            until=until if self.until is None else min(until, self.until),
        )

    def as_text(self) -> str:
        """Return it as a text that `from_text` reads."""
        return json.dumps(
            {
                "refused": sorted(self.refused),
                "places": list(self.places),
                "seams": sorted((str(table), address) for table, address in self.boundaries),
                "until": None if self.until is None else self.until.isoformat(),
            },
            allow_nan=False,
        )

    @classmethod
    def from_text(cls, text: str | None, now: datetime) -> IllegalAddresses:
        """Return the illegal addresses in a text; none, where the text is missing, invalid or too old."""
        try:
            stored = json.loads(text or "{}")
            until = datetime.fromisoformat(stored["until"])
            boundaries = frozenset((Table(table), int(address)) for table, address in stored["seams"])
            known = cls(frozenset(map(str, stored["refused"])), tuple(map(str, stored["places"])), boundaries, until)
            return known if now < until else cls()
        except (ValueError, KeyError, TypeError):
            return cls()


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
