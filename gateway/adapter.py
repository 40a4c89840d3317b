"""The contract towards wires: what an adapter is, and the only module of the gateway that an adapter imports.

The gateway decides when; the adapter knows how. An adapter holds no loops, sleeps, retries or intervals: its supervisor is the
only user of its bus, asks for one thing after the other and starts it over when it fails.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from gateway.adapter_settings import AdapterSettings, Seconds, read_secret_file
from gateway.device_files import examine_port, holder_of
from gateway.errors import AdapterError, BusUnavailable, CommandRejected, DeviceUnreachable
from gateway.models import (
    Block,
    ChildDevice,
    Command,
    Confidence,
    Finding,
    FindingState,
    Found,
    Identity,
    IdentityKind,
    Metric,
    MetricRow,
    PlannedRead,
    Progress,
    Reading,
    Reduce,
    Value,
)
from gateway.profiles.commands import check_parameter_names, checked_parameter, find_command
from gateway.profiles.files import Mistake, ProfileError, ProfileFiles, Source, apply_defaults
from gateway.profiles.model import DeviceProfile, ProfileName
from gateway.profiles.names import first_duplicate, slug, unknown_name
from gateway.profiles.scaling import divisor, raw_number
from gateway.profiles.settings import ProfileSettings
from gateway.profiles.workbench import ProfileWorkbench
from gateway.workbench import (
    CheckedProfile,
    Draft,
    Dump,
    Explanation,
    KnownProfile,
    LineSettings,
    NotOffered,
    PlannedBlock,
    ProfileProblems,
    Workbench,
)

__all__ = [
    "Adapter",
    "AdapterError",
    "AdapterSettings",
    "Block",
    "BusUnavailable",
    "CheckedProfile",
    "ChildDevice",
    "Command",
    "CommandRejected",
    "Confidence",
    "DeviceProfile",
    "DeviceUnreachable",
    "Draft",
    "Dump",
    "Explanation",
    "Finding",
    "FindingState",
    "Found",
    "Identity",
    "IdentityKind",
    "KnownProfile",
    "LineSettings",
    "Metric",
    "MetricRow",
    "Mistake",
    "NotOffered",
    "PlannedBlock",
    "PlannedRead",
    "ProfileError",
    "ProfileFiles",
    "ProfileName",
    "ProfileProblems",
    "ProfileSettings",
    "ProfileWorkbench",
    "Progress",
    "Reading",
    "Reduce",
    "Seconds",
    "Source",
    "Uplink",
    "Value",
    "Workbench",
    "apply_defaults",
    "check_parameter_names",
    "checked_parameter",
    "divisor",
    "examine_port",
    "find_command",
    "first_duplicate",
    "holder_of",
    "raw_number",
    "read_secret_file",
    "slug",
    "unknown_name",
]


NOTHING_TO_SAY: tuple[Finding, ...] = ()

SettingsT = TypeVar("SettingsT", bound=AdapterSettings)


class Uplink(Protocol):
    """Where `Adapter.listen` puts what devices say unprompted."""

    def found(self, found: Found) -> None:
        """Tell of a device that spoke, known or not; as often as it speaks."""

    def heard(self, readings: Sequence[Reading]) -> None:
        """Hand over values of children; none at all tells that the bus lives, when a stranger spoke.

        Readings of keys that are no child here are dropped.
        """


class Adapter(ABC, Generic[SettingsT]):
    """One bus, and how to speak on it.

    Made once for a bus and entered again and again: each `async with` opens the bus anew. Methods raise only `BusUnavailable`,
    `DeviceUnreachable` and `CommandRejected`; whatever else they raise counts as a bug and restarts this adapter alone.
    """

    settings_model: ClassVar[type[AdapterSettings]] = AdapterSettings
    concurrency: int = 1
    """How many transactions the bus bears side by side. BLE: its connection slots; a wire: one."""
    quiet_bus_limit: ClassVar[timedelta | None] = None
    """On a bus where somebody always speaks unprompted: after so long without a word it is closed and opened anew."""

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings
        self.memory: MutableMapping[str, str] = {}
        """What the adapter wants to know again after a restart, small texts by names of its own choice. The gateway puts a
        mapping here that it stores, one for all buses of the entry. What is in it may be lost or old: a hint, no more."""

    @property
    def bus(self) -> str:
        """The label of this bus, unique within its entry and the same at each start. Default: the entry's name."""
        return self.settings.entry

    @classmethod
    async def buses(cls, settings: SettingsT) -> AsyncIterator[Self]:
        """Yield an adapter for each bus of this entry; later more, as ports or hosts appear. Default: one."""
        yield cls(settings)

    @classmethod
    async def first_look(cls, hosts: Sequence[str]) -> Mapping[str, Any] | None:
        """Return an entry, less `type`, with which to look around a machine that has no configuration yet; `None`: there is none.

        Read-only, and nothing is sent to a device that nobody has named: what the entry then discovers is what a person is told
        of, and the entry is written into the configuration that is proposed to them. Default: none.

        Args:
            hosts: the hosts that a person said may be looked at, as `192.168.1.20`.
        """
        return None

    async def __aenter__(self) -> Self:
        """Open the bus. On failure leave nothing open and raise `BusUnavailable`."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the bus. Never raises, never waits for a device."""

    @abstractmethod
    def discover(self) -> AsyncIterator[Found | Progress]:
        """Look who answers on the bus right now. Read-only.

        Yields after each transaction, a device or how far it has come, so that others get the bus in between. A device is
        yielded as soon as it is identified.
        """

    async def identify(self, address: str) -> Found:
        """Return who answers at this address right now, or raise `DeviceUnreachable`. Read-only.

        Asked before a known child is read for the first time, and again when it was silent: the device there may be another one.
        The default looks at the whole bus.
        """
        async for met in self.discover():
            if isinstance(met, Found) and met.address == address:
                return met
        raise DeviceUnreachable(f"nobody answers at {address}")

    @abstractmethod
    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups of this child and how often each is to be read; empty for a child that is only listened to."""

    @abstractmethod
    def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read the poll groups that are due.

        Yields the readings of each transaction after it, so that a waiting command gets the bus in between; as a list or,
        where there are many, as a `Block`. Raises
        `DeviceUnreachable` when the child does not answer.
        """

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return what reading these children costs the bus by plan, and the configured devices that are not yet among them.

        Asked without an open bus, too. Default: nobody can know.
        """
        return ()

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return what the operator should know about how this child is read: what it refuses, what was learned."""
        return ()

    @classmethod
    async def examine(cls, settings: SettingsT | None) -> AsyncIterator[Finding]:
        """Look at what buses of this kind need of this machine, before any is opened. Read-only.

        Opens no port, sends nothing to a device, and is asked while the gateway runs, too. Default: there is nothing to say.

        Args:
            settings: those of one entry; `None` where no entry names this adapter: then tell what the machine has, as no fault.
        """
        for finding in NOTHING_TO_SAY:
            yield finding

    def unregistered_child(
        self, *, address: str, name: str, key: str = "unregistered", profile: str | None = None, sub_model: str | None = None
    ) -> ChildDevice:
        """Return a device of this bus as a child that was not admitted: to plan its reads, or to read it once for a person.

        Args:
            address: where it answers.
            name: what a person calls it.
            key: its local key; readings carry it.
            profile: the name of its profile.
            sub_model: its sub-model, as far as it is known.
        """
        return ChildDevice(
            key=key,
            adapter=self.settings.entry,
            bus=self.bus,
            address=address,
            profile=profile,
            family=None,
            model_id="",
            sub_model=sub_model,
            firmware_version=None,
            name=name,
        )

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the tools for putting devices into service, on this adapter's bus or, without one, those that need none.

        Default: there are none.
        """
        return Workbench()

    async def execute(self, child: ChildDevice, command: Command) -> str | None:
        """Carry the command out, read back, and return what the operator should know; or raise `CommandRejected`."""
        raise CommandRejected(f"{child.name} takes no commands: its adapter has none")

    async def configure(self, child: ChildDevice, config: Mapping[str, Any]) -> None:
        """Apply the child's configuration from the cloud, or raise `CommandRejected`."""
        raise CommandRejected(f"{child.name} takes no configuration: its adapter has none")

    async def listen(self, uplink: Uplink) -> None:
        """Hand what devices say unprompted to the uplink until cancelled. Default: a bus where nobody does; returns at once."""

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long a child that is only listened to may say nothing, until its own interval is learned.

        Such a child is never asked who it is, and falls silent by not being heard. Default: `None`, a child that is asked.
        """
        return None

    async def reappears(self) -> None:
        """Return when the bus, which is closed because it failed, is worth opening again at once, as when its port is back.

        Default: never returns. The bus is opened again after growing waits anyhow.
        """
        await asyncio.get_running_loop().create_future()
