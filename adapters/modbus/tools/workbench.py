"""Carry out the commissioning tools for Modbus devices: line settings, dumps, drafts and profile trials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from adapters.modbus.client.buses import Bus, SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, ExceptionResponse, NoResponse, NoSuchUnit, ReadRequest, Request, Response
from adapters.modbus.client.transport import RetryPolicy, Transport
from adapters.modbus.client.unit_ids import LAST_UNIT, unit_id
from adapters.modbus.discovery.sunspec import SunSpecDevice, find_models
from adapters.modbus.polling.bisection import Bisection, Part
from adapters.modbus.polling.part_reads import parts_of
from adapters.modbus.polling.plan import ReadBlock, TransactionCost, plan_blocks
from adapters.modbus.polling.refusals import is_about_addresses
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_layout import NO_MODELS, SunSpecLayout
from adapters.modbus.profile.values import NO_SCALE_FACTOR
from adapters.modbus.settings import ModbusSettings
from adapters.modbus.tools.case_files import DeviceFile, ExpectedFile, read_case
from adapters.modbus.tools.case_runner import AdapterOn, case_settings, run_case
from adapters.modbus.tools.drafts import draft
from adapters.modbus.tools.dump import InvalidRange, dump_registers, fewest_reads
from adapters.modbus.tools.line_finder import LIKELY_UNITS, StepResult, find_line_settings, most_steps
from adapters.modbus.tools.new_profile import new_profile
from adapters.modbus.tools.register_finder import explain
from adapters.modbus.tools.trial_links import TrialLinks, run_step
from gateway.adapter import (
    CaseResult,
    CheckedProfile,
    DeviceUnreachable,
    Draft,
    Dump,
    Explanation,
    Found,
    LineSettings,
    NewProfile,
    NotOffered,
    PlannedBlock,
    ProfileFacts,
    ProfileProblems,
    ProfileWorkbench,
    Progress,
    Reading,
    case_schema,
)

T = TypeVar("T")

ASK_SECONDS = 0.1
"""How long a unit may take to answer while settings are tried; `thorough` waits `THOROUGH_SECONDS`."""

THOROUGH_SECONDS = 0.4

NO_RESPONSE_BOUND = 10
"""A dump ends after this many unanswered reads in a row."""


class ModbusWorkbench(ProfileWorkbench[Profile]):
    """The tools on one bus, or without one.

    Args:
        settings: the entry.
        bus: the host or line; `None` for the tools that need none.
        transport: sends requests there.
        link_to: makes the link for a line with other settings.
        adapter_on: makes an adapter on a transport, for case folders.
    """

    table_columns = "address, name, and maybe type, unit, scale (or divisor), table, length"
    table_questions = MappingProxyType(
        {"addresses": "How its addresses count: protocol (the first is 0), one-based (the first is 1), modicon (40001 or 30001)"}
    )

    def __init__(
        self,
        settings: ModbusSettings | None = None,
        bus: Bus | None = None,
        transport: Transport | None = None,
        link_to: Callable[[SerialLine], Link] = Link,
        adapter_on: AdapterOn | None = None,
    ) -> None:
        super().__init__(PROFILE_FILES, None if settings is None else settings.library)
        self._settings = settings
        self._bus = bus
        self._transport = transport
        self._link_to = link_to
        self._adapter_on = adapter_on
        self._case_settings: dict[tuple[Path, ...], ModbusSettings] = {}

    async def detect_line(self, *, thorough: bool = False) -> AsyncIterator[Progress | LineSettings]:
        """Listen and send reads at one setting after the other until one is confirmed."""
        if not isinstance(self._bus, SerialLine) or self._settings is None:
            raise NotOffered("only a serial line has settings that can be detected")
        units = self._settings.units if thorough or len(self._settings.units) < LAST_UNIT else LIKELY_UNITS
        seconds = THOROUGH_SECONDS if thorough else ASK_SECONDS
        steps, outcome, done, total = find_line_settings(self._bus, units), cast("StepResult", None), 0, most_steps(units)
        links = TrialLinks(self._link_to)
        try:
            step = next(steps)
            while True:
                yield Progress(min(done, total), total, str(step))
                link = await links.with_settings(step.line)
                outcome, done = await run_step(step, link, seconds) if link is not None else None, done + 1
                step = steps.send(outcome)
        except StopIteration as end:
            if end.value is not None:
                yield end.value
            elif links.failure is not None:
                raise links.failure from None
        finally:
            links.close()

    async def take_dump(self, address: str, where: Sequence[str] = ()) -> AsyncIterator[Progress | Dump]:
        """Read the ranges block by block, and halve refused blocks."""
        unit, done, taking = self._unit_id(address), 0, dump_registers(where)
        try:
            total, read = fewest_reads(where), next(taking)
        except InvalidRange as error:
            raise NotOffered(str(error)) from error
        unanswered = 0
        try:
            while True:
                answer = await self._answer(unit, read)
                unanswered = unanswered + 1 if isinstance(answer, NoResponse) else 0
                if unanswered >= NO_RESPONSE_BOUND or (isinstance(answer, NoResponse) and answer.is_absent):
                    raise DeviceUnreachable(
                        f"unit {unit} does not answer: {answer.reason if isinstance(answer, NoResponse) else ''}"
                    )
                done += 1
                yield Progress(done, max(total, done), str(read))
                read = taking.send(answer)
        except StopIteration as end:
            yield Dump(cells=end.value)

    def explain(self, seen: Sequence[tuple[Dump, Decimal]], *, tolerance: float) -> Sequence[Explanation]:
        """Rank the encodings and registers that give the displayed values."""
        return explain(seen, tolerance=tolerance)

    async def draft(self, found: Found) -> AsyncIterator[Progress | Draft]:
        """Dump the registers of the device and draft a profile from them."""
        async for step in self.take_dump(found.address):
            if not isinstance(step, Dump):
                yield step
            elif not step.cells:
                raise DeviceUnreachable(f"unit {found.address} has no readable register: there is nothing to draft")
            else:
                yield draft(found, step)

    def new_profile(self, facts: ProfileFacts) -> NewProfile:
        """Return a new profile with the registers of a maker's table."""
        try:
            return new_profile(facts)
        except ValueError as error:
            raise ProfileProblems(str(error)) from error

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the planned blocks of the profile with their times on the bus, or on a line with 9600 baud without a bus."""
        profile, cost = self.read_profile(file), self._cost()
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
                    seconds=cost.seconds(block.read),
                )
                for group, every in profile.intervals.items()
                for block in _blocks(profile, frozenset({group}), profile.least_layout, cost)
            ],
        )

    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schema of a profile, and of the two files of a case folder."""
        return {**super().schemas(), "device": case_schema(DeviceFile), "expected": case_schema(ExpectedFile)}

    async def run_case(self, folder: Path, profiles: Sequence[Path] = ()) -> CaseResult:
        """Find and read the device of a case folder with an adapter on a bus in memory."""
        if self._adapter_on is None:
            raise NotOffered("this needs an adapter")
        folders = tuple(profiles)
        if folders not in self._case_settings:
            self._case_settings[folders] = case_settings(folders)
        return await run_case(read_case(folder), self._adapter_on, self._case_settings[folders])

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once; refused blocks are halved, and a point that is refused alone has no reading."""
        profile, unit = self.read_profile(file), self._unit_id(address)
        layout = NO_MODELS
        if profile.is_sunspec:
            found = await self._sunspec_device(unit)
            layout = found.models if found is not None else NO_MODELS
            if not layout:
                raise DeviceUnreachable(f"unit {unit} is not a SunSpec device, but the profile is for one")
        for block in _blocks(profile, frozenset(profile.intervals), layout, self._cost()):
            async for readings in self._read(unit, block, profile.max_registers):
                yield readings

    async def _sunspec_device(self, unit: int) -> SunSpecDevice | None:
        """Return the SunSpec models of the device and their addresses."""
        steps = find_models()
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._answer(unit, request))
        except StopIteration as end:
            found: SunSpecDevice | None = end.value
            return found

    async def _read(self, unit: int, block: ReadBlock, at_once: int) -> AsyncIterator[Sequence[Reading]]:
        factors = {read: await self._factors(unit, read) for read in block.factors}
        whole = Part(block, at_once if block.read.count > at_once and not block.read.table.holds_bits else None)
        answer = await self._part(unit, whole)
        if isinstance(answer, bytes):
            yield _decoded(block, unit, answer, factors)
            return
        code = answer.code if isinstance(answer, ExceptionResponse) else None
        is_gone = code is None and isinstance(await self._answer(unit, FIRST_REGISTER), NoResponse)
        if is_gone or (code is not None and not is_about_addresses(code)):
            raise DeviceUnreachable(f"unit {unit} does not answer {block.read}: {answer}")
        bisection = Bisection(block, code)
        while (part := bisection.next()) is not None:
            answer = await self._part(unit, part)
            if isinstance(answer, bytes):
                bisection.was_read()
                yield _decoded(part.block, unit, answer, factors)
            else:
                bisection.failed(answer.code if isinstance(answer, ExceptionResponse) else None)

    async def _part(self, unit: int, part: Part) -> Response:
        """Return the bytes of a part of a block, or the first answer that has none."""
        payload = b""
        for read in parts_of(part.block.read, part.longest) if part.at_once is not None else (part.block.read,):
            answer = await self._answer(unit, read)
            if not isinstance(answer, bytes):
                return answer
            payload += answer
        return payload

    async def _factors(self, unit: int, read: ReadRequest) -> bytes:
        answer = await self._answer(unit, read)
        return answer if isinstance(answer, bytes) else NO_SCALE_FACTOR * read.count

    async def _answer(self, unit: int, request: Request) -> Response:
        if self._transport is None or self._settings is None or self._bus is None:
            raise NotOffered("this needs a bus")
        policy = RetryPolicy(self._settings.timeout_seconds(self._bus), self._settings.retries + 1)
        try:
            return await self._transport.ask(unit, request, policy)
        except ExceptionResponse as refusal:
            return refusal
        except DeviceUnreachable as error:
            return NoResponse(str(error), is_absent=isinstance(error, NoSuchUnit))

    def _unit_id(self, address: str) -> int:
        return unit_id(address, on_line=self._bus is not None and self._bus.is_on_line)

    def _cost(self) -> TransactionCost:
        if self._bus is None:
            return TransactionCost.of_line(9600)
        is_ascii = self._bus.framing == "ascii"
        if isinstance(self._bus, SerialLine):
            return TransactionCost.of_line(self._bus.baudrate, self._bus.bits_per_character, is_ascii=is_ascii)
        if self._bus.baudrate is None:
            return TransactionCost()
        return TransactionCost.of_line(self._bus.baudrate, is_ascii=is_ascii)


def _decoded(block: ReadBlock, unit: int, answer: bytes, factors: Mapping[ReadRequest, bytes]) -> Sequence[Reading]:
    return block.decoder().decode(block.with_factors(answer, factors), str(unit), datetime.now(UTC))


def _blocks(profile: Profile, groups: frozenset[str], models: SunSpecLayout, cost: TransactionCost) -> Sequence[ReadBlock]:
    return plan_blocks(
        profile.place(groups, models), cost, read_through=profile.read_through, max_registers=profile.max_registers
    )
