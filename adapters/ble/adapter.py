"""Implement the adapter contract for Bluetooth Low Energy: report advertised values, read other devices over connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.bus_facts import facts_of
from adapters.ble.discovery.advertisement_frames import advertisement_frames, recorded_at
from adapters.ble.discovery.beacon_frames import decided_at, is_reportable, is_undecided
from adapters.ble.discovery.reachability import QUIET_CONNECTABLE, Reachability
from adapters.ble.discovery.scan_patterns import choose_patterns
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.discovery.tracker import Tracker
from adapters.ble.profile.commands import PreparedCommand, prepare_command
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import expected_services, plan_reads
from adapters.ble.radio import passive_failures
from adapters.ble.radio.bluez import loss_cause
from adapters.ble.radio.radio import Radio
from adapters.ble.session.command_execution import write_sentence
from adapters.ble.session.connection_pool import ConnectionPool
from adapters.ble.session.device_sessions import DeviceSessions
from adapters.ble.session.pairing_connector import PairingConnector, PairingWish
from adapters.ble.session.time_estimates import count_requests, occupied_seconds
from adapters.ble.settings import BleSettings
from adapters.ble.tools.doctor_checks import examined
from adapters.ble.tools.workbench import BleWorkbench
from gateway.adapter import (
    Adapter,
    BusFact,
    BusUnavailable,
    Cause,
    ChildDevice,
    Command,
    CommandRejected,
    CommandResult,
    CommandSpec,
    DeviceUnreachable,
    Finding,
    Found,
    Licence,
    Metric,
    PlannedRead,
    Progress,
    Reading,
    RecordedFrame,
    SearchSummary,
    SettingValue,
    Uplink,
    Value,
    Workbench,
    WrittenSetting,
    licence_command,
    loop_time,
    settings_model,
)

QUIET_ADVERTISER = timedelta(seconds=900)
"""The longest silence of a device until its own interval is known: some advertise only every ten minutes."""

MOST_DUMPED = 1000
"""Frames of all devices together in a dump."""

SCAN_STEP_SECONDS = 0.25
"""How often a search looks at all devices; at each advertisement, it would have no time for anything else."""


class BleAdapter(Adapter[BleSettings]):
    """One Bluetooth controller."""

    settings_model = BleSettings
    quiet_bus_limit: ClassVar[timedelta | None] = timedelta(seconds=90)

    def __init__(self, settings: BleSettings, controller: str | None = None, radio: Radio | None = None) -> None:
        super().__init__(settings)
        self.concurrency = settings.connections
        self._controller = controller
        backend, parsers = settings.backend, ParserRegistry.built_in(loop_time)
        self._radio = radio or Radio(
            controller,
            settings.scanning,
            choose_patterns(settings, parsers.advertisers.values()) if settings.scanning == "passive" else (),
            scanner_backend=None if backend is None else backend.scanner,
            client_backend=None if backend is None else backend.client,
        )
        self._connector = PairingConnector(self._radio, self._pairing_wish)
        self._pool = ConnectionPool(self._connector, settings.connections)
        self._sessions = DeviceSessions(
            self._pool, self._connector.note_read, lambda: self.memory, lambda: self.settings.library.values()
        )
        self._tracker = Tracker(settings, parsers, self._radio.forget)
        self._reachability = Reachability(self._tracker, self._pool.is_kept)
        self._uplink: Uplink | None = None

    def _pairing_wish(self, address: str) -> PairingWish | None:
        known = self._tracker.known_at(address)
        if known is None or not known.device.pair:
            return None
        return PairingWish(key=known.stable_address or address, label=known.device.label, passkey=known.passkey)

    @property
    def bus(self) -> str:
        """The name of the controller, or that of the entry where it names none."""
        return self._controller or self.settings.entry

    @classmethod
    async def buses(cls, settings: BleSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each controller of the entry."""
        for controller in settings.controllers or (None,):
            yield cls(settings, controller)

    @classmethod
    def examine(cls, settings: BleSettings | None) -> AsyncIterator[Finding]:
        """Check D-Bus, bluetoothd and the controllers."""
        return examined(settings)

    @classmethod
    async def first_look(cls, hosts: Sequence[str]) -> Mapping[str, Any] | None:
        """Return an entry that only scans."""
        return {}

    async def __aenter__(self) -> Self:
        self._reachability.radio_opened()
        self._radio.scanning_problem = passive_failures.recall(self.memory, self.bus, datetime.now(UTC))
        try:
            await self._radio.open(self._on_advertisement)
        finally:
            self._remember_scanning_problem()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._uplink = None
        await self._pool.close()
        await self._radio.close()

    async def reappears(self) -> None:
        """Return when bluetoothd or the controller is back."""
        await self._radio.wait_until_back()

    # advertisements ---------------------------------------------------------------------------------------------------

    async def listen(self, uplink: Uplink) -> None:
        """Report advertised values until the radio is lost."""
        self._uplink = self._sessions.uplink = uplink
        for device in self._tracker:
            if self._reachability.is_received(device):  # values from before a loss of the radio are old
                self._report(device, uplink)
        reason = await self._radio.wait_until_lost()
        self._remember_scanning_problem()
        raise BusUnavailable(reason, cause=loss_cause(reason))

    def _remember_scanning_problem(self) -> None:
        if (problem := self._radio.scanning_problem) is not None:
            passive_failures.remember(self.memory, self.bus, problem, datetime.now(UTC))

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        """Process an advertisement: called hundreds of times a second."""
        device = self._tracker.receive(advertisement, loop_time())
        self._reachability.note_advertisement()
        if (uplink := self._uplink) is None:
            return
        if device is None:
            uplink.heard(())
        else:
            self._report(device, uplink)

    def _report(self, device: TrackedDevice, uplink: Uplink) -> None:
        if device.may_have_changed and is_reportable(device) and not device.is_in_doubt and (found := device.new_report()):
            uplink.found(found)
        uplink.heard(device.block(datetime.now(UTC)))

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return the longest silence until the child's interval is known; `None` for a child that is read over a connection."""
        profile = self._tracker.profile_named(child.profile)
        if profile is None:
            return QUIET_ADVERTISER
        return None if profile.intervals else QUIET_CONNECTABLE

    def explain_silence(self, child: ChildDevice) -> None:
        """Raise by what the child advertised last: its battery, its signal strength."""
        raise self._reachability.why_absent(child.address, self._tracker.get(child.address))

    # discovery --------------------------------------------------------------------------------------------------------

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Yield the devices received within `scan_time`, and those that a connection identifies, with progress after each step.

        Right after the radio was opened, the scan takes that time, and somewhat longer for a device that was received shortly
        before its end and sent only what devices of any maker send.
        """
        async for step in self._scan():
            yield step
        unidentified = [device for device in self._tracker if device.needs_connection]
        for done, device in enumerate(unidentified, start=1):
            await self._sessions.identify(device)
            yield device.found()
            yield Progress(done, len(unidentified), f"identified {device.address}")

    async def _scan(self) -> AsyncIterator[Found | Progress]:
        reported: dict[str, Found] = {}
        scan_seconds = self.settings.scan_time.total_seconds()
        started_at = self._reachability.opened_at
        ends_at = started_at + scan_seconds
        is_first = loop_time() < ends_at
        while True:
            for device in self._tracker:
                is_recent = loop_time() - device.heard_at <= scan_seconds and not device.is_in_doubt
                if is_recent and is_reportable(device) and reported.get(device.key) != (found := device.found()):
                    reported[device.key] = found
                    yield found
            if (left := ends_at - loop_time()) <= 0 and is_first:
                left = decided_at(self._tracker, ends_at) - loop_time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, SCAN_STEP_SECONDS))
            note = f"{len(self._tracker)} devices received"
            yield Progress(round(loop_time() - started_at), round(ends_at - started_at), note)

    def last_search(self) -> SearchSummary | None:
        """Return how many devices are received, and of how many it is known what they are."""
        received, known = len(self._tracker), sum(is_reportable(device) for device in self._tracker)
        text = f"received {received} device{'' if received == 1 else 's'}: {known} of a known kind, {received - known} of another"
        advice = "if a device is missing, bring it near, wake it up (a button, a new battery), and look longer with `scan_time`"
        return SearchSummary(received, known, text, None if known else advice)

    async def identify(self, address: str) -> Found:
        """Return the device with this address as soon as it is received; connect to it if only that identifies it.

        A device that sent only the frame of a beacon gets some seconds to show what it is.

        A device whose last connection failed is connected to, too, to see whether it can be read.
        """
        device = await self._reachability.wait_for(address)
        await self._reachability.wait_while(lambda: is_undecided(device))
        if device.needs_connection or device.is_in_doubt:
            await self._sessions.identify(device)
        if device.is_in_doubt:
            text = device.problem or f"{address} accepts no connection"
            known = device.failure
            cause, step = (Cause.NO_ANSWER, None) if known is None else (known.cause, known.next_step)
            raise DeviceUnreachable(text, cause=cause, next_step=step)
        return device.found()

    # connections ------------------------------------------------------------------------------------------------------

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups of a child that is read over a connection; none for one that only advertises."""
        profile = self._tracker.profile_named(child.profile)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read all that is due over one connection: it counts as one transaction, since it occupies a slot."""
        profile = self._tracker.profile_named(child.profile)
        if profile is None:
            return
        readings: list[Reading] = []
        try:
            await self._sessions.read(child, self._reachability.present(child.address), profile, due, readings)
        except DeviceUnreachable:
            if readings:
                yield readings  # those that arrived before the device was lost
            raise
        yield readings

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return the commands of the child's profile; none for a device that only advertises."""
        profile = self._tracker.profile_named(child.profile)
        return () if profile is None else profile.command_specs

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult:
        """Write the command's bytes once, and check whether the device executed it."""
        profile, prepared = self._prepare_command(child, command)
        try:
            return await self._sessions.execute(child, self._reachability.present(child.address), profile, prepared)
        except DeviceUnreachable as error:
            raise CommandRejected(f"{child.name} cannot be reached: {error}; nothing was written") from error

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Return the result of an interrupted command if the device shows its effect now.

        That is the proof: the command asks for a state, and the device is in it. Whether it was before is not known any more. A
        command that a device answers once, such as the press of a button, cannot be proven.
        """
        profile, prepared = self._prepare_command(child, command)
        return await self._sessions.read_back(child, self._reachability.present(child.address), profile, prepared)

    def planned_writes(self, child: ChildDevice, command: Command) -> Sequence[str]:
        """Return the bytes of the command, its characteristic, and how its effect would be checked."""
        _, prepared = self._prepare_command(child, command)
        return [write_sentence(child.address, prepared)]

    def _prepare_command(self, child: ChildDevice, command: Command) -> tuple[Profile, PreparedCommand]:
        profile = self._tracker.profile_named(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} accepts no commands: it only advertises")
        return profile, prepare_command(profile, command)

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of the child's profile; unknown for a device that only advertises."""
        profile = self._tracker.profile_named(child.profile)
        return {} if profile is None else profile.metrics_by_group

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings of the child's profile; none for a device that only advertises."""
        profile = self._tracker.profile_named(child.profile)
        return None if profile is None or not profile.settings else settings_model(profile.setting_specs)

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Read the characteristics of these settings over one connection, and return those that have another value."""
        profile = self._profile_with_settings(child)
        return await self._sessions.differing_settings(self._reachability.present(child.address), profile, config)

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Write the characteristics of these settings over one connection, each once, and read each back."""
        profile = self._profile_with_settings(child)
        return await self._sessions.configure(self._reachability.present(child.address), profile, config)

    def _profile_with_settings(self, child: ChildDevice) -> Profile:
        profile = self._tracker.profile_named(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} has no settings: it only advertises")
        return profile

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return the command that the profile names for a licence."""
        profile = self._tracker.profile_named(child.profile)
        return licence_command(None if profile is None else profile.licence, child, licence)

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the cost of reading these children: each read occupies one of the connections, so a share of the radio."""
        profiles = ((child, self._tracker.profile_named(child.profile)) for child in children)
        return [
            self._planned_read(child, profile, group, every)
            for child, profile in profiles
            if profile is not None
            for group, every in profile.intervals.items()
        ]

    def _planned_read(self, child: ChildDevice, profile: Profile, group: str, every: timedelta) -> PlannedRead:
        plan = plan_reads(profile, [group], expected_services(profile))
        return PlannedRead(
            address=child.address,
            name=child.name,
            group=group,
            every=every,
            seconds=occupied_seconds(profile, plan) / self.settings.connections,
            transactions=count_requests(plan),
        )

    def recent_frames(self) -> Sequence[str]:
        """Return what was received last from each device that a person wants to know of, and what was exchanged with it."""
        relevant = [device for device in self._tracker if device.is_relevant]
        frames = sorted((frame for device in relevant for frame in self._frames_of(device)), key=recorded_at)
        return [str(frame) for frame in frames[-MOST_DUMPED:]]

    def recorded_frames(self, address: str) -> Sequence[RecordedFrame]:
        """Return the last advertisements of a device, and what was read and written over connections to it."""
        device = self._tracker.get(address)
        return () if device is None else sorted(self._frames_of(device), key=recorded_at)

    def _frames_of(self, device: TrackedDevice) -> list[RecordedFrame]:
        return [*advertisement_frames(device), *self._radio.records.of(device.address, device.child_address)]

    def bus_facts(self) -> Sequence[BusFact]:
        """Return the controller, how it scans, and its connections."""
        problem = self._radio.scanning_problem
        return facts_of(self._controller, self.settings, used_slots=self._pool.used_slots, must_scan_actively=problem is not None)

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return the child's signal strength, what it lacks and what it refuses."""
        scanning = [text for text in (self._radio.scanning_problem, self._radio.scanning_limit) if text is not None]
        device = self._tracker.get(child.address)
        if device is None:
            return ["it was not received since the start", *scanning]
        return [*device.remarks(loop_time()), *scanning, *self._sessions.remarks(child)]

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return that the child refuses all of its characteristics, if so."""
        return self._sessions.why_no_values(child)

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the command line tools for Bluetooth devices."""
        return BleWorkbench() if adapter is None else BleWorkbench(adapter.settings.library, adapter._try_profile)  # noqa: SLF001 - one of its own

    async def _try_profile(self, address: str, profile: Profile) -> list[Reading]:
        """Read a device by a profile that is tried on it, whatever profile it has."""
        device = await self._reachability.wait_for(address)
        child = self.unregistered_child(key=device.key, address=device.child_address, name=device.address)
        readings: list[Reading] = []
        await self._sessions.read(child, device, profile, frozenset(profile.intervals), readings)
        return readings
