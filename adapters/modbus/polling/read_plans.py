"""Keep the read plans of the children of one bus, without the points that they refuse."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from math import ceil, inf

from adapters.modbus.client.buses import Bus, SerialLine
from adapters.modbus.client.pdu import MAX_REGISTERS, ReadRequest, Table
from adapters.modbus.polling.part_reads import parts_of
from adapters.modbus.polling.plan import (
    ASSUMED_ROUND_TRIP_SECONDS,
    ASSUMED_TURNAROUND_SECONDS,
    ReadBlock,
    TransactionCost,
    plan_blocks,
)
from adapters.modbus.polling.refusal_memory import RefusalMemory, now
from adapters.modbus.polling.unit_refusals import Exclusions
from adapters.modbus.polling.units import KnownUnit, KnownUnits
from adapters.modbus.profile.decode import BlockDecoder
from adapters.modbus.profile.points import PlacedPoint
from adapters.modbus.profile.profile import Profile
from gateway.adapter import ChildDevice, PlannedRead, seconds_text

REPLAN_RATIO = 1.5
"""A plan is made again when the unit has become this many times quicker or slower."""

ALONE_AT_ONCE = 8
"""How many refused points are asked for again in one reading, each in a request of its own."""

BLOCKS_BOUND = 1000
"""The most sets of blocks kept; making them again is quick enough."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A block to read, and the decoder of its bytes."""

    block: ReadBlock
    decoder: BlockDecoder
    at_once: int | None = None
    """How many of its registers are read in one request; `None` for all of them."""


@dataclass(frozen=True, slots=True)
class _ReadPlan:
    transactions: Sequence[Transaction]
    turnaround_seconds: float
    exclusions: Exclusions


