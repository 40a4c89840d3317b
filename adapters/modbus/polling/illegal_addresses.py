"""Which points of a device model cannot be read, found out by halving the blocks that it refuses. Nothing here waits.

One illegal address spoils a whole block: the unit answers an exception for all of it. Halved again and again, the block gives all
its points but the refused ones. What was found out is remembered by profile, model and firmware version, so that it costs a few
transactions once and not for each unit; it is found out anew when the firmware changes, and now and then anyhow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate

from adapters.modbus.client.pdu import Read, Table
from adapters.modbus.polling.plan import Block, Seam
from adapters.modbus.profile.points import PlacedPoint

HEALABLE = frozenset({0x01, 0x02, 0x03, 0x04})
"""Exceptions with which units refuse addresses. 02 is meant for it; there are units that use each of the others. Busy (06),
acknowledge (05) and a gateway's silence (0A, 0B) say nothing of an address."""

BELIEVED_FOR = timedelta(days=1)
"""So long is believed that a point cannot be read."""

DOUBTED_FOR = timedelta(minutes=10)
"""And so long where a whole block was refused and not for its addresses: the device may only be starting."""

ILLEGAL_ADDRESS = 0x02


@dataclass(slots=True)
class _Split:
    """Two halves of a block that was refused."""

    seam: Seam
    halves_read: int = 0


class Bisection:
    """One refused block on its way to what can be read of it. Ask `next()` for a block, read it, and tell how that went."""

    def __init__(self, block: Block) -> None:
        self.refused: list[PlacedPoint] = []
        """Points that cannot be read even alone."""
        self.has_read = False
        """Something of the block could be read."""
        self._splits: list[_Split] = []
        self._open: list[tuple[Block, _Split]] = []
        self._split(block)

    def next(self) -> Block | None:
        """Return the block to read now; `None` when all is known."""
        return self._open[-1][0] if self._open else None

    def was_read(self) -> None:
        """The block was answered."""
        _, split = self._open.pop()
        split.halves_read += 1
        self.has_read = True

    def was_refused(self) -> None:
        """The block was refused, too."""
        block, _ = self._open.pop()
        self._split(block)

    @property
    def seams(self) -> list[Seam]:
        """Boundaries that no block may span: everything on either side can be read, but not both at once."""
        return [] if self.refused else [split.seam for split in self._splits if split.halves_read == 2]

    def _split(self, block: Block) -> None:
        at = _middle(block.points)
        if at is None:
            self.refused += block.points
            return
        left, right = block.points[:at], block.points[at:]
        split = _Split((block.read.table, right[0].start))
        self._splits.append(split)
        self._open += [(_part(block, half), split) for half in (right, left)]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the units of one model and firmware version."""

    refused: frozenset[str] = frozenset()
    """Metrics that cannot be read."""
    places: Sequence[str] = ()
    """Where they stand, for a person."""
    seams: frozenset[Seam] = field(default_factory=frozenset)
    until: datetime | None = None
    """When it is found out anew; aware."""

    def with_bisection(self, bisection: Bisection, code: int, now: datetime) -> Knowledge:
        """Return what is known after this bisection, too, of a block that was refused with this exception code."""
        until = now + (BELIEVED_FOR if bisection.has_read or code == ILLEGAL_ADDRESS else DOUBTED_FOR)
        places = {*self.places, *(str(Read(point.table, point.start, point.end - point.start)) for point in bisection.refused)}
        return replace(
            self,
            refused=self.refused | {point.metric.name for point in bisection.refused},
            places=sorted(places),
            seams=self.seams | {*bisection.seams, *((point.table, point.end) for point in bisection.refused)},
            until=until if self.until is None else min(until, self.until),
        )

    def as_text(self) -> str:
        """Return it as a text that `from_text` reads."""
        return json.dumps(
            {
                "refused": sorted(self.refused),
                "places": list(self.places),
                "seams": sorted((str(table), address) for table, address in self.seams),
                "until": None if self.until is None else self.until.isoformat(),
            }
        )

    @classmethod
    def from_text(cls, text: str | None, now: datetime) -> Knowledge:
        """Return what a text says; nothing, where it is none, says nothing sensible, or is too old to be believed."""
        try:
            said = json.loads(text or "{}")
            until = datetime.fromisoformat(said["until"])
            seams = frozenset((Table(table), int(address)) for table, address in said["seams"])
            known = cls(frozenset(map(str, said["refused"])), tuple(map(str, said["places"])), seams, until)
            return known if now < until else cls()
        except (ValueError, KeyError, TypeError):
            return cls()


def _middle(points: Sequence[PlacedPoint]) -> int | None:
    """Return where to halve: at the hole nearest to the middle, else between two points there; `None` when nothing is left to."""
    spans = [(point.start, point.end) for point in points]
    cuts = [at for at in range(1, len(points)) if spans[at] != spans[at - 1]]
    if not cuts:
        return None
    reached = list(accumulate((end for _, end in spans), max))
    holes = [at for at in cuts if spans[at][0] > reached[at - 1]]
    quarter = len(points) / 4
    near = [at for at in holes if quarter <= at <= 3 * quarter]
    return min(near or cuts, key=lambda at: abs(at - len(points) / 2))


def _part(block: Block, points: Sequence[PlacedPoint]) -> Block:
    start, end = min(point.start for point in points), max(point.end for point in points)
    return Block(Read(block.read.table, start, end - start), tuple(points), block.factors)
