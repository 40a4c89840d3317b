"""Modbus by the adapter contract: which unit is asked what, and what becomes of the answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self, cast

from adapters.modbus.identify import Interview, Verdict, conduct
from adapters.modbus.link import Link
from adapters.modbus.pdu import Question, Read, Refused
from adapters.modbus.plan import plan, worthwhile_gap
from adapters.modbus.profile import Profile
from adapters.modbus.registers import BlockDecoder
from adapters.modbus.rollcall import RESERVED_UNIT, Place, RollCall, found
from adapters.modbus.settings import LAST_UNIT, TCP_ITSELF, ConfiguredDevice, Host, Line, ModbusSettings
from adapters.modbus.wire import Patience, Wire
from gateway.adapter import Adapter, ChildDevice, DeviceUnreachable, Found, Progress, Reading

log = logging.getLogger("adapters.modbus")


@dataclass(frozen=True, slots=True)
class _Transaction:
    """A block to read, and what to make of its bytes."""

    read: Read
    decoder: BlockDecoder


class ModbusAdapter(Adapter[ModbusSettings]):
    """One TCP host or one serial line."""

    settings_model = ModbusSettings

    def __init__(self, settings: ModbusSettings, bus: Host | Line | None = None, wire: Wire | None = None) -> None:
        super().__init__(settings)
        self._bus = bus if bus is not None else settings.all_buses[0]
        self._wire = wire if wire is not None else Link(self._bus)
        self._place = Place(settings.entry, self.bus)
        self._configured: Mapping[int, ConfiguredDevice] = settings.devices_on(self.bus)
        self._patient = Patience(settings.timeout.total_seconds(), settings.retries + 1)
        self._scanning = Patience(settings.scan_timeout.total_seconds())
        self._models: dict[str, Mapping[int, int]] = {}
        self._transactions: dict[tuple[str, str, frozenset[str]], Sequence[_Transaction]] = {}
        self._refused: set[tuple[str, Read]] = set()

    @property
    def bus(self) -> str:
        """The name given in the config, else host:port or the serial port."""
        return self._bus.label

    @classmethod
    async def buses(cls, settings: ModbusSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each host and each line of the entry."""
        for bus in settings.all_buses:
            yield cls(settings, bus)

    async def __aenter__(self) -> Self:
        await self._wire.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._wire.close()

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Ask configured devices first, then each unit id of the settings; yield after each transaction."""
        roll = RollCall(self._place)
        agenda = self._agenda()
        for done, unit in enumerate(agenda):
            async with aclosing(self._interview(unit, self._patient if unit in self._configured else self._scanning)) as steps:
                async for step in steps:
                    if isinstance(step, Verdict):
                        if (met := self._enter(roll, unit, step)) is not None:
                            yield met
                        yield Progress(done + 1, len(agenda), f"unit {unit}")
                    else:
                        yield Progress(done, len(agenda), f"unit {unit}: {step}")
        for again in roll.close():
            yield again

    async def identify(self, address: str) -> Found:
        """Interview this unit alone."""
        if not address.isdecimal():
            raise DeviceUnreachable(f"{address!r} is no unit id: it is a number from 1 to {LAST_UNIT}, or {TCP_ITSELF}")
        unit = int(address)
        device = self._configured.get(unit)
        heard: Mapping[str, str] = {}
        async with aclosing(self._interview(unit, self._patient)) as steps:
            async for step in steps:
                if isinstance(step, Verdict) and step.alive:
                    return found(self._place, unit, step, device.name if device else None)
                heard = step.evidence if isinstance(step, Verdict) else heard
        raise DeviceUnreachable("; ".join(sorted({reason.removeprefix("silence: ") for reason in heard.values()})))

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the groups of the child's profile that have points."""
        profile = self._profile(child)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read the blocks of the groups that are due; a block that the device refuses is skipped, and told once."""
        profile = self._profile(child)
        if profile is None:
            return
        unit = int(child.address)
        for transaction in await self._planned(child, profile, due):
            try:
                payload = cast("bytes", await self._wire.ask(unit, transaction.read, self._patient))
            except Refused as refusal:
                self._tell_refused(child, transaction.read, refusal)
                yield ()
            else:
                self._tell_readable(child, transaction.read)
                yield transaction.decoder.decode(payload, child.key, datetime.now(UTC))

    def _agenda(self) -> tuple[int, ...]:
        """Return the unit ids to ask, in order; on a host first one that nobody can have: how does it answer for nobody?"""
        scanned = self.settings.units_of(self._bus)
        reserved = (RESERVED_UNIT,) if isinstance(self._bus, Host) and scanned else ()
        return (*reserved, *self._configured, *scanned)

    def _enter(self, roll: RollCall, unit: int, verdict: Verdict) -> Found | None:
        device = self._configured.get(unit)
        return roll.enter(unit, verdict, device.name if device else None, configured=device is not None)

    async def _interview(self, unit: int, probing: Patience) -> AsyncGenerator[Question | Verdict, None]:
        device = self._configured.get(unit)
        profile = self.settings.library[device.profile] if device is not None else None
        interview = Interview(self.settings.library.values(), profile)
        async with aclosing(conduct(_Asker(self._wire, probing, self._patient), unit, interview.run())) as steps:
            async for step in steps:
                if isinstance(step, Verdict) and step.alive:
                    self._remember(unit, step)
                yield step

    def _remember(self, unit: int, verdict: Verdict) -> None:
        """Keep where the SunSpec models are; forget plans that were made for another device."""
        address = str(unit)
        if self._models.get(address) != verdict.models:
            self._models[address] = verdict.models
            self._transactions = {key: plans for key, plans in self._transactions.items() if key[0] != address}

    def _profile(self, child: ChildDevice) -> Profile | None:
        return None if child.profile is None else self.settings.library.get(child.profile)

    async def _planned(self, child: ChildDevice, profile: Profile, due: frozenset[str]) -> Sequence[_Transaction]:
        key = (child.address, profile.name, due)
        if (known := self._transactions.get(key)) is not None:
            return known
        if profile.is_sunspec and not self._models.get(child.address):
            await self.identify(child.address)
        points = profile.place(due, self._models.get(child.address, {}))
        blocks = plan(points, max_gap=self._max_gap(profile), max_registers=profile.max_registers)
        self._transactions[key] = [_Transaction(block.read, block.decoder()) for block in blocks]
        return self._transactions[key]

    def _max_gap(self, profile: Profile) -> int:
        """Read through a hole only where the device allows it and the wire gains by it."""
        if not isinstance(self._bus, Line):
            return profile.read_through
        return min(profile.read_through, worthwhile_gap(self._bus.baudrate, bits_per_character=self._bus.bits_per_character))

    def _tell_refused(self, child: ChildDevice, read: Read, refusal: Refused) -> None:
        if (child.key, read) not in self._refused:
            self._refused.add((child.key, read))
            log.warning("%s: %s refuses to read %s: %s; its points are left out", self.bus, child.name, read, refusal)

    def _tell_readable(self, child: ChildDevice, read: Read) -> None:
        if self._refused and (child.key, read) in self._refused:
            self._refused.remove((child.key, read))
            log.info("%s: %s lets %s be read again", self.bus, child.name, read)


@dataclass(slots=True)
class _Asker:
    """The wire, hasty while nobody has answered yet and patient with a unit that did."""

    wire: Wire
    probing: Patience
    talking: Patience
    has_answered: bool = False

    async def ask(self, unit: int, question: Question) -> bytes | Mapping[int, bytes]:
        try:
            answer = await self.wire.ask(unit, question, self.talking if self.has_answered else self.probing)
        except Refused:
            self.has_answered = True
            raise
        self.has_answered = True
        return answer