class ReadPlans:
    """The read plans for the units of one bus, made once and again when something was learned.

    Args:
        bus: the host or line.
        units: its known units.
        memory: gives the adapter's memory as it is now.
    """

    def __init__(self, bus: Bus, units: KnownUnits, memory: Callable[[], MutableMapping[str, str]]) -> None:
        self._bus = bus
        self._units = units
        self._memory = memory
        self._plans: dict[tuple[str, str, frozenset[str]], _ReadPlan] = {}
        self._blocks: dict[Hashable, tuple[Sequence[ReadBlock], int | None]] = {}
        self.refusals = RefusalMemory(bus.label, memory)
        """What the units refuse."""

    def transactions(self, child: ChildDevice, profile: Profile, due: frozenset[str]) -> Sequence[Transaction]:
        """Return the transactions that read these poll groups of a child."""
        key = (child.address, profile.name, due)
        unit = self._units.of(int(child.address))
        made, exclusions = self._plans.get(key), self.refusals.of(child).exclusions(now())
        if made is None or made.exclusions is not exclusions or not self._still_fits(made, unit):
            blocks, at_once = self._planned_blocks(profile, due, unit, exclusions)
            unit.at_once = _at_once(profile, exclusions.works)
            transactions = [Transaction(block, block.decoder(), _in_parts(block.read, at_once)) for block in blocks]
            made = self._plans[key] = _ReadPlan(transactions, self._turnaround(unit) + unit.pause_seconds, exclusions)
        return made.transactions

    def at_once(self, child: ChildDevice, profile: Profile) -> int | None:
        """Return the most registers of this child in one request; `None` for as many as the protocol allows."""
        return _at_once(profile, self.refusals.of(child).exclusions(now()).works)

    def forget(self, address: str) -> None:
        """Drop the plans for this unit: another device may be there now, or the same with other models."""
        self.refusals.forget(address)
        self._plans = {key: made for key, made in self._plans.items() if key[0] != address}

    def _planned_blocks(
        self, profile: Profile, due: frozenset[str], unit: KnownUnit, exclusions: Exclusions
    ) -> tuple[Sequence[ReadBlock], int | None]:
        """Return the blocks for these poll groups of a unit with this profile, and how many registers are read at once."""
        turnaround = round(self._turnaround(unit), 3)  # units of one model, about as quick, share their blocks
        pause = round(unit.pause_seconds, 2)
        key = (profile.name, due, turnaround, pause, unit.models, exclusions)
        made = self._blocks.get(key)
        if made is None:
            cost = replace(self.cost(unit), turnaround_seconds=turnaround, pause_seconds=pause)
            points = _points_to_read(profile, due, unit, exclusions)
            made = ((), None)
            for limit in (*exclusions.trials, exclusions.works):
                at_once = _at_once(profile, limit)
                blocks = _blocks(points, cost, profile, exclusions, at_once)
                made = (blocks, at_once)
                if any(part.count > (exclusions.works or 0) for block in blocks for part in _parts(block.read, at_once)):
                    break  # else there is nothing to try the longer read with
            if len(self._blocks) >= BLOCKS_BOUND:
                self._blocks.clear()
            self._blocks[key] = made
        return made

    def cost(self, unit: KnownUnit) -> TransactionCost:
        """Return the cost of transactions with this unit."""
        return replace(self._cost_without_pause(unit), pause_seconds=unit.pause_seconds)

    def _cost_without_pause(self, unit: KnownUnit) -> TransactionCost:
        turnaround, is_ascii = self._turnaround(unit), self._bus.framing == "ascii"
        if isinstance(self._bus, SerialLine):
            return TransactionCost.of_line(self._bus.baudrate, self._bus.bits_per_character, turnaround, is_ascii=is_ascii)
        if self._bus.baudrate is not None:
            behind_gateway = ASSUMED_TURNAROUND_SECONDS + ASSUMED_ROUND_TRIP_SECONDS
            return TransactionCost.of_line(self._bus.baudrate, turnaround_seconds=behind_gateway, is_ascii=is_ascii)
        return TransactionCost(turnaround_seconds=turnaround)

    def planned(self, child: ChildDevice, profile: Profile) -> list[PlannedRead]:
        """Return the planned reads of each poll group of this child that has something to read."""
        unit = self._units.of(int(child.address))
        if profile.is_sunspec and not unit.models:  # not identified yet: plan with the models that it has at least
            unit = KnownUnit(unit.turnaround, models=profile.least_layout, pause_seconds=unit.pause_seconds)
        cost, planned, exclusions = self.cost(unit), [], self.refusals.of(child).exclusions(now())
        for group, every in profile.intervals.items():
            blocks, at_once = self._planned_blocks(profile, frozenset({group}), unit, exclusions)
            whole = [*(block.read for block in blocks), *{read for block in blocks for read in block.factors}]
            reads = [part for read in whole for part in _parts(read, at_once)]
            if reads:  # none where the device lacks the models of all points of the group
                planned.append(_planned(child, group, every, sum(map(cost.seconds, reads)), len(reads)))
        return planned

    def remarks(self, child: ChildDevice, profile: Profile | None = None, timeout_seconds: float = inf) -> list[str]:
        """Return what an operator should know about the reading of this child, which is waited for so long."""
        unit = self._units.of(int(child.address))
        remarks = [] if unit.problem is None else [unit.problem]
        if profile is not None and (more := profile.points_beyond_limit(unit.models)):
            read = sum(1 for _ in profile.place(frozenset(profile.intervals), unit.models))
            remarks.append(f"has {read + len(more)} points, of which {read} are read: not {more[0]} to {more[-1]}")
        remarks += self.refusals.remarks(child)
        if unit.turnaround.typical_seconds is not None:
            remarks.append(_answer_time_text(unit.turnaround.typical_seconds, timeout_seconds))
        return remarks

    def why_no_values(self, child: ChildDevice, profile: Profile) -> str | None:
        """Return why none of the points of this child is read, where it refuses them all."""
        unit = self._units.of(int(child.address))
        points = profile.place(frozenset(profile.intervals), unit.models)
        return self.refusals.why_nothing_is_read(child, {point.metric.name for point in points})

    def _turnaround(self, unit: KnownUnit) -> float:
        learned = unit.turnaround.typical_seconds
        if learned is not None:
            return learned
        return ASSUMED_TURNAROUND_SECONDS if isinstance(self._bus, SerialLine) else ASSUMED_ROUND_TRIP_SECONDS

    def _still_fits(self, made: _ReadPlan, unit: KnownUnit) -> bool:
        now, then = self._turnaround(unit) + unit.pause_seconds + 0.002, made.turnaround_seconds + 0.002
        return 1 / REPLAN_RATIO < now / then < REPLAN_RATIO


