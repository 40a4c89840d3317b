"""Keep what one unit refuses: points, addresses that no block may span, and reads that are too long. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Final

from adapters.modbus.client.pdu import ReadRequest
from adapters.modbus.polling.bisection import Bisection, LengthLimit
from adapters.modbus.polling.plan import BlockBoundary
from adapters.modbus.polling.refusals import CONFIRMED_BY_ONE, Refusal

FACT_CHECKED_AFTER: Final = 600.0
"""Seconds until a unit is asked itself for what is known of its model: it may have what another one lacks."""

REFUSED_TOGETHER_WITHIN: Final = timedelta(seconds=60)
"""Points that were refused first within this time may have one reason, such as a device that was asleep."""

ANSWERS_OTHERS_WITHIN: Final = 600.0
"""Seconds within which a unit has to answer something, so that what it refuses is about addresses."""

LONGER_TRIED_AFTER: Final = 15.0
"""Seconds until a still longer read is tried, after a longer one was answered."""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """The limits that a plan of reads takes into account."""

    points: frozenset[tuple[str, ReadRequest]] = frozenset()
    """Metrics that are left out, each with the read that was refused: by another map it may be elsewhere."""
    alone: frozenset[tuple[str, ReadRequest]] = frozenset()
    """Metrics that were refused and are asked for again now, each in a request of its own."""
    boundaries: frozenset[BlockBoundary] = frozenset()
    works: int | None = None
    """The most registers in one request that are answered for sure; `None` where no limit is known."""
    trials: tuple[int, ...] = ()
    """Longer reads that are tried now: the first of them for which there is a block."""


@dataclass(frozen=True, slots=True)
class KnownLimit:
    """The most registers that a unit returns at once, as far as it is known."""

    length: LengthLimit
    refusal: Refusal
    """Of the shortest read that failed."""

    def trials(self, now: float) -> tuple[int, ...]:
        """Return which longer reads are tried now: one between what works and what fails, else what has failed."""
        if now < self.refusal.next_at:
            return ()
        between = (self.length.works + self.length.fails) // 2
        return (between, self.length.fails) if between > self.length.works else (self.length.fails,)


@dataclass(frozen=True, slots=True)
class Facts:
    """The refusals of the units of one model, once they are confirmed."""

    points: Mapping[str, Refusal] = field(default_factory=dict)
    boundaries: Mapping[BlockBoundary, Refusal] = field(default_factory=dict)
    limit: KnownLimit | None = None

    def __bool__(self) -> bool:
        return bool(self.points or self.boundaries or self.limit)


@dataclass(slots=True)
class UnitRefusals:
    """The refusals of one unit, when each of it is asked for again, and the longest read that it answered."""

    points: dict[str, Refusal] = field(default_factory=dict)
    """By metric."""
    boundaries: dict[BlockBoundary, Refusal] = field(default_factory=dict)
    limit: KnownLimit | None = None
    longest_read: int = 0
    """The longest read of registers that was answered as a whole."""
    read_at: float = -inf
    """When something was read last, as long as anything is refused."""
    _exclusions: Exclusions | None = None
    _changes_at: float = inf

    @classmethod
    def of_model(cls, facts: Facts, now: float) -> UnitRefusals:
        """Return what is known of a unit from others of its model, which it is asked for itself a while later."""

        def inherited(refusal: Refusal) -> Refusal:
            return replace(refusal, times=CONFIRMED_BY_ONE - 1, next_at=now + FACT_CHECKED_AFTER)

        return cls(
            {metric: inherited(refusal) for metric, refusal in facts.points.items()},
            {boundary: inherited(refusal) for boundary, refusal in facts.boundaries.items()},
            None if facts.limit is None else replace(facts.limit, refusal=inherited(facts.limit.refusal)),
        )

    @property
    def has_any(self) -> bool:
        """Whether anything is refused."""
        return bool(self.points or self.boundaries or self.limit)

    def exclusions(self, now: float) -> Exclusions:
        """Return what a plan has to take into account now; the same object as long as nothing changes."""
        if self._exclusions is None or now >= self._changes_at:
            self._exclusions = self._made(now)
            times = (refusal.next_at for refusal in self._all())
            self._changes_at = min((at for at in times if at > now), default=inf)
        return self._exclusions

    def was_read(self, read: ReadRequest, metrics: Iterable[str], *, at_once: int, now: float) -> dict[str, Refusal]:
        """Record that a block was read, so many of its registers at once; return what was refused before."""
        if not read.table.holds_bits and at_once > self.longest_read:
            self.longest_read = at_once
            self._grow_limit(now)
        if not self.points and not self.boundaries:
            return {}
        self.read_at = now
        over = {metric: self.points.pop(metric) for metric in metrics if metric in self.points}
        self._ask_soon_for_those_refused_with(over, now)
        # one that is not due yet is spanned only by points that lie on both sides of it, and that proves nothing
        spanned = self._due_within(read, now) if at_once >= read.count else []
        for boundary in spanned:
            del self.boundaries[boundary]
        if over or spanned:
            self._exclusions = None
        return over

    def answers_others(self, now: float) -> bool:
        """Return whether the unit has answered something lately: one that refuses everything is starting, or asleep."""
        return now - self.read_at < ANSWERS_OTHERS_WITHIN

    def learn(self, bisection: Bisection, *, now: float, today: datetime) -> None:
        """Take over the result of bisecting a block that failed."""
        self._exclusions = None
        read, code = bisection.block.read, bisection.code
        for one in bisection.refused:
            span = ReadRequest(one.point.table, one.point.start, one.point.end - one.point.start)
            self._refuse_point(one.point.metric.name, span, one.code, now=now, today=today)
        for point in bisection.unresolved:
            self._refuse_point(point.metric.name, read, code, now=now, today=today, is_alone=False)
        limit = bisection.limit
        is_length = limit is not None and limit.fails > self.longest_read
        if limit is not None and is_length:
            self._refuse_length(limit, read, code, now=now, today=today)
        found = [] if is_length else bisection.boundaries
        for boundary in {*found, *self._due_within(read, now)}:
            known = self.boundaries.get(boundary)
            again = Refusal.first(read, code, now=now, today=today) if known is None else known.again(code, now)
            self.boundaries[boundary] = again

    def together_times(self, metrics: Iterable[str]) -> int:
        """Return how often these metrics were refused as a block of which nothing could be read: the least of all."""
        known = [self.points.get(metric) for metric in metrics]
        return min((0 if refusal is None or refusal.is_alone else refusal.times for refusal in known), default=0)

    def _refuse_point(
        self, metric: str, read: ReadRequest, code: int | None, *, now: float, today: datetime, is_alone: bool = True
    ) -> None:
        known = self.points.get(metric)
        if known is not None and known.next_at > now:
            return  # it was asked for earlier only to see whether the unit is there
        if known is None:
            self.points[metric] = Refusal.first(read, code, now=now, today=today, is_alone=is_alone)
        else:
            self.points[metric] = replace(known.again(code, now, is_alone=is_alone), read=read)

    def _ask_soon_for_those_refused_with(self, over: Mapping[str, Refusal], now: float) -> None:
        """Ask for points again, as blocks, that were refused first when one was that is answered now."""
        begun = {refusal.since for refusal in over.values()}
        for metric, refusal in self.points.items():
            if any(abs(refusal.since - one) < REFUSED_TOGETHER_WITHIN for one in begun):
                self.points[metric] = replace(refusal, next_at=now, is_alone=False)

    def _refuse_length(self, limit: LengthLimit, read: ReadRequest, code: int | None, *, now: float, today: datetime) -> None:
        if self.limit is None:
            self.limit = KnownLimit(limit, Refusal.first(read, code, now=now, today=today))
            return
        before = self.limit.length
        both = LengthLimit(max(before.works, limit.works), min(before.fails, limit.fails))
        self.limit = KnownLimit(both if both.works < both.fails else limit, self.limit.refusal.again(code, now))

    def _grow_limit(self, now: float) -> None:
        if self.limit is None or self.longest_read <= self.limit.length.works:
            return
        self._exclusions = None
        length = replace(self.limit.length, works=self.longest_read)
        refusal = replace(self.limit.refusal, next_at=now + LONGER_TRIED_AFTER)
        self.limit = KnownLimit(length, refusal) if length.works < length.fails else None

    def _due_within(self, read: ReadRequest, now: float) -> list[BlockBoundary]:
        return [
            (table, address)
            for (table, address), refusal in self.boundaries.items()
            if table is read.table and read.address < address < read.address + read.count and refusal.next_at <= now
        ]

    def _made(self, now: float) -> Exclusions:
        due = [(metric, refusal) for metric, refusal in self.points.items() if refusal.next_at <= now]
        later = ((metric, refusal.read) for metric, refusal in self.points.items() if refusal.next_at > now)
        alone = [refusal.read for refusal in self.points.values() if refusal.is_alone]
        behind = {(read.table, read.address + read.count) for read in alone}
        return Exclusions(
            points=frozenset(later),
            alone=frozenset((metric, refusal.read) for metric, refusal in due if refusal.is_alone),
            boundaries=frozenset(behind | {one for one, refusal in self.boundaries.items() if refusal.next_at > now}),
            works=None if self.limit is None else self.limit.length.works,
            trials=() if self.limit is None else self.limit.trials(now),
        )

    def _all(self) -> Collection[Refusal]:
        lengths = () if self.limit is None else (self.limit.refusal,)
        return (*self.points.values(), *self.boundaries.values(), *lengths)
