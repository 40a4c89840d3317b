"""Keep the read plans of the children of one bus, without the points that they refuse. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from adapters.modbus.client.buses import Bus, SerialLine
from adapters.modbus.client.pdu import ReadRequest
from adapters.modbus.polling.illegal_addresses import Bisection, IllegalAddresses
from adapters.modbus.polling.plan import (
    ASSUMED_ROUND_TRIP_SECONDS,
    ASSUMED_TURNAROUND_SECONDS,
    ReadBlock,
    TransactionCost,
    plan_blocks,
)
from adapters.modbus.polling.units import KnownUnit, KnownUnits
from adapters.modbus.profile.decode import BlockDecoder
from adapters.modbus.profile.profile import Profile
from gateway.adapter import ChildDevice, PlannedRead

log = logging.getLogger("adapters.modbus")

REPLAN_RATIO = 1.5
"""A plan is made again when the unit has become this many times quicker or slower."""

BLOCKS_BOUND = 1000
"""The most sets of blocks kept; making them again is quick enough."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A block to read, and the decoder of its bytes."""

    block: ReadBlock
    read: ReadRequest
    decoder: BlockDecoder


@dataclass(frozen=True, slots=True)
class _ReadPlan:
    transactions: Sequence[Transaction]
    turnaround_seconds: float
    illegal: IllegalAddresses


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
        self._illegal: dict[str, IllegalAddresses] = {}
        self._blocks: dict[Hashable, Sequence[ReadBlock]] = {}

    def transactions(self, child: ChildDevice, profile: Profile, due: frozenset[str]) -> Sequence[Transaction]:
        """Return the transactions that read these poll groups of a child."""
        key = (child.address, profile.name, due)
        made, illegal, unit = self._plans.get(key), self.illegal(child), self._units.of(int(child.address))
        if made is None or made.illegal is not illegal or not self._still_fits(made, unit):
            blocks = self.blocks(profile, due, unit, illegal)
            transactions = [Transaction(block, block.read, block.decoder()) for block in blocks]
            made = self._plans[key] = _ReadPlan(transactions, self._turnaround(unit), illegal)
        return made.transactions

    def forget(self, address: str) -> None:
        """Drop the plans for this unit: another device may be there now, or the same with other models."""
        self._plans = {key: made for key, made in self._plans.items() if key[0] != address}

    def blocks(
        self, profile: Profile, due: frozenset[str], unit: KnownUnit, illegal: IllegalAddresses | None = None
    ) -> Sequence[ReadBlock]:
        """Return the blocks for these poll groups of a unit with this profile."""
        illegal = illegal if illegal is not None else IllegalAddresses()
        turnaround = round(self._turnaround(unit), 3)  # units of one model, about as quick, share their blocks
        key = (profile.name, due, turnaround, unit.models, illegal.refused, illegal.boundaries)
        made = self._blocks.get(key)
        if made is None:
            points = [point for point in profile.place(due, unit.models) if point.metric.name not in illegal.refused]
            made = plan_blocks(
                points,
                replace(self.cost(unit), turnaround_seconds=turnaround),
                read_through=profile.read_through,
                max_registers=profile.max_registers,
                boundaries=illegal.boundaries,
            )
            if len(self._blocks) >= BLOCKS_BOUND:
                self._blocks.clear()
            self._blocks[key] = made
        return made

    def cost(self, unit: KnownUnit) -> TransactionCost:
        """Return the cost of transactions with this unit."""
        turnaround, is_ascii = self._turnaround(unit), self._bus.framing == "ascii"
        if isinstance(self._bus, SerialLine):
            return TransactionCost.of_line(self._bus.baudrate, self._bus.bits_per_character, turnaround, is_ascii=is_ascii)
        if self._bus.baudrate is not None:
            behind_gateway = ASSUMED_TURNAROUND_SECONDS + ASSUMED_ROUND_TRIP_SECONDS
            return TransactionCost.of_line(self._bus.baudrate, turnaround_seconds=behind_gateway, is_ascii=is_ascii)
        return TransactionCost(turnaround_seconds=turnaround)

    def planned(self, child: ChildDevice, profile: Profile) -> list[PlannedRead]:
        """Return the planned reads of each poll group of this child."""
        unit = self._units.of(int(child.address))
        if profile.is_sunspec and not unit.models:  # not identified yet: plan with the models that it has at least
            unit = KnownUnit(unit.turnaround, models=profile.least_layout)
        cost, planned = self.cost(unit), []
        for group, every in profile.intervals.items():
            blocks = self.blocks(profile, frozenset({group}), unit, self.illegal(child))
            reads = [*(block.read for block in blocks), *{read for block in blocks for read in block.factors}]
            planned.append(_planned(child, group, every, sum(map(cost.seconds, reads)), len(reads)))
        return planned

    # points that units refuse -----------------------------------------------------------------------------------------

    def illegal(self, child: ChildDevice) -> IllegalAddresses:
        """Return the illegal addresses of units like this one."""
        name = _model(child)
        illegal = self._illegal.get(name)
        if illegal is not None and illegal.until is not None and illegal.until <= _now():
            log.info("%s: %s: trying refused points again: %s", self._bus.label, child.name, ", ".join(sorted(illegal.refused)))
            illegal = None
        if illegal is None:
            illegal = self._illegal[name] = IllegalAddresses.from_text(self._memory().get(name), _now())
        return illegal

    def learn(self, child: ChildDevice, bisection: Bisection, code: int) -> None:
        """Store the result of bisecting a block that was refused with this code, for all units like this one, and log it."""
        name = _model(child)
        before, now = self.illegal(child), _now()
        self._illegal[name] = after = before.with_bisection(bisection, code, now)
        self._memory()[name] = after.as_text()
        if new := sorted({point.metric.name for point in bisection.refused} - before.refused):
            log.warning(
                "%s: %s refuses %s: %s left out until %s, the rest is read",
                *(self._bus.label, child.name, ", ".join(after.places), ", ".join(new), f"{after.until:%Y-%m-%d %H:%M} UTC"),
            )

    def remarks(self, child: ChildDevice, profile: Profile | None = None) -> list[str]:
        """Return what an operator should know about the reading of this child."""
        illegal, unit = self.illegal(child), self._units.of(int(child.address))
        remarks = [] if unit.problem is None else [unit.problem]
        if profile is not None and (more := profile.points_beyond_limit(unit.models)):
            read = sum(1 for _ in profile.place(frozenset(profile.intervals), unit.models))
            remarks.append(f"has {read + len(more)} points, of which {read} are read: not {more[0]} to {more[-1]}")
        if illegal.refused:
            metrics = ", ".join(sorted(illegal.refused))
            remarks.append(f"refuses {', '.join(illegal.places)}: {metrics} left out until {illegal.until:%Y-%m-%d %H:%M} UTC")
        if unit.turnaround.typical_seconds is not None:
            remarks.append(f"takes {max(1000 * unit.turnaround.typical_seconds, 1):.0f} ms to answer")
        return remarks

    def _turnaround(self, unit: KnownUnit) -> float:
        learned = unit.turnaround.typical_seconds
        if learned is not None:
            return learned
        return ASSUMED_TURNAROUND_SECONDS if isinstance(self._bus, SerialLine) else ASSUMED_ROUND_TRIP_SECONDS

    def _still_fits(self, made: _ReadPlan, unit: KnownUnit) -> bool:
        now, then = self._turnaround(unit) + 0.002, made.turnaround_seconds + 0.002
        return 1 / REPLAN_RATIO < now / then < REPLAN_RATIO


def _model(child: ChildDevice) -> str:
    return f"refused by {child.profile} {child.sub_model or child.model or '-'} firmware {child.firmware_version or '-'}"


def _planned(child: ChildDevice, group: str, every: timedelta, seconds: float, transactions: int) -> PlannedRead:
    return PlannedRead(
        address=child.address, name=child.name, group=group, every=every, seconds=seconds, transactions=transactions
    )


def _now() -> datetime:
    return datetime.now(UTC)
