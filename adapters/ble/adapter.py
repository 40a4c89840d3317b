"""Bluetooth Low Energy by the adapter contract: what is heard goes up at once, what has to be asked is visited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.parser_registry import Parsers
from adapters.ble.discovery.tracked_device import Neighbour
from adapters.ble.discovery.tracker import Surroundings
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import expected, plan
from adapters.ble.radio.radio import Radio
from adapters.ble.session.connection_pool import Connections
from adapters.ble.session.device_sessions import Visits
from adapters.ble.session.time_estimates import transactions, visit_seconds
from adapters.ble.settings import BleSettings
from adapters.ble.tools.examination import examined
from adapters.ble.tools.workbench import BleWorkbench
from gateway.adapter import (
    Adapter,
    BusUnavailable,
    ChildDevice,
    Command,
    CommandRejected,
    DeviceUnreachable,
    Finding,
    Found,
    PlannedRead,
    Progress,
    Reading,
    Uplink,
    Workbench,
)

QUIET_LISTENED_TO = timedelta(seconds=900)
"""So long a device may say nothing until its own interval is learned: some speak only every ten minutes."""

QUIET_CONNECTABLE = timedelta(seconds=195)
"""The same for one that can be connected to: it has to be heard for that, so it speaks more often."""

FIRST_WORD_SECONDS = 10.0
"""A device that is to be connected to is heard within so long, or it is not there."""

LOOK_AROUND_SECONDS = 0.25
"""A search that waits for devices to speak looks at all of them so often; at each word, it would have time for nothing else."""


class BleAdapter(Adapter[BleSettings]):
    """One Bluetooth controller."""

    settings_model = BleSettings
    quiet_bus_limit: ClassVar[timedelta | None] = timedelta(seconds=90)

    def __init__(self, settings: BleSettings, controller: str | None = None, radio: Radio | None = None) -> None:
        super().__init__(settings)
        self.concurrency = settings.connections
        self._controller = controller
        backend = settings.backend
        self._radio = radio or Radio(
            controller,
            settings.scanning,
            scanner_backend=None if backend is None else backend.scanner,
            client_backend=None if backend is None else backend.client,
        )
        self._connections = Connections(self._radio, settings.connections)
        self._visits = Visits(self._connections)
        self._around = Surroundings(settings, Parsers.ours(), self._radio.forget)
        self._uplink: Uplink | None = None
        self._heard = asyncio.Event()
        self._opened_at = 0.0

    @property
    def bus(self) -> str:
        """The name of the controller, or that of the entry where none is named."""
        return self._controller or self.settings.entry

    @classmethod
    async def buses(cls, settings: BleSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each controller of the entry."""
        for controller in settings.controllers or (None,):
            yield cls(settings, controller)

    @classmethod
    def examine(cls, settings: BleSettings | None) -> AsyncIterator[Finding]:
        """Look at D-Bus, bluetoothd and the controllers."""
        return examined(settings)

    @classmethod
    async def first_look(cls, hosts: Sequence[str]) -> Mapping[str, Any] | None:
        """Only listen, and send nothing but scan requests."""
        return {}

    async def __aenter__(self) -> Self:
        self._opened_at = _now()
        await self._radio.open(self._hear)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._uplink = None
        await self._connections.close()
        await self._radio.close()

    async def reappears(self) -> None:
        """Return when bluetoothd or the controller is back."""
        await self._radio.reappears()

    # what is heard ----------------------------------------------------------------------------------------------------

    async def listen(self, uplink: Uplink) -> None:
        """Hand over what devices say until the radio is lost."""
        self._uplink = self._visits.uplink = uplink
        for neighbour in self._around:
            if neighbour.heard_at >= self._opened_at:  # before anybody listened; what was said before the radio was lost is old
                self._tell(neighbour, uplink)
        raise BusUnavailable(await self._radio.lost())

    def _hear(self, advertisement: Advertisement) -> None:
        """Take an advertisement in: the path that is taken hundreds of times a second."""
        neighbour = self._around.take(advertisement, _now())
        self._heard.set()
        if (uplink := self._uplink) is None:
            return
        if neighbour is None:
            uplink.heard(())
        else:
            self._tell(neighbour, uplink)

    def _tell(self, neighbour: Neighbour, uplink: Uplink) -> None:
        if neighbour.may_be_news and neighbour.speaks_for_itself and not neighbour.is_in_doubt and neighbour.is_news():
            uplink.found(neighbour.found())
        uplink.heard(neighbour.block(datetime.now(UTC)))

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long it may be quiet until its interval is learned; `None` for one that is visited."""
        profile = self._around.profile_named(child.profile)
        if profile is None:
            return QUIET_LISTENED_TO
        return None if profile.intervals else QUIET_CONNECTABLE

    # who is there -----------------------------------------------------------------------------------------------------

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Tell who was heard within `scan_time`, and connect once to each that has to be asked who it is; yields after each step.

        Right after the radio was opened, devices are given that time to speak.
        """
        told: dict[str, Found] = {}
        scan_seconds = self.settings.scan_time.total_seconds()
        ends = self._opened_at + scan_seconds
        while True:
            for neighbour in self._around:
                is_heard = _now() - neighbour.heard_at <= scan_seconds and not neighbour.is_in_doubt
                if is_heard and neighbour.speaks_for_itself and told.get(neighbour.key) != (met := neighbour.found()):
                    told[neighbour.key] = met
                    yield met
            if (left := ends - _now()) <= 0:
                break
            await asyncio.sleep(min(left, LOOK_AROUND_SECONDS))
            yield Progress(round(_now() - self._opened_at), round(ends - self._opened_at), f"{len(self._around)} devices heard")
        to_visit = [neighbour for neighbour in self._around if neighbour.wants_a_visit]
        for done, neighbour in enumerate(to_visit, start=1):
            await self._visits.introduce(neighbour)
            yield neighbour.found()
            yield Progress(done, len(to_visit), f"asked {neighbour.address} who it is")

    async def identify(self, address: str) -> Found:
        """Return who is heard there, as soon as it is heard; one whose last visit failed is visited, to see whether it can be."""
        neighbour = await self._met(address)
        if neighbour.wants_a_visit or neighbour.is_in_doubt:
            await self._visits.introduce(neighbour)
        if neighbour.is_in_doubt:
            raise DeviceUnreachable(neighbour.trouble or f"{address} takes no connection")
        return neighbour.found()

    async def _met(self, address: str) -> Neighbour:
        """Wait until the device is heard.

        Raises:
            DeviceUnreachable: it is not.
        """
        ends = _now() + FIRST_WORD_SECONDS
        while (neighbour := self._around.at(address)) is None or self._is_gone(neighbour):
            if (left := ends - _now()) <= 0:
                raise DeviceUnreachable(self._why_gone(address, neighbour))
            await self._next_word(left)
        return neighbour

    async def _next_word(self, seconds: float) -> None:
        """Wait until something is heard, and no longer than this."""
        self._heard.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        except TimeoutError:
            pass

    def _is_gone(self, neighbour: Neighbour) -> bool:
        """Whether a device that is visited was not heard for so long that it cannot be near any more.

        Also one that was not heard since the radio was opened, which is no way to a device that it has not heard.
        """
        if self._connections.is_staying(neighbour.address):
            return False
        if neighbour.heard_at < self._opened_at:
            return True
        return _now() - neighbour.heard_at > QUIET_CONNECTABLE.total_seconds()

    # visits -----------------------------------------------------------------------------------------------------------

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the groups of a child that is connected to; none for one that is only listened to."""
        profile = self._around.profile_named(child.profile)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Visit the child once and read all that is due: one visit is one transaction, since it holds a connection."""
        profile = self._around.profile_named(child.profile)
        if profile is None:
            return
        readings: list[Reading] = []
        try:
            await self._visits.read(child, self._present(child), profile, due, readings)
        except DeviceUnreachable:
            if readings:
                yield readings  # what it told before it was lost
            raise
        yield readings

    async def execute(self, child: ChildDevice, command: Command) -> str | None:
        """Visit the child, write what its profile says, once, and look whether it obeyed."""
        profile = self._around.profile_named(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} takes no commands: it is only listened to")
        return await self._visits.execute(child, self._present(child), profile, command)

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return what visiting these children costs: each visit takes one of the connections, so a share of the radio."""
        profiles = ((child, self._around.profile_named(child.profile)) for child in children)
        return [
            PlannedRead(
                address=child.address,
                name=child.name,
                group=group,
                every=every,
                seconds=visit_seconds(profile, visit := plan(profile, [group], expected(profile))) / self.settings.connections,
                transactions=transactions(visit),
            )
            for child, profile in profiles
            if profile is not None
            for group, every in profile.intervals.items()
        ]

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return how strongly the child is heard, what it lacks and what it refuses."""
        neighbour = self._around.at(child.address)
        if neighbour is None:
            return ["it was not heard since the start"]
        return [*neighbour.remarks(_now()), *self._visits.remarks(child)]

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the tools that Bluetooth devices have: their profiles."""
        return BleWorkbench() if adapter is None else BleWorkbench(adapter.settings.library, adapter._read_by)  # noqa: SLF001 - one of its own

    async def _read_by(self, address: str, profile: Profile) -> list[Reading]:
        """Read a device by a profile that is tried on it, whatever else it may be."""
        neighbour = await self._met(address)
        readings: list[Reading] = []
        await self._visits.read(
            self.unregistered_child(key=neighbour.key, address=neighbour.place, name=neighbour.address),
            neighbour,
            profile,
            frozenset(profile.intervals),
            readings,
        )
        return readings

    def _present(self, child: ChildDevice) -> Neighbour:
        """Return the child's device.

        Raises:
            DeviceUnreachable: it is not heard any more.
        """
        neighbour = self._around.at(child.address)
        if neighbour is None or self._is_gone(neighbour):
            raise DeviceUnreachable(self._why_gone(child.address, neighbour))
        return neighbour

    def _why_gone(self, address: str, neighbour: Neighbour | None) -> str:
        if neighbour is None:
            return f"{address} is not heard: it is out of reach, switched off, or its battery is empty"
        if neighbour.heard_at < self._opened_at:
            return f"{address} was not heard since the radio was opened: out of reach, or its battery is empty"
        return f"{address} was not heard for {(_now() - neighbour.heard_at) / 60:.0f} min: out of reach, or its battery is empty"


def _now() -> float:
    return asyncio.get_running_loop().time()
