"""Modbus by the adapter contract: which unit is asked what, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, Question, Read, Refused
from adapters.modbus.client.transport import Patience, Wire
from adapters.modbus.client.unit_ids import RESERVED_UNIT, unit_id
from adapters.modbus.discovery.hosts import USUAL_UNITS, listening_hosts
from adapters.modbus.discovery.identify import Interview, Verdict, conduct
from adapters.modbus.discovery.roster import Place, RollCall, found
from adapters.modbus.polling.illegal_addresses import HEALABLE, Bisection
from adapters.modbus.polling.plan import Block
from adapters.modbus.polling.read_plans import Readings
from adapters.modbus.polling.units import KnownUnits
from adapters.modbus.profile.commands import order_for
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_models import profile_named
from adapters.modbus.profile.values import NO_FACTOR
from adapters.modbus.settings import ConfiguredDevice, ModbusSettings
from adapters.modbus.tools.examination import examined
from adapters.modbus.tools.workbench import ModbusWorkbench
from gateway.adapter import (
    Adapter,
    ChildDevice,
    Command,
    CommandRejected,
    DeviceUnreachable,
    Finding,
    Found,
    PlannedRead,
    Progress,
    Reading,
    Workbench,
)

STRANGER_AFTER = 8
"""Each so many misses a silent unit is asked more than its sign of life: another device there may answer other things."""


class ModbusAdapter(Adapter[ModbusSettings]):
    """One TCP host or one serial line."""

    settings_model = ModbusSettings

    def __init__(self, settings: ModbusSettings, bus: Bus | None = None, wire: Wire | None = None) -> None:
        super().__init__(settings)
        self._bus = bus if bus is not None else settings.all_buses[0]
        self._wire = wire if wire is not None else Link(self._bus)
        self._place = Place(settings.entry, self.bus)
        self._configured: Mapping[int, ConfiguredDevice] = settings.devices_on(self.bus)
        self._timeout = settings.timeout.total_seconds()
        self._profiles: dict[str, Profile | None] = {}
        self._units = KnownUnits(self.bus, lambda: self.memory)
        self._readings = Readings(self._bus, self._units, lambda: self.memory)

    @property
    def bus(self) -> str:
        """The name given in the config, else host:port or the serial port."""
        return self._bus.label

    @classmethod
    async def buses(cls, settings: ModbusSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each host and each line of the entry."""
        for bus in settings.all_buses:
            yield cls(settings, bus)

    @classmethod
    def examine(cls, settings: ModbusSettings | None) -> AsyncIterator[Finding]:
        """Look whether the lines' ports are there, may be used and are free, and by which name they are better called."""
        return examined(settings)

    @classmethod
    async def first_look(cls, hosts: Sequence[str]) -> Mapping[str, Any] | None:
        """Ask those of the named hosts that listen on the port of Modbus, and of each the unit ids that most devices have."""
        listening = await listening_hosts(hosts)
        return {"hosts": listening, "units": USUAL_UNITS} if listening else None

    async def __aenter__(self) -> Self:
        await self._wire.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._wire.close()

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Ask configured devices first, then each unit id of the settings; yield after each transaction.

        Where a scan was broken off, by a lost bus or a restart, the next one goes on; it then asks the first ones last.
        """
        roll = RollCall(self._place)
        scanned: Sequence[int] = self.settings.units_of(self._bus)
        first = (RESERVED_UNIT,) if isinstance(self._bus, TcpHost) and scanned else ()
        total = len(first) + len(self._configured) + len(scanned)
        for unit in first:
            async for step in self._call(roll, unit, Progress(0, total, f"unit {unit}")):
                yield step
        if not roll.is_answered_for_everybody:  # else its device is met at the lowest unit id, which has to be asked first
            scanned = _from(self._units.scan_position, scanned)
        for done, unit in enumerate((*self._configured, *scanned), start=len(first)):
            if unit not in self._configured:
                self._units.scan_position = unit
            async for step in self._call(roll, unit, Progress(done, total, f"unit {unit}")):
                yield step
        self._units.scan_position = 0
        for again in roll.close():
            yield again

    async def _call(self, roll: RollCall, unit: int, so_far: Progress) -> AsyncIterator[Found | Progress]:
        """Interview one unit and enter it into the roll."""
        if unit in self._configured:
            asker, openers = self._asker(unit), None
        else:
            asker = _Asker(self, unit, Patience(self.settings.scan_timeout.total_seconds()))
            openers = (FIRST_REGISTER,)  # one time-out for each unit that is not there, not two
        async with aclosing(self._interview(unit, asker, openers)) as steps:
            async for step in steps:
                if isinstance(step, Verdict):
                    if (met := self._enter(roll, unit, step)) is not None:
                        yield met
                    yield replace(so_far, done=so_far.done + 1)
                else:
                    yield replace(so_far, note=f"{so_far.note}: {step}")

    async def identify(self, address: str) -> Found:
        """Interview this unit alone. A unit that is dead costs one question, where it is known what it used to answer."""
        unit = unit_id(address)
        device = self._configured.get(unit)
        known = self._units.of(unit)
        is_time_for_more = known.turnaround.misses % STRANGER_AFTER == STRANGER_AFTER - 1
        openers = None if known.sign_of_life is None or is_time_for_more else (known.sign_of_life,)
        heard: Mapping[str, str] = {}
        async with aclosing(self._interview(unit, self._asker(unit), openers)) as steps:
            async for step in steps:
                if isinstance(step, Verdict) and step.alive:
                    return found(self._place, unit, step, device.name if device else None)
                heard = step.evidence if isinstance(step, Verdict) else heard
        raise DeviceUnreachable("; ".join(sorted({reason.removeprefix("silence: ") for reason in heard.values()})))

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the groups of the child's profile that have points."""
        profile = self._profile(child.profile)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read the blocks of the groups that are due; of a block that is refused, whatever can be read of it."""
        profile = self._profile(child.profile)
        if profile is None:
            return
        unit = int(child.address)
        if profile.is_sunspec and not self._units.of(unit).models:
            await self.identify(child.address)
        factors: dict[Read, bytes] = {}
        for transaction in self._readings.transactions(child, profile, due):
            for apart in transaction.block.factors:
                if apart not in factors:
                    factors[apart] = await self._factors(unit, apart)
                    yield ()
            try:
                payload = cast("bytes", await self.ask(unit, transaction.read))
            except Refused as refusal:
                yield ()
                if refusal.code in HEALABLE:
                    async for readings in self._heal(child, transaction.block, refusal.code, factors):
                        yield readings
            else:
                payload = transaction.block.with_factors(payload, factors)
                yield transaction.decoder.decode(payload, child.key, datetime.now(UTC))

    async def _factors(self, unit: int, read: Read) -> bytes:
        """Return scale factors that are read apart; "not available", where the unit refuses them."""
        try:
            return cast("bytes", await self.ask(unit, read))
        except Refused:
            return NO_FACTOR * read.count

    async def _heal(
        self, child: ChildDevice, block: Block, code: int, factors: Mapping[Read, bytes]
    ) -> AsyncIterator[Sequence[Reading]]:
        """Halve a block that was refused until it is known which of its points are; yields after each transaction."""
        bisection = Bisection(block)
        while (part := bisection.next()) is not None:
            try:
                payload = cast("bytes", await self.ask(int(child.address), part.read))
            except Refused as refusal:
                yield ()
                if refusal.code not in HEALABLE:
                    return  # it is busy, which says nothing of its addresses; another time, then
                bisection.was_refused()
            else:
                bisection.was_read()
                yield part.decoder().decode(part.with_factors(payload, factors), child.key, datetime.now(UTC))
        self._readings.learn(child, bisection, code)

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the reads of these children, and of the configured devices that are not among them."""
        known = {child.address for child in children}
        expected = [self._expected(unit, device) for unit, device in self._configured.items() if str(unit) not in known]
        profiles = ((child, self._profile(child.profile)) for child in (*children, *expected))
        return [read for child, profile in profiles if profile for read in self._readings.planned(child, profile)]

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return what is not read of the unit, what it refuses, how quickly it answers, and whether its line hears itself."""
        told = self._readings.remarks(child, self._profile(child.profile))
        return [*told, "its line hears its own requests"] if self._wire.echoes else told

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the tools on the bus of this adapter, or those that need none."""
        return ModbusWorkbench() if adapter is None else adapter._tools()  # noqa: SLF001 - one of its own

    def _tools(self) -> ModbusWorkbench:
        return ModbusWorkbench(self.settings, self._bus, self._wire)

    async def execute(self, child: ChildDevice, command: Command) -> str | None:
        """Write what the profile says, once, and read it back."""
        profile = self._profile(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} takes no commands: no profile says which")
        order, unit = order_for(profile, command), int(child.address)
        try:
            await self.ask(unit, order.write, Patience(self._timeout))
            if order.check is None:
                return f"{child.name} took {command.name}"
            shown = order.shown_by(cast("bytes", await self.ask(unit, order.check)))
        except Refused as refusal:
            raise CommandRejected(f"{child.name} refuses it: {refusal}") from refusal
        if not order.is_obeyed(shown):
            raise CommandRejected(f"{child.name} took it, but {order.point.metric.name} is {shown}, not {order.value}")
        return f"{order.point.metric.name} is {shown}"

    async def ask(self, unit: int, question: Question, patience: Patience | None = None) -> bytes | Mapping[int, bytes]:
        """Ask a unit as patiently as it needs, and learn from how it answers.

        Raises:
            Refused: it answered with a Modbus exception.
            DeviceUnreachable: it did not answer.
            BusUnavailable: the bus was lost.
        """
        try:
            answer = await self._wire.ask(unit, question, patience or self._patience(unit))
        except Refused:
            self._units.answered(unit, self._wire.answer_seconds)
            raise
        except DeviceUnreachable:
            self._units.of(unit).turnaround.missed()
            raise
        self._units.answered(unit, self._wire.answer_seconds)
        return answer

    def _patience(self, unit: int) -> Patience:
        """Return how long this unit is waited for, and that one that has just failed to answer is asked only once."""
        turnaround = self._units.of(unit).turnaround
        tries = 1 if turnaround.misses else self.settings.retries + 1
        return Patience(turnaround.timeout_seconds(self._timeout), tries, self._timeout)

    def _asker(self, unit: int) -> _Asker:
        patience = self._patience(unit)
        return _Asker(self, unit, replace(patience, tries=1))

    def _expected(self, unit: int, device: ConfiguredDevice) -> ChildDevice:
        """Return a configured device as the child that it will be, as far as that matters for a plan."""
        profile = self._profile(device.profile)
        sub_model = profile.sub_model if profile is not None and isinstance(profile.sub_model, str) else None
        return self.unregistered_child(
            key=f"configured:{self.bus}/{unit}",
            address=str(unit),
            name=device.name or f"{device.profile} unit {unit}",
            profile=device.profile,
            sub_model=sub_model,
        )

    def _enter(self, roll: RollCall, unit: int, verdict: Verdict) -> Found | None:
        device = self._configured.get(unit)
        return roll.enter(unit, verdict, device.name if device else None, configured=device is not None)

    async def _interview(
        self, unit: int, asker: _Asker, openers: Sequence[Question] | None
    ) -> AsyncGenerator[Question | Verdict, None]:
        device = self._configured.get(unit)
        profile = self._profile(device.profile) if device is not None else None
        interview = Interview(self.settings.library.values(), profile, openers)
        async with aclosing(conduct(asker, unit, interview.run())) as steps:
            async for step in steps:
                if isinstance(step, Verdict) and step.alive:
                    self._remember(unit, step)
                yield step

    def _remember(self, unit: int, verdict: Verdict) -> None:
        """Keep where the SunSpec models are and what the unit answers; forget plans that were made for another device."""
        if self._units.of(unit).models != verdict.models:
            self._readings.forget(str(unit))
        self._units.met(unit, verdict.sign_of_life, verdict.models)

    def _profile(self, name: str | None) -> Profile | None:
        """Return the profile of this name; one that was made for a device is made once."""
        if name is None:
            return None
        if name not in self._profiles:
            self._profiles[name] = profile_named(name, self.settings.library)
        return self._profiles[name]


@dataclass(slots=True)
class _Asker:
    """Asks one unit: hastily while it has not answered yet, patiently once it did."""

    adapter: ModbusAdapter
    unit: int
    probing: Patience
    has_answered: bool = False

    async def ask(self, unit: int, question: Question) -> bytes | Mapping[int, bytes]:
        try:
            answer = await self.adapter.ask(unit, question, None if self.has_answered else self.probing)
        except Refused:
            self.has_answered = True
            raise
        self.has_answered = True
        return answer


def _from(position: int, units: Sequence[int]) -> Sequence[int]:
    """Return the unit ids from this one on, and then those before it."""
    return (*(unit for unit in units if unit >= position), *(unit for unit in units if unit < position))
