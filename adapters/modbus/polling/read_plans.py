"""How the children of one bus are read: which blocks, at which pace, and without what they refuse. Nothing here waits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from adapters.modbus.client.buses import Bus, SerialLine
from adapters.modbus.client.pdu import Read
from adapters.modbus.polling.illegal_addresses import Bisection, Knowledge
from adapters.modbus.polling.plan import ASSUMED_ROUND_TRIP_SECONDS, ASSUMED_TURNAROUND_SECONDS, Block, Pace, plan
from adapters.modbus.polling.units import KnownUnit, KnownUnits
from adapters.modbus.profile.decode import BlockDecoder
from adapters.modbus.profile.profile import Profile
from gateway.adapter import ChildDevice, PlannedRead

log = logging.getLogger("adapters.modbus")

PLANNED_ANEW_AFTER = 1.5
"""A plan is made anew when the unit has become so many times quicker or slower than it was made for."""


BLOCKS_BOUND = 1000
"""So many sets of blocks are kept; they are made anew quickly enough."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A block to read, and what to make of its bytes."""

    block: Block
    read: Read
    decoder: BlockDecoder


@dataclass(frozen=True, slots=True)
class _Plan:
    transactions: Sequence[Transaction]
    turnaround_seconds: float
    known: Knowledge