def _points_to_read(profile: Profile, due: frozenset[str], unit: KnownUnit, exclusions: Exclusions) -> list[PlacedPoint]:
    """Return the points of these poll groups that are not left out; where all points of the unit are, one of them.

    So a unit that refuses everything, since it is asleep, is read again as soon as it is awake, and is noticed when it is gone.
    """
    left_out = dict(exclusions.points)
    points = list(profile.place(due, unit.models))
    kept = [point for point in points if not _is_among(point, left_out)]
    if kept or any(not _is_among(point, left_out) for point in profile.place(frozenset(profile.intervals), unit.models)):
        return kept
    return points[:1]


def _blocks(
    points: Sequence[PlacedPoint], cost: TransactionCost, profile: Profile, exclusions: Exclusions, at_once: int | None
) -> Sequence[ReadBlock]:
    plan = partial(
        plan_blocks,
        cost=cost,
        read_through=profile.read_through,
        max_registers=at_once or MAX_REGISTERS,
        boundaries=exclusions.boundaries,
    )
    refused = dict(exclusions.alone)
    together = plan(point for point in points if not _is_among(point, refused))
    return (*together, *_each_alone([point for point in points if _is_among(point, refused)], plan))


def _is_among(point: PlacedPoint, refused: Mapping[str, ReadRequest]) -> bool:
    """Return whether this is a refused point: the same metric at the same place."""
    read = refused.get(point.metric.name)
    return read is not None and read.table is point.table and read.address <= point.address < read.address + read.count


def _at_once(profile: Profile, learned: int | None) -> int | None:
    """Return the most registers in one request, by the profile or as learned; `None` for as many as the protocol allows."""
    limit = min(profile.max_registers, learned or MAX_REGISTERS)
    return limit if limit < MAX_REGISTERS else None


def _in_parts(read: ReadRequest, limit: int | None) -> int | None:
    """Return how many registers of this read are asked for at once, where it is longer than the limit: a single long value."""
    return limit if limit is not None and read.count > limit and not read.table.holds_bits else None


def _parts(read: ReadRequest, limit: int | None) -> list[ReadRequest]:
    """Return the requests by which this read is sent."""
    return [read] if (at_once := _in_parts(read, limit)) is None else list(parts_of(read, at_once))


def _each_alone(
    points: Sequence[PlacedPoint], plan: Callable[[Iterable[PlacedPoint]], Sequence[ReadBlock]]
) -> Iterator[ReadBlock]:
    """Yield a block for each place of these points, of the first ones only: the next reading has the others."""
    places: dict[tuple[Table, int, int], list[PlacedPoint]] = {}
    for point in points:
        places.setdefault((point.table, point.start, point.end), []).append(point)
    for together in list(places.values())[:ALONE_AT_ONCE]:
        yield from plan(together)


def _planned(child: ChildDevice, group: str, every: timedelta, seconds: float, transactions: int) -> PlannedRead:
    return PlannedRead(
        address=child.address, name=child.name, group=group, every=every, seconds=seconds, transactions=transactions
    )


def _answer_time_text(seconds: float, timeout_seconds: float) -> str:
    text = f"takes {max(1000 * seconds, 1):.0f} ms to answer"
    if seconds <= timeout_seconds:
        return text
    enough, now_set = ceil(3 * seconds) / 2, seconds_text(timeout_seconds)  # half as long again, in steps of half a second
    return f"{text}, longer than `timeout`, so some answers are given up: set timeout = {enough:.1f} (it is {now_set})"
