"""The tools for putting Modbus devices into service: what they try stands in the detectives; here it is carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar, cast

from adapters.modbus.client.buses import Bus, SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, Answer, NoSuchUnit, Question, Read, Refused, Silence
from adapters.modbus.client.rtu_frames import frames_in
from adapters.modbus.client.transport import Patience, Wire
from adapters.modbus.client.unit_ids import LAST_UNIT, unit_id
from adapters.modbus.discovery.sunspec import SunSpec, walk
from adapters.modbus.polling.illegal_addresses import HEALABLE, Bisection
from adapters.modbus.polling.plan import Block, Pace, plan
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_layout import NOWHERE, Layout
from adapters.modbus.profile.values import NO_FACTOR
from adapters.modbus.settings import ModbusSettings
from adapters.modbus.tools.drafts import draft
from adapters.modbus.tools.dump import WrongRange, dump, reads_at_least
from adapters.modbus.tools.line_finder import LIKELY_UNITS, Listen, Outcome, Try, detect, tries
from adapters.modbus.tools.register_finder import explain
from gateway.adapter import (
    BusUnavailable,
    CheckedProfile,
    DeviceUnreachable,
    Draft,
    Dump,
    Explanation,
    Found,
    LineSettings,
    NotOffered,
    PlannedBlock,
    ProfileWorkbench,
    Progress,
    Reading,
)

T = TypeVar("T")

LISTEN_SECONDS = 1.5
"""So long is listened at each of the likely settings: a master that polls is heard within."""

ASK_SECONDS = 0.1
"""So long a unit is waited for while settings are tried; `thorough` waits `THOROUGH_SECONDS`."""

THOROUGH_SECONDS = 0.4

SILENCES_BOUND = 10
"""A device that was silent so often in a row is not asked any more: what was read until then is all there is."""

GIVEN_UP = Silence("not asked: it was silent too often")


class ModbusWorkbench(ProfileWorkbench[Profile]):
    """The tools on one bus, or without one.

    Args:
        settings: the entry.
        bus: the host or line; `None` for the tools that need none.
        wire: what carries questions there.
        link_to: makes the link for a line with other settings.
    """

    def __init__(
        self,
        settings: ModbusSettings | None = None,
        bus: Bus | None = None,
        wire: Wire | None = None,
        link_to: Callable[[SerialLine], Link] = Link,
    ) -> None:
        super().__init__(PROFILE_FILES, None if settings is None else settings.library)
        self._settings = settings
        self._bus = bus
        self._wire = wire
        self._link_to = link_to

    async def detect_line(self, *, thorough: bool = False) -> AsyncIterator[Progress | LineSettings]:
        """Listen and ask at one setting after the other until one is confirmed."""
        if not isinstance(self._bus, SerialLine) or self._settings is None:
            raise NotOffered("only a serial line has settings that can be found out")
        units = self._settings.units if thorough or len(self._settings.units) < LAST_UNIT else LIKELY_UNITS
        seconds = THOROUGH_SECONDS if thorough else ASK_SECONDS
        detective, outcome, done, total = detect(self._bus, units), cast("Outcome", None), 0, tries(units)
        links = _Links(self._link_to)
        try:
            step = next(detective)
            while True:
                yield Progress(min(done, total), total, str(step))
                link = await links.with_settings(step.line)
                outcome, done = await _tried(step, link, seconds) if link is not None else None, done + 1
                step = detective.send(outcome)
        except StopIteration as end:
            if end.value is not None:
                yield end.value
            elif links.failure is not None:
                raise links.failure from None
        finally:
            links.close()

    async def take_dump(self, address: str, where: Sequence[str] = ()) -> AsyncIterator[Progress | Dump]:
        """Read the ranges block by block, halving what is refused."""
        unit, done, taking = unit_id(address), 0, dump(where)
        try:
            total, read = reads_at_least(where), next(taking)
        except WrongRange as error:
            raise NotOffered(str(error)) from error
        silences = 0
        try:
            while True:
                answer = await self._answer(unit, read)
                silences = silences + 1 if isinstance(answer, Silence) else 0
                if silences >= SILENCES_BOUND or (isinstance(answer, Silence) and answer.certain):
                    raise DeviceUnreachable(
                        f"unit {unit} does not answer: {answer.reason if isinstance(answer, Silence) else ''}"
                    )
                done += 1
                yield Progress(done, max(total, done), str(read))
                read = taking.send(answer)
        except StopIteration as end:
            yield Dump(cells=end.value)

    def explain(self, seen: Sequence[tuple[Dump, Decimal]], *, tolerance: float) -> Sequence[Explanation]:
        """Rank the ways to read the dumps that give what was shown."""
        return explain(seen, tolerance=tolerance)

    async def draft(self, found: Found) -> AsyncIterator[Progress | Draft]:
        """Dump the device's registers and make a draft of them."""
        async for step in self.take_dump(found.address):
            if not isinstance(step, Dump):
                yield step
            elif not step.cells:
                raise DeviceUnreachable(f"unit {found.address} lets no register be read: there is nothing to draft")
            else:
                yield draft(found, step)

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the blocks that the profile makes, at the pace of the bus, or of a line with 9600 baud where there is none."""
        profile, pace = self.read_profile(file), self._pace()
        return CheckedProfile(
            name=profile.name,
            title=profile.title,
            source=str(profile.source),
            blocks=[
                PlannedBlock(
                    group=group,
                    every_seconds=every.total_seconds(),
                    what=str(block.read),
                    metrics=[metric.name for metric in block.metrics],
                    seconds=pace.seconds(block.read),
                )
                for group, every in profile.intervals.items()
                for block in _blocks(profile, frozenset({group}), profile.least_layout, pace)
            ],
        )

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once; what a block refuses is halved, and a point that is refused alone has no reading."""
        profile, unit = self.read_profile(file), unit_id(address)
        layout = NOWHERE
        if profile.is_sunspec:
            found = await self._walked(unit)
            layout = found.models if found is not None else NOWHERE
            if not layout:
                raise DeviceUnreachable(f"unit {unit} is no SunSpec device, and the profile is of one")
        for block in _blocks(profile, frozenset(profile.intervals), layout, self._pace()):
            async for readings in self._read(unit, block):
                yield readings

    async def _walked(self, unit: int) -> SunSpec | None:
        """Return which SunSpec models the device has, and where."""
        steps = walk()
        try:
            question = next(steps)
            while True:
                question = steps.send(await self._answer(unit, question))
        except StopIteration as end:
            found: SunSpec | None = end.value
            return found

    async def _read(self, unit: int, block: Block) -> AsyncIterator[Sequence[Reading]]:
        factors = {read: await self._factors(unit, read) for read in block.factors}
        answer = await self._answer(unit, block.read)
        if isinstance(answer, bytes):
            yield _decoded(block, unit, answer, factors)
            return
        if not isinstance(answer, Refused) or answer.code not in HEALABLE:
            raise DeviceUnreachable(f"unit {unit} does not answer {block.read}: {answer}")
        bisection = Bisection(block)
        while (part := bisection.next()) is not None:
            answer = await self._answer(unit, part.read)
            if isinstance(answer, bytes):
                bisection.was_read()
                yield _decoded(part, unit, answer, factors)
            else:
                bisection.was_refused()

    async def _factors(self, unit: int, read: Read) -> bytes:
        answer = await self._answer(unit, read)
        return answer if isinstance(answer, bytes) else NO_FACTOR * read.count

    async def _answer(self, unit: int, question: Question) -> Answer:
        if self._wire is None or self._settings is None:
            raise NotOffered("this needs a bus")
        patience = Patience(self._settings.timeout.total_seconds(), self._settings.retries + 1)
        try:
            return await self._wire.ask(unit, question, patience)
        except Refused as refusal:
            return refusal
        except DeviceUnreachable as error:
            return Silence(str(error), certain=isinstance(error, NoSuchUnit))

    def _pace(self) -> Pace:
        if isinstance(self._bus, SerialLine):
            return Pace.of_line(self._bus.baudrate, self._bus.bits_per_character)
        if self._bus is None:
            return Pace.of_line(9600)
        return Pace() if self._bus.baudrate is None else Pace.of_line(self._bus.baudrate)


