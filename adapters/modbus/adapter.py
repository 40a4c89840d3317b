"""Implement the adapter contract for Modbus: discover, identify, read and write the units of one bus."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Self

from pydantic import BaseModel

from adapters.modbus.bus_facts import facts_of
from adapters.modbus.client.answer_quality import unreachable
from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.frame_descriptions import explained
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, Request
from adapters.modbus.client.transport import RetryPolicy, Transport
from adapters.modbus.client.unit_ids import HOST_UNITS, RESERVED_UNIT, unit_id
from adapters.modbus.command_execution import CommandExecution, write_sentence
from adapters.modbus.discovery.distinct_devices import BusId, Roster, found_device
from adapters.modbus.discovery.framing_trial import FramingTrial
from adapters.modbus.discovery.hosts import ANNOUNCED_AS, look_for_hosts
from adapters.modbus.discovery.identify import ProbeResult, UnitProbe, run_probe
from adapters.modbus.discovery.scan_timing import ScanTiming
from adapters.modbus.discovery.unit_scan import UnitScan
from adapters.modbus.polling.block_reader import BlockReader
from adapters.modbus.polling.read_plans import ReadPlans
from adapters.modbus.polling.unit_requests import ProbeSender, UnitRequests
from adapters.modbus.polling.unit_settings import UnitSettings
from adapters.modbus.polling.units import KnownUnits
from adapters.modbus.profile.child_profiles import ChildProfiles
from adapters.modbus.profile.commands import PlannedWrite, planned_write
from adapters.modbus.settings import ConfiguredDevice, ModbusSettings
from adapters.modbus.tools.doctor_checks import examined
from adapters.modbus.tools.workbench import ModbusWorkbench
from gateway.adapter import (
    Adapter,
    BusFact,
    ChildDevice,
    Command,
    CommandRejected,
    CommandResult,
    CommandSpec,
    Finding,
    Found,
    Licence,
    Metric,
    NamedNetworks,
    NetworkHost,
    PlannedRead,
    Progress,
    Reading,
    RecordedFrame,
    SearchSummary,
    SettingValue,
    Value,
    Workbench,
    WrittenSetting,
    frames_of,
    licence_command,
    seconds_text,
    settings_model,
)

FULL_PROBE_EVERY = 8
"""Each time a unit has missed this many requests, it gets a full probe: another device there may answer other requests."""


class ModbusAdapter(Adapter[ModbusSettings]):
    """One TCP host or one serial line."""

    settings_model = ModbusSettings
    announced_as = ANNOUNCED_AS

    def __init__(self, settings: ModbusSettings, bus: Bus | None = None, transport: Transport | None = None) -> None:
        super().__init__(settings)
        self._bus = bus if bus is not None else settings.all_buses[0]
        self._transport = transport if transport is not None else self._make_link()
        self._bus_id = BusId(settings.entry, self.bus)
        self._configured: Mapping[int, ConfiguredDevice] = settings.devices_on(self.bus)
        self._timeout = settings.timeout_seconds(self._bus)
        self._profiles = ChildProfiles(settings.library)
        self._timing = ScanTiming(settings.scan_timeout_seconds(self._bus))
        self._framing = FramingTrial(self._bus, self._transport)
        self._units = KnownUnits(self.bus, lambda: self.memory, self._transport.pause_seconds)
        first_tries = 2 if self._bus.loses_requests else 1
        self._requests = UnitRequests(self._transport, self._units, self._timeout, settings.retries, first_tries)
        self._scan: UnitScan | None = None
        self._read_plans = ReadPlans(self._bus, self._units, lambda: self.memory)

    def _make_link(self) -> Link:
        return Link(self._bus, memory=lambda: self.memory, pauses=self.settings.pauses_on(self._bus.label))

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
        """Check whether the serial ports exist, can be used and are free, and suggest names that survive replugging."""
        return examined(settings)

    @classmethod
    def look_in_networks(cls, networks: NamedNetworks) -> AsyncIterator[NetworkHost | Progress | SearchSummary]:
        """Yield the named hosts that listen on a Modbus port, each with the usual unit ids."""
        return look_for_hosts(networks)

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._transport.close()

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Probe configured devices first, then each unit id of the settings; yield after each transaction.

        After a scan was interrupted, by a lost bus or a restart, the next one continues there and probes the first units last.
        """
        roster = Roster(self._bus_id)
        self._timing = ScanTiming(self.settings.scan_timeout_seconds(self._bus))
        scanned: Sequence[int] = self.settings.units_of(self._bus)
        is_host = isinstance(self._bus, TcpHost)
        first = (RESERVED_UNIT,) if is_host and scanned else ()
        total = len(first) + len(self._configured) + len(scanned)
        self._scan = scan = UnitScan(
            roster, self._timing, self._transport, self._probe_for_scan, partial(self._add, roster), total
        )
        for unit in first:
            async for step in scan.take(unit):
                yield step
        if not roster.host_answers_all_units:  # else its device is found at the lowest unit id, which has to be probed first
            scanned = _starting_at(self._units.scan_position, scanned)
        for unit in (*self._configured, *scanned):
            if unit not in self._configured:
                self._units.scan_position = unit
            async for step in scan.take(unit):
                yield step
        others = () if self._bus.is_on_line else (unit for unit in HOST_UNITS if unit not in {*self._configured, *scanned})
        async for step in scan.finish(others, may_queue=is_host):
            yield step
        async with aclosing(self._framing.run((*self._configured, *scanned), self._timing.configured_seconds)) as trial:
            async for note in trial:
                yield Progress(scan.total, scan.total, note)
        self._units.scan_position = 0
        for device in roster.at_several_units():
            yield device

    def last_search(self) -> SearchSummary | None:
        """Return how many unit ids were asked and stayed quiet."""
        return None if self._scan is None else self._scan.summary

    def _probe_for_scan(self, unit: int, *, seconds: float, waits_for_start: bool) -> AsyncGenerator[Request | ProbeResult, None]:
        if unit in self._configured:
            return self._probe(unit, ProbeSender(self._requests, self._requests.single_try(unit)), None)
        policy = RetryPolicy(seconds, self._requests.first_tries, waits_for_start=waits_for_start)
        return self._probe(unit, ProbeSender(self._requests, policy), (FIRST_REGISTER,))  # absent: one time-out, not two

    async def identify(self, address: str) -> Found:
        """Probe this unit alone. A dead unit costs one request, where a request is known that it used to answer."""
        unit = unit_id(address, on_line=self._bus.is_on_line)
        device = self._configured.get(unit)
        known = self._units.of(unit)
        is_full_probe_due = known.turnaround.misses % FULL_PROBE_EVERY == FULL_PROBE_EVERY - 1
        first_requests = None if known.answered_request is None or is_full_probe_due else (known.answered_request,)
        evidence: Mapping[str, str] = {}
        sender = ProbeSender(self._requests, self._requests.single_try(unit))
        async with aclosing(self._probe(unit, sender, first_requests)) as steps:
            async for step in steps:
                if isinstance(step, ProbeResult) and step.alive:
                    return found_device(self._bus_id, unit, step, device.name if device else None)
                evidence = step.evidence if isinstance(step, ProbeResult) else evidence
        reasons = sorted({reason.removeprefix("silence: ") for reason in evidence.values()})
        advice = await self._framing.advise(unit, self._timeout)
        raise unreachable(getattr(self._transport, "quality", None), unit, [*reasons, *advice])

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the groups of the child's profile that have points."""
        profile = self._profiles.of(child)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read the blocks of the groups that are due; of a refused block, every part that can be read."""
        profile = self._profiles.of(child)
        if profile is None:
            return
        unit = int(child.address)
        if profile.is_sunspec and not self._units.of(unit).models:
            await self.identify(child.address)
        single_try = partial(self._requests.single_try, unit)
        reader = BlockReader(child, self._units.of(unit), self._read_plans, ask=self._requests.ask, single_try=single_try)
        async with aclosing(reader.read(profile, due)) as blocks:
            async for readings in blocks:
                yield readings

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the reads of these children, and of the configured devices that are not among them."""
        known = {child.address for child in children}
        expected = [self._expected(unit, device) for unit, device in self._configured.items() if str(unit) not in known]
        profiles = ((child, self._profiles.of(child)) for child in (*children, *expected))
        return [read for child, profile in profiles if profile for read in self._read_plans.planned(child, profile)]

    def recent_frames(self) -> Sequence[str]:
        """Return the last frames on the line or connection, and what was set aside on a line."""
        if not isinstance(self._transport, Link):
            return ()
        frames = self._transport.frames.lines()
        return [*frames, f"set aside: {self._transport.traffic_summary()}"] if self._bus.is_rtu and frames else frames

    def recorded_frames(self, address: str) -> Sequence[RecordedFrame]:
        """Return the last frames of a unit with what each means."""
        frames = self._transport.frames.recorded() if isinstance(self._transport, Link) else ()
        return frames_of(explained(frames, self._bus.framing), address)

    def bus_facts(self) -> Sequence[BusFact]:
        """Return the host or the line, and how it is set, as configured or as usual."""
        return facts_of(self._bus, self.settings)

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return which points of the unit are not read or refused, how quickly it answers, and whether its line echoes."""
        remarks = self._read_plans.remarks(child, self._profiles.of(child), self._timeout)
        if (pause := self._transport.pause_seconds(int(child.address))) > 0:
            remarks.append(f"gets a pause of {seconds_text(pause)} before each request, configured or learned (`request_pause`)")
        return [*remarks, "its line echoes requests"] if self._transport.echoes else remarks

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return that the unit refuses all of its points, if so: as an inverter by night does."""
        profile = self._profiles.of(child)
        return None if profile is None else self._read_plans.why_no_values(child, profile)

    def bus_remarks(self) -> Sequence[str]:
        """Return what else speaks on the bus, and what is wrong with the answers by which units were identified."""
        of_line = self._transport.remarks() if isinstance(self._transport, Link) else ()
        of_scan = (self._framing.advice or self._silence_remark(),)
        return [*of_line, *(remark for remark in of_scan if remark), *self._units.problems]

    def _silence_remark(self) -> str | None:
        return self._timing.remark(is_silent_host=self._framing.is_quiet_host, is_udp=self._bus.loses_requests)

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the tools on the bus of this adapter, or those that need no bus."""
        return ModbusWorkbench(adapter_on=partial(cls, bus=None)) if adapter is None else adapter._tools()  # noqa: SLF001 - an instance of this class

    def _tools(self) -> ModbusWorkbench:
        return ModbusWorkbench(self.settings, self._bus, self._transport)

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return the commands of the child's profile."""
        profile = self._profiles.of(child)
        return () if profile is None else profile.command_specs

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult:
        """Execute a command: write the point once, and read it back where its register keeps what is written."""
        return await self._execution(child, command).run()

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Return the result of an interrupted command if the unit has its value now.

        That is the proof: the command asks for a state, and the unit is in it. Whether it was before is not known any more. A
        command whose register does not keep what is written, such as a button, cannot be proven.
        """
        return await self._execution(child, command).read_back()

    def planned_writes(self, child: ChildDevice, command: Command) -> Sequence[str]:
        """Return the write of the command: its register, the words and their meaning."""
        return [write_sentence(child, self._planned_write(child, command))]

    def _execution(self, child: ChildDevice, command: Command) -> CommandExecution:
        ask = partial(self._requests.ask, at_once=self._at_once(child))
        return CommandExecution(child, self._planned_write(child, command), ask)

    def _at_once(self, child: ChildDevice) -> int | None:
        """Return how many registers of a child are read in one request; `None` where no limit is known."""
        profile = self._profiles.of(child)
        return None if profile is None else self._read_plans.at_once(child, profile)

    def _planned_write(self, child: ChildDevice, command: Command) -> PlannedWrite:
        profile = self._profiles.of(child)
        if profile is None:
            raise CommandRejected(f"{child.name} takes no commands: it has no profile")
        return planned_write(profile, command)

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of the child's profile; of a device with SunSpec models, once these are known."""
        profile = self._profiles.of(child)
        if profile is None:
            return {}
        if not profile.is_sunspec:
            return profile.metrics()
        models = self._units.of(int(child.address)).models
        return profile.metrics(models) if models else {}

    def point_map(self, child: ChildDevice) -> str | None:
        """Return the points of the child's profile; none where SunSpec defines them, or the profile wants no trial."""
        profile = self._profiles.named(child.profile)
        return None if profile is None or profile.is_sunspec or not profile.trial else profile.point_map

    def use_map(self, key: str, text: str | None) -> None:
        """Read the child with this key by the points in this text."""
        self._profiles.use_map(key, text)

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings of the child's profile."""
        profile = self._profiles.of(child)
        return None if profile is None or not profile.settings else settings_model(profile.setting_specs)

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Read the registers of these settings, and return those that have another value."""
        return await self._settings_of(child).differing(config)

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Write the registers of these settings, each once, and read each back."""
        return await self._settings_of(child).write(config)

    def _settings_of(self, child: ChildDevice) -> UnitSettings:
        profile, unit = self._profiles.of(child), int(child.address)
        if profile is None:
            raise CommandRejected(f"{child.name} has no settings: it has no profile")
        return UnitSettings(
            child,
            profile,
            ask_again=partial(self._requests.ask, unit, at_once=self._at_once(child)),
            ask_once=partial(self._requests.ask, unit, policy=RetryPolicy(self._timeout)),
        )

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return the command that the profile names for a licence."""
        profile = self._profiles.of(child)
        return licence_command(None if profile is None else profile.licence, child, licence)

    def _expected(self, unit: int, device: ConfiguredDevice) -> ChildDevice:
        """Return a configured device as the child that it will become, as far as a plan needs it."""
        profile = self._profiles.named(device.profile)
        sub_model = profile.sub_model if profile is not None and isinstance(profile.sub_model, str) else None
        return self.unregistered_child(
            key=f"configured:{self.bus}/{unit}",
            address=str(unit),
            name=device.name or f"{device.profile} unit {unit}",
            profile=device.profile,
            sub_model=sub_model,
        )

    def _add(self, roster: Roster, unit: int, result: ProbeResult) -> Found | None:
        device = self._configured.get(unit)
        return roster.add(unit, result, device.name if device else None, configured=device is not None)

    async def _probe(
        self, unit: int, sender: ProbeSender, first_requests: Sequence[Request] | None
    ) -> AsyncGenerator[Request | ProbeResult, None]:
        device = self._configured.get(unit)
        profile = self._profiles.named(device.profile) if device is not None else None
        probe = UnitProbe(self.settings.library.values(), profile, first_requests)
        async with aclosing(run_probe(sender, unit, probe.run())) as steps:
            async for step in steps:
                if isinstance(step, ProbeResult) and step.alive:
                    self._remember(unit, step)
                yield step

    def _remember(self, unit: int, result: ProbeResult) -> None:
        """Store the SunSpec models and an answered request of the unit; drop plans that were made for another device."""
        if self._units.of(unit).models != result.models:
            self._read_plans.forget(str(unit))
        self._units.identified(unit, result.answered_request, result.models)
        self._units.of(unit).problem = result.problem


def _starting_at(position: int, units: Sequence[int]) -> Sequence[int]:
    """Return the unit ids from this one on, followed by those before it."""
    return (*(unit for unit in units if unit >= position), *(unit for unit in units if unit < position))
