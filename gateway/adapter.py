"""Define the contract between the gateway and an adapter; the only module of the gateway that an adapter imports.

The gateway decides when, the adapter knows how. An adapter has no loops, sleeps, retries or intervals: its supervisor is the only
user of its bus, makes one call after the other, and restarts the adapter when it fails.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel

from gateway.adapter_settings import (
    AdapterSettings,
    DisplayName,
    Seconds,
    read_secret_file,
    unusual_speed,
)
from gateway.causes import Cause
from gateway.command_parameters import validate_parameters
from gateway.device_files import examine_port, holder_of
from gateway.errors import (
    AdapterError,
    BusUnavailable,
    CommandRejected,
    DeviceUnreachable,
    OutcomeUnknown,
    SettingMistake,
    SettingsMistakes,
)
from gateway.host_names import HostName, canonical_host, checked_host_name
from gateway.metrics.vocabulary import vocabulary
from gateway.models import (
    UPDATE_FIRMWARE,
    Announcement,
    Block,
    BusFact,
    ChildDevice,
    Command,
    CommandResult,
    CommandSpec,
    Confidence,
    FactSource,
    Finding,
    FindingState,
    FirmwareFile,
    FirmwareProgress,
    Found,
    Identity,
    IdentityKind,
    Licence,
    LicenceChange,
    Metric,
    MetricRow,
    NamedNetworks,
    NetworkHost,
    NoParameters,
    PlannedRead,
    Progress,
    Reading,
    Reduce,
    SearchSummary,
    SettingValue,
    Value,
    WrittenSetting,
)
from gateway.plain_numbers import seconds_text
from gateway.profiles.case_differences import NOTHING, case_differences
from gateway.profiles.case_files import CaseDevice, CaseExpected, CaseTable, CaseValue, case_schema, case_values, read_case_files
from gateway.profiles.checks import table_check
from gateway.profiles.commands import check_parameter_names, checked_parameter, find_command
from gateway.profiles.files import Mistake, ProfileError, ProfileFiles, Source, apply_defaults
from gateway.profiles.licences import LicenceRule, licence_command
from gateway.profiles.metric_texts import MetricTexts
from gateway.profiles.model import DeviceProfile, ProfileName
from gateway.profiles.names import duplicates, first_duplicate, slug, unknown_name
from gateway.profiles.new_text import (
    MADE_ORIGIN,
    completed_draft,
    in_order,
    scale_text,
    toml_text,
    toml_value,
    with_points,
)
from gateway.profiles.parameters import (
    Characters,
    CommandTexts,
    ParameterKind,
    ParameterSpec,
    ParameterTexts,
    SettingName,
    check_declarations,
    parameter_values,
    settings_model,
)
from gateway.profiles.point_facts import PointFacts
from gateway.profiles.point_tables import WrongTable, name_and_unit, scale_of, table_cells, table_rows
from gateway.profiles.scaling import divisor, raw_number, shown_value
from gateway.profiles.schema import file_schema
from gateway.profiles.settings import ProfileSettings
from gateway.profiles.workbench import ProfileWorkbench
from gateway.recent_frames import RecentFrames, RecordedFrame, frames_of, recorded_frame
from gateway.tasks import loop_time
from gateway.workbench import (
    CaseDifference,
    CaseResult,
    CheckedProfile,
    Draft,
    Dump,
    Explanation,
    KnownProfile,
    LineSettings,
    NewProfile,
    NotOffered,
    PlannedBlock,
    ProfileFacts,
    ProfileProblems,
    Workbench,
)

__all__ = [
    "MADE_ORIGIN",
    "NOTHING",
    "UPDATE_FIRMWARE",
    "Adapter",
    "AdapterError",
    "AdapterSettings",
    "Announcement",
    "Block",
    "BusFact",
    "BusUnavailable",
    "CaseDevice",
    "CaseDifference",
    "CaseExpected",
    "CaseResult",
    "CaseTable",
    "CaseValue",
    "Cause",
    "Characters",
    "CheckedProfile",
    "ChildDevice",
    "Command",
    "CommandRejected",
    "CommandResult",
    "CommandSpec",
    "CommandTexts",
    "Confidence",
    "DeviceProfile",
    "DeviceUnreachable",
    "DisplayName",
    "Draft",
    "Dump",
    "Explanation",
    "FactSource",
    "Finding",
    "FindingState",
    "FirmwareFile",
    "FirmwareProgress",
    "Found",
    "HostName",
    "Identity",
    "IdentityKind",
    "KnownProfile",
    "Licence",
    "LicenceChange",
    "LicenceRule",
    "LineSettings",
    "Metric",
    "MetricRow",
    "MetricTexts",
    "Mistake",
    "NamedNetworks",
    "NetworkHost",
    "NewProfile",
    "NoParameters",
    "NotOffered",
    "OutcomeUnknown",
    "ParameterKind",
    "ParameterSpec",
    "ParameterTexts",
    "PlannedBlock",
    "PlannedRead",
    "PointFacts",
    "ProfileError",
    "ProfileFacts",
    "ProfileFiles",
    "ProfileName",
    "ProfileProblems",
    "ProfileSettings",
    "ProfileWorkbench",
    "Progress",
    "Reading",
    "RecentFrames",
    "RecordedFrame",
    "Reduce",
    "SearchSummary",
    "Seconds",
    "SettingMistake",
    "SettingName",
    "SettingValue",
    "SettingsMistakes",
    "Source",
    "Uplink",
    "Value",
    "Workbench",
    "WrittenSetting",
    "WrongTable",
    "apply_defaults",
    "canonical_host",
    "case_differences",
    "case_schema",
    "case_values",
    "check_declarations",
    "check_parameter_names",
    "checked_host_name",
    "checked_parameter",
    "completed_draft",
    "divisor",
    "duplicates",
    "examine_port",
    "file_schema",
    "find_command",
    "first_duplicate",
    "frames_of",
    "holder_of",
    "in_order",
    "licence_command",
    "loop_time",
    "name_and_unit",
    "parameter_values",
    "raw_number",
    "read_case_files",
    "read_secret_file",
    "scale_of",
    "scale_text",
    "seconds_text",
    "settings_model",
    "shown_value",
    "slug",
    "table_cells",
    "table_check",
    "table_rows",
    "toml_text",
    "toml_value",
    "unknown_name",
    "unusual_speed",
    "validate_parameters",
    "vocabulary",
    "with_points",
]


_NO_FINDINGS: tuple[Finding, ...] = ()
_NO_HOSTS: tuple[NetworkHost, ...] = ()

SettingsT = TypeVar("SettingsT", bound=AdapterSettings)


class Uplink(Protocol):
    """The receiver of what devices send unprompted, for `Adapter.listen`."""

    def found(self, found: Found) -> None:
        """Report a device that has sent something, known or not, each time that it sends."""

    def heard(self, readings: Sequence[Reading]) -> None:
        """Hand over readings of children; an empty sequence reports that the bus works, when an unknown device has sent.

        Readings of unknown children are dropped.
        """


class Adapter(ABC, Generic[SettingsT]):
    """One bus and its protocol.

    Created once for a bus and entered again and again: each `async with` opens the bus anew. Methods raise only `BusUnavailable`,
    `DeviceUnreachable`, `CommandRejected` and `OutcomeUnknown`; any other exception is a bug and restarts this adapter only.
    """

    settings_model: ClassVar[type[AdapterSettings]] = AdapterSettings
    concurrency: int = 1
    """How many transactions the bus can carry at the same time. BLE: its connection slots; a wire: one."""
    quiet_bus_limit: ClassVar[timedelta | None] = None
    """On a bus where devices always send unprompted: after so long without any data it is closed and opened again."""
    announced_as: ClassVar[Sequence[str]] = ()
    """The DNS-SD service types by which its devices announce themselves, as `_modbus._tcp`; for `look_in_networks`."""

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings
        self.memory: MutableMapping[str, str] = {}
        """What the adapter remembers after a restart: small texts by names of its own choice. The gateway puts a mapping here
        that it stores, one for all buses of the entry. Its content may be lost or outdated: it is only a hint."""

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
        """Return an entry, without `type`, for a first search of a machine that has no configuration yet; `None` if none.

        Read-only; nothing is sent to a host or device that no person has named. What the entry discovers is shown to a person,
        and the entry becomes part of the configuration that is proposed to them. Default: none.

        Args:
            hosts: the hosts that a person allowed to be searched, as `192.168.1.20`.
        """
        return None

    @classmethod
    async def look_in_networks(cls, networks: NamedNetworks) -> AsyncIterator[NetworkHost | Progress | SearchSummary]:
        """Search networks that a person has named for hosts that this adapter could use; read-only.

        Sends to these addresses only, and takes no answer from any other. Bounds what it keeps, whatever is sent to it, and
        leaves nothing open when it is closed early. Yields each host once, the progress, and at the end what was asked in one
        sentence. The gateway then opens the buses of the entries and searches them by `discover`, which identifies the devices.
        Default: it finds none.
        """
        for host in _NO_HOSTS:
            yield host

    async def __aenter__(self) -> Self:
        """Open the bus. On failure leave nothing open and raise `BusUnavailable`."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the bus. Never raises, never waits for a device."""

    @abstractmethod
    def discover(self) -> AsyncIterator[Found | Progress]:
        """Search the bus for devices that answer right now. Read-only.

        Yields a device or the progress after each transaction, so that other work gets the bus in between. A device is yielded
        as soon as it is identified.
        """

    def last_search(self) -> SearchSummary | None:
        """Return what the last `discover` asked and how many stayed quiet, also while it runs. Default: `None`, unknown."""
        return None

    async def identify(self, address: str) -> Found:
        """Return the device that answers at this address right now, or raise `DeviceUnreachable`. Read-only.

        Called before a known child is first read, and again after it was silent: another device may have its address now. The
        default searches the whole bus.
        """
        async for step in self.discover():
            if isinstance(step, Found) and step.address == address:
                return step
        raise DeviceUnreachable(f"no device answers at {address}")

    @abstractmethod
    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups of this child and how often each is to be read; empty for a child that is only listened to."""

    @abstractmethod
    def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read the poll groups that are due.

        Yields the readings after each transaction, so that a waiting command gets the bus in between; as a list or, where there
        are many, as a `Block`. Raises `DeviceUnreachable` when the child does not answer.
        """

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the planned cost of reading these children, and the configured devices that are not yet among them.

        Also called while the bus is closed. Default: unknown.
        """
        return ()

    def recent_frames(self) -> Sequence[str]:
        """Return the last frames that were sent and received, the oldest first, one line each, for a dump; without passwords.

        Also called while the bus is closed. The adapter bounds them. Default: none are kept.
        """
        return ()

    def recorded_frames(self, address: str) -> Sequence[RecordedFrame]:
        """Return the last frames of the device at this address, the oldest first, with what each means where that is known.

        Those of the whole bus where they name no addresses. Called when a person looks at them, also while the bus is closed.
        Default: those of `recent_frames`, which say nothing of their meaning.
        """
        return frames_of([recorded_frame(line) for line in self.recent_frames()], address)

    def bus_facts(self) -> Sequence[BusFact]:
        """Return where this bus is and how it is set right now, each fact with where it comes from; no secrets.

        Also called while the bus is closed. Default: none.
        """
        return ()

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return remarks for the operator about how this child is read: what it refuses, what was learned."""
        return ()

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return why none of its values can be read, of a child that answers and refuses everything it is asked; one sentence.

        Such a child stays online: some devices refuse while they sleep. Called after a read without a reading. Default: `None`.
        """
        return None

    def bus_remarks(self) -> Sequence[str]:
        """Return remarks for the operator about the bus as a whole: what else speaks on it, what to change. One sentence each.

        Also called while the bus is closed. Default: none.
        """
        return ()

    @classmethod
    async def examine(cls, settings: SettingsT | None) -> AsyncIterator[Finding]:
        """Check what buses of this kind need from this machine, before any is opened. Read-only.

        Opens no port, sends nothing to a device, and is also called while the gateway runs. Default: no findings.

        Args:
            settings: those of one entry; `None` where no entry uses this adapter: then report what the machine has, no faults.
        """
        for finding in _NO_FINDINGS:
            yield finding

    def unregistered_child(
        self, *, address: str, name: str, key: str = "unregistered", profile: str | None = None, sub_model: str | None = None
    ) -> ChildDevice:
        """Return a device of this bus as a child that was not admitted: to plan its reads, or to read it once for a person.

        Args:
            address: its address.
            name: its name for a person.
            key: its local key, which its readings have.
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
        """Return the commissioning tools: those for this adapter's bus or, without one, those that need no bus.

        Default: none.
        """
        return Workbench()

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return the commands that this child accepts. Also called while the bus is closed.

        The gateway checks each command against them, so `execute` gets only declared commands with parameters of the declared
        types; see `Command.parameters`. Empty: none is declared, so any command is passed to `execute` unchecked.
        """
        return ()

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult | str | None:
        """Carry out the command once, read back where that is possible, and return the result or a message for the operator.

        A result that is not proven, and a message alone, are reported as "sent, not proven". Secret parameters are removed from
        every text and value that it returns or raises.

        Raises:
            CommandRejected: nothing was carried out, or not all of it; the text says why.
            OutcomeUnknown: it was sent, and whether the device carried it out cannot be said.
            DeviceUnreachable: the device did not answer, so the outcome is unknown. So it is after a lost bus and after a bug.
        """
        raise CommandRejected(f"{child.name} accepts no commands: its adapter has none")

    async def check_firmware(self, child: ChildDevice, file: FirmwareFile) -> None:
        """Check that a file is firmware for this child: its model, form and version. Sends nothing. Default: not checked.

        Raises:
            CommandRejected: it is not; the text says what the file is and what the child takes.
        """

    def firmware_steps(
        self, child: ChildDevice, file: FirmwareFile, resume_from: int | None
    ) -> AsyncIterator[FirmwareProgress | CommandResult]:
        """Install a firmware file on a child, which lists `UPDATE_FIRMWARE` among its `commands`.

        Yields the progress after each block, and the result at the end; it is proven when the device reports the new version. A
        block takes some seconds at most: the bus does other work in between, and the gateway stores the position. The iterator is
        closed when the installation is cancelled; its `finally` leaves the device in a working state. Default: refused.

        Args:
            child: the device.
            file: the whole and verified file.
            resume_from: the last position, of which the device may already have got the next block; `None` at the beginning.

        Raises:
            CommandRejected: the device does not take the file; the text says why.
            DeviceUnreachable: the device did not answer; it is called again with the last position.
        """
        raise CommandRejected(f"{child.name} takes no firmware: its adapter cannot install any")

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Return the result of a command that was interrupted, if reading the device proves that it was carried out. Read-only.

        Called after a restart, with the parameters as `execute` got them, and again while the device does not answer. A command
        whose parameters are secret cannot be read back. Default: `None`, it cannot be proven.
        """
        return None

    def planned_writes(self, child: ChildDevice, command: Command) -> Sequence[str]:
        """Return what `execute` would send for this command, one sentence for each step. Sends nothing. Default: unknown.

        Raises:
            CommandRejected: the command would be refused.
        """
        return ()

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of each poll group of this child; under `""` those that it sends unprompted.

        Also called while the bus is closed. The cloud can leave metrics out; a group whose metrics are all left out is not read.
        Default: empty, they are unknown.
        """
        return {}

    def point_map(self, child: ChildDevice) -> str | None:
        """Return the map of this child's profile as text, always the same for the same map. Also called while the bus is closed.

        A changed map is read beside the former one first, and used only if its values are plausible. Default: `None`, a changed
        map is used at once.
        """
        return None

    def use_map(self, key: str, text: str | None) -> None:
        """Read the child with this key by this map, one that `point_map` returned; `None`: by the map of its profile.

        Raises:
            ValueError: the text is no map of this adapter any more.
        """

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings that this child keeps itself: one field for each, as `settings_model` makes them.

        Also called while the bus is closed. The gateway checks values against it before they reach the two methods below.
        Default: `None`, it has none.
        """
        return None

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Return those of these settings for which the device has another value, with the value that it has. Read-only.

        A value counts as the same where the device cannot represent the difference. `None`: it reports no value.

        Raises:
            CommandRejected: one of them cannot be read; the text says why.
            DeviceUnreachable: the device did not answer.
        """
        return {}

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Write these settings, each once, in this order, and read each of them back.

        Raises:
            CommandRejected: the device refused one, or has another value when read back; the text says why.
            OutcomeUnknown: one was sent, and whether the device has taken it cannot be said.
            DeviceUnreachable: the device did not answer.
        """
        raise CommandRejected(f"{child.name} accepts no configuration: its adapter has none")

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return the command of this child that installs, renews, removes or ends a licence; `execute` gets it then.

        It may be executed twice for one change, so a second time must do no harm. Default: the child takes no licences.

        Raises:
            CommandRejected: the child does not take it; the text says why.
        """
        raise CommandRejected(f"{child.name} takes no licences: its adapter has none")

    async def listen(self, uplink: Uplink) -> None:
        """Hand what devices send unprompted to the uplink until cancelled. Default: no device does; returns at once."""

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long a child that is only listened to may send nothing, until its own interval is learned.

        Such a child is never identified again, and becomes silent by sending nothing. Default: `None`, a child that is polled.
        """
        return None

    def explain_silence(self, child: ChildDevice) -> None:
        """Raise why a child that is only listened to may have fallen silent, by what it sent last: a weak signal, a low battery.

        Called once for each silence. Default: returns; the gateway then says for how long it was not heard.

        Raises:
            DeviceUnreachable: what is known of it, with its cause.
        """

    async def reappears(self) -> None:
        """Return when the bus, closed after a failure, should be opened again at once, for example because its port is back.

        Default: never returns. The bus is opened again after growing waits in any case.
        """
        await asyncio.get_running_loop().create_future()