class Readings:
    """The plans for the units of one bus, made once and anew when something was learned.

    Args:
        bus: the host or line.
        units: what is known of its units.
        memory: gives the adapter's memory as it is now.
    """

    def __init__(self, bus: Bus, units: KnownUnits, memory: Callable[[], MutableMapping[str, str]]) -> None:
        self._bus = bus
        self._units = units
        self._memory = memory
        self._plans: dict[tuple[str, str, frozenset[str]], _Plan] = {}
        self._knowledge: dict[str, Knowledge] = {}
        self._blocks: dict[Hashable, Sequence[Block]] = {}

    def transactions(self, child: ChildDevice, profile: Profile, due: frozenset[str]) -> Sequence[Transaction]:
        """Return what to read of this child for these poll groups."""
        key = (child.address, profile.name, due)
        made, known, unit = self._plans.get(key), self.known(child), self._units.of(int(child.address))
        if made is None or made.known is not known or not self._still_fits(made, unit):
            blocks = self.blocks(profile, due, unit, known)
            transactions = [Transaction(block, block.read, block.decoder()) for block in blocks]
            made = self._plans[key] = _Plan(transactions, self._turnaround(unit), known)
        return made.transactions

    def forget(self, address: str) -> None:
        """Drop the plans for this unit: another device may sit there now, or the same with other models."""
        self._plans = {key: made for key, made in self._plans.items() if key[0] != address}

    def blocks(self, profile: Profile, due: frozenset[str], unit: KnownUnit, known: Knowledge | None = None) -> Sequence[Block]:
        """Return the blocks for these poll groups of a unit with this profile."""
        known = known if known is not None else Knowledge()
        turnaround = round(self._turnaround(unit), 3)  # units of one model, about as quick, share their blocks
        key = (profile.name, due, turnaround, unit.models, known.refused, known.seams)
        made = self._blocks.get(key)
        if made is None:
            points = [point for point in profile.place(due, unit.models) if point.metric.name not in known.refused]
            made = plan(
                points,
                replace(self.pace(unit), turnaround_seconds=turnaround),
                read_through=profile.read_through,
                max_registers=profile.max_registers,
                seams=known.seams,
            )
            if len(self._blocks) >= BLOCKS_BOUND:
                self._blocks.clear()
            self._blocks[key] = made
        return made

    def pace(self, unit: KnownUnit) -> Pace:
        """Return what a transaction with this unit costs."""
        turnaround = self._turnaround(unit)
        if isinstance(self._bus, SerialLine):
            return Pace.of_line(self._bus.baudrate, self._bus.bits_per_character, turnaround)
        if self._bus.baudrate is not None:
            return Pace.of_line(self._bus.baudrate, turnaround_seconds=ASSUMED_TURNAROUND_SECONDS + ASSUMED_ROUND_TRIP_SECONDS)
        return Pace(turnaround_seconds=turnaround)

    def planned(self, child: ChildDevice, profile: Profile) -> list[PlannedRead]:
        """Return what each poll group of this child costs by plan."""
        unit = self._units.of(int(child.address))
        if profile.is_sunspec and not unit.models:  # not met yet: what it has at least
            unit = KnownUnit(unit.turnaround, models=profile.least_layout)
        pace, planned = self.pace(unit), []
        for group, every in profile.intervals.items():
            blocks = self.blocks(profile, frozenset({group}), unit, self.known(child))
            reads = [*(block.read for block in blocks), *{read for block in blocks for read in block.factors}]
            planned.append(_planned(child, group, every, sum(map(pace.seconds, reads)), len(reads)))
        return planned

    # what units refuse ------------------------------------------------------------------------------------------------

    def known(self, child: ChildDevice) -> Knowledge:
        """Return what is known of units like this one."""
        name = _model(child)
        known = self._knowledge.get(name)
        if known is not None and known.until is not None and known.until <= _now():
            log.info("%s: what %s refused is tried again: %s", self._bus.label, child.name, ", ".join(sorted(known.refused)))
            known = None
        if known is None:
            known = self._knowledge[name] = Knowledge.from_text(self._memory().get(name), _now())
        return known

    def learn(self, child: ChildDevice, bisection: Bisection, code: int) -> None:
        """Take in what halving a block has shown that was refused with this code, for all units like this one, and say so."""
        name = _model(child)
        before, now = self.known(child), _now()
        self._knowledge[name] = after = before.with_bisection(bisection, code, now)
        self._memory()[name] = after.as_text()
        if new := sorted({point.metric.name for point in bisection.refused} - before.refused):
            log.warning(
                "%s: %s refuses %s: %s left out until %s, the rest is read",
                *(self._bus.label, child.name, ", ".join(after.places), ", ".join(new), f"{after.until:%Y-%m-%d %H:%M} UTC"),
            )

    def remarks(self, child: ChildDevice, profile: Profile | None = None) -> list[str]:
        """Return what a person should know about how this child is read."""
        known, unit = self.known(child), self._units.of(int(child.address))
        told = []
        if profile is not None and (more := profile.left_out(unit.models)):
            read = sum(1 for _ in profile.place(frozenset(profile.intervals), unit.models))
            told.append(f"has {read + len(more)} points, of which {read} are read: not {more[0]} to {more[-1]}")
        if known.refused:
            metrics = ", ".join(sorted(known.refused))
            told.append(f"refuses {', '.join(known.places)}: {metrics} left out until {known.until:%Y-%m-%d %H:%M} UTC")
        if unit.turnaround.typical_seconds is not None:
            told.append(f"takes {max(1000 * unit.turnaround.typical_seconds, 1):.0f} ms to answer")
        return told

    def _turnaround(self, unit: KnownUnit) -> float:
        learned = unit.turnaround.typical_seconds
        if learned is not None:
            return learned
        return ASSUMED_TURNAROUND_SECONDS if isinstance(self._bus, SerialLine) else ASSUMED_ROUND_TRIP_SECONDS

    def _still_fits(self, made: _Plan, unit: KnownUnit) -> bool:
        now, then = self._turnaround(unit) + 0.002, made.turnaround_seconds + 0.002
        return 1 / PLANNED_ANEW_AFTER < now / then < PLANNED_ANEW_AFTER


def _model(child: ChildDevice) -> str:
    return f"refused by {child.profile} {child.sub_model or child.model or '-'} firmware {child.firmware_version or '-'}"


def _planned(child: ChildDevice, group: str, every: timedelta, seconds: float, transactions: int) -> PlannedRead:
    return PlannedRead(
        address=child.address, name=child.name, group=group, every=every, seconds=seconds, transactions=transactions
    )


def _now() -> datetime:
    return datetime.now(UTC)