class _Links:
    """One link at a time, with settings that change. A port need not take all of them."""

    def __init__(self, link_to: Callable[[SerialLine], Link]) -> None:
        self.failure: BusUnavailable | None = None
        """Why the port could not be opened; `None` once it was, with some settings."""
        self._link_to = link_to
        self._link: Link | None = None
        self._tried: SerialLine | None = None
        self._has_opened = False

    async def with_settings(self, line: SerialLine) -> Link | None:
        """Return an open link with these settings; `None` when the port does not take them."""
        if line == self._tried:
            return self._link
        self.close()
        self._tried, link = line, self._link_to(line)
        try:
            await link.open()
        except BusUnavailable as error:
            self.failure = None if self._has_opened else error
            return None
        self._link, self._has_opened, self.failure = link, True, None
        return link

    def close(self) -> None:
        """Close what is open."""
        if self._link is not None:
            self._link.close()
        self._link = self._tried = None


async def _tried(step: Try, link: Link, seconds: float) -> Outcome:
    if isinstance(step, Listen):
        return frames_in(await link.listen(LISTEN_SECONDS))
    try:
        answer = await link.ask(step.unit, FIRST_REGISTER, Patience(seconds))
    except Refused as refusal:
        return str(refusal)
    except DeviceUnreachable:
        return None
    return answer.hex(" ", 2)


def _decoded(block: Block, unit: int, answer: bytes, factors: Mapping[Read, bytes]) -> Sequence[Reading]:
    return block.decoder().decode(block.with_factors(answer, factors), str(unit), datetime.now(UTC))


def _blocks(profile: Profile, groups: frozenset[str], models: Layout, pace: Pace) -> Sequence[Block]:
    return plan(profile.place(groups, models), pace, read_through=profile.read_through, max_registers=profile.max_registers)
