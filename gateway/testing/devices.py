"""Simulate a bus in memory: its devices answer, fall silent or return errors as a test sets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model

from gateway.adapter import (
    UPDATE_FIRMWARE,
    Adapter,
    AdapterSettings,
    BusUnavailable,
    ChildDevice,
    Command,
    CommandRejected,
    CommandResult,
    CommandSpec,
    DeviceUnreachable,
    FirmwareFile,
    FirmwareProgress,
    Found,
    Identity,
    IdentityKind,
    Licence,
    LicenceChange,
    Metric,
    ParameterKind,
    ParameterSpec,
    Progress,
    Reading,
    SettingValue,
    Value,
    WrittenSetting,
    find_command,
    settings_model,
)

BLOCK_BYTES = 64
"""How much of a firmware file one block has."""


class SyntheticSettings(AdapterSettings):
    """A `[[adapter]]` entry of the synthetic adapter."""


@dataclass(slots=True)
class SyntheticDevice:
    """A device on the synthetic bus. Change it while the gateway runs."""

    serial_number: str
    address: str
    values: dict[str, Value] = field(default_factory=lambda: {"power": 1.0})
    family: str | None = "meter"
    profile: str | None = "synthetic"
    sub_model: str | None = "S-1"
    firmware_version: str | None = "1.0.0"
    silent: bool = False
    bug: Exception | None = None
    """The exception that reading it raises."""
    poll_every: timedelta = timedelta(seconds=1)
    urgent: bool = False
    reads: int = 0
    command_seconds: float = 0.0
    """How long it takes to carry a command out."""
    executed: list[Command] = field(default_factory=list)
    """The commands that it has begun to carry out."""
    password: str = ""
    """What `set_password` has set."""
    settings: dict[str, float] = field(default_factory=dict)
    """The settings that it keeps: numbers from 0 to 100."""
    refused_settings: set[str] = field(default_factory=set)
    """The settings whose writes it refuses."""
    forgotten_settings: set[str] = field(default_factory=set)
    """The settings whose writes it accepts and ignores."""
    written: list[tuple[str, SettingValue]] = field(default_factory=list)
    """The settings that were written, with their values, in order."""
    takes_firmware: bool = False
    """It takes a file that begins with its sub-model and a line feed."""
    firmware: bytearray = field(default_factory=bytearray)
    """What it has got of the file."""
    firmware_blocks: list[int] = field(default_factory=list)
    """The position of each block that it got, in order."""
    block_seconds: float = 0.0
    """How long one block takes."""


class SyntheticBus:
    """The devices on a bus and whether it is plugged in; a test keeps a reference and changes them."""

    def __init__(self, devices: Sequence[SyntheticDevice] = (), *, label: str = "bus") -> None:
        self.devices = {device.address: device for device in devices}
        self.label = label
        self.unplugged = False
        self.opened = 0
        self.closed = 0


class SyntheticAdapter(Adapter[SyntheticSettings]):
    """An adapter for a `SyntheticBus`; `on(bus, ...)` returns an adapter class for exactly these buses."""

    settings_model = SyntheticSettings
    all_buses: tuple[SyntheticBus, ...] = ()

    def __init__(self, settings: SyntheticSettings, wire: SyntheticBus) -> None:
        super().__init__(settings)
        self.wire = wire

    @staticmethod
    def on(*buses: SyntheticBus) -> type[SyntheticAdapter]:
        """Return an adapter class for these buses."""
        return type("BoundSyntheticAdapter", (SyntheticAdapter,), {"all_buses": buses})

    @property
    def bus(self) -> str:
        """The label of the bus."""
        return self.wire.label

    @classmethod
    async def buses(cls, settings: SyntheticSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each bus of the class."""
        for wire in cls.all_buses:
            yield cls(settings, wire)

    async def __aenter__(self) -> Self:
        """Open the bus unless it is unplugged."""
        self._plugged_in()
        self.wire.opened += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.wire.closed += 1

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Yield the device at every address that answers."""
        addresses = list(self.wire.devices)
        for done, address in enumerate(addresses, start=1):
            self._plugged_in()
            device = self.wire.devices.get(address)
            if device is not None and not device.silent:
                yield found_of(device)
            yield Progress(done, len(addresses), address)

    async def identify(self, address: str) -> Found:
        """Return the device at this address."""
        return found_of(self._answering(address))

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the only group."""
        device = self.wire.devices.get(child.address)
        return {"all": device.poll_every if device else timedelta(seconds=1)}

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read everything in one transaction."""
        device = self._answering(child.address)
        device.reads += 1
        if device.bug is not None:
            raise device.bug
        at = datetime.now(UTC)
        yield [Reading(child.key, Metric(name, urgent=device.urgent), value, at) for name, value in device.values.items()]

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics that the device has now."""
        device = self.wire.devices.get(child.address)
        return {} if device is None else {"all": [Metric(name, urgent=device.urgent) for name in device.values]}

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings that the device keeps."""
        device = self.wire.devices.get(child.address)
        if device is None or not device.settings:
            return None
        return settings_model(
            ParameterSpec(name=name, kind=ParameterKind.NUMBER, between=(0, 100)) for name in sorted(device.settings)
        )

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Compare the settings with those of the device."""
        device = self._answering(child.address)
        return {name: device.settings.get(name) for name, value in config.items() if device.settings.get(name) != value}

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Write each setting once, and read it back."""
        device, written = self._answering(child.address), []
        for name, value in config.items():
            if name in device.refused_settings or not isinstance(value, int | float):
                raise CommandRejected(f"{child.name} refuses {name} = {value}")
            before = device.settings.get(name)
            device.written.append((name, value))
            if name not in device.forgotten_settings:
                device.settings[name] = value
            after = self._answering(child.address).settings[name]
            if after != value:
                raise CommandRejected(f"{child.name}: {name} was to be {value}, and reads back as {after}")
            written.append(WrittenSetting(name=name, before=before, after=after))
        return written

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return `set` with a parameter for each value of the device, `set_password`, `reboot`, `identify`, and firmware."""
        device = self.wire.devices.get(child.address)
        values = {} if device is None else device.values
        return (
            CommandSpec(name="set", title="Set values", parameters=_values_model(values), is_proven=True),
            CommandSpec(name="set_password", title="Set the password", parameters=_Password),
            CommandSpec(name="reboot", title="Restart", restarts_device=True),
            CommandSpec(name="identify", title="Blink", harmless_late=True, expires_after=timedelta(minutes=1)),
            *((UPDATE_FIRMWARE,) if device is not None and device.takes_firmware else ()),
        )

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Carry out a declared command; `set` reads the values back."""
        find_command(self.commands(child), command, child.name)
        device = self._answering(child.address)
        device.executed.append(command)
        before = {name: device.values[name] for name in command.parameters if name in device.values}
        await asyncio.sleep(device.command_seconds)
        self._answering(child.address)
        match command.name:
            case "set":
                device.values.update(_plain_values(command))
                return CommandResult(is_proven=True, before=before, after=_plain_values(command))
            case "set_password":
                device.password = _Password.model_validate(command.parameters).password.get_secret_value()
        return None

    async def check_firmware(self, child: ChildDevice, file: FirmwareFile) -> None:
        """Check that the file begins with the sub-model of the child."""
        content = await asyncio.to_thread(file.path.read_bytes)
        if not content.startswith(f"{child.sub_model}\n".encode()):
            raise CommandRejected(f"{file.path.name} is no firmware for {child.sub_model}")

    async def firmware_steps(
        self, child: ChildDevice, file: FirmwareFile, resume_from: int | None
    ) -> AsyncIterator[FirmwareProgress | CommandResult]:
        """Send the file in blocks of `BLOCK_BYTES`; the device then has its version."""
        content = await asyncio.to_thread(file.path.read_bytes)
        for position in range(resume_from or 0, len(content), BLOCK_BYTES):
            device = self._answering(child.address)
            await asyncio.sleep(device.block_seconds)
            self._answering(child.address)
            device.firmware_blocks.append(position)
            device.firmware[position:] = content[position : position + BLOCK_BYTES]
            yield FirmwareProgress(position=position + BLOCK_BYTES, text=f"block {position // BLOCK_BYTES + 1} is in the device")
        device = self._answering(child.address)
        device.firmware_version = file.version
        yield CommandResult(message=f"version {file.version} is installed", is_proven=True)

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Prove `set` by the values of the device; nothing else can be proven."""
        device = self._answering(child.address)
        wanted = _plain_values(command)
        if command.name != "set" or any(device.values.get(name) != value for name, value in wanted.items()):
            return None
        return CommandResult(is_proven=True, after=wanted)

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return `set` of the metric `licence`, which a device with licences has."""
        device = self.wire.devices.get(child.address)
        if device is None or "licence" not in device.values:
            raise CommandRejected(f"{child.name} takes no licences")
        is_for_use = licence.change in (LicenceChange.INSTALL, LicenceChange.RENEW)
        payload = licence.payload.get_secret_value() if is_for_use and licence.payload is not None else "none"
        return Command(licence.id, child.key, "set", {"licence": payload})

    def _answering(self, address: str) -> SyntheticDevice:
        self._plugged_in()
        device = self.wire.devices.get(address)
        if device is None or device.silent:
            raise DeviceUnreachable(f"no answer from {address}")
        return device

    def _plugged_in(self) -> None:
        if self.wire.unplugged:
            raise BusUnavailable(f"{self.wire.label} is unplugged")


class _Password(BaseModel):
    """The parameters of `set_password`."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(min_length=4, max_length=64)


def _values_model(values: Mapping[str, Value]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (float, Field(default=None, allow_inf_nan=False)) if isinstance(value, int | float) else (str, Field(default=None))
        for name, value in values.items()
    }
    return create_model("Values", __config__=ConfigDict(extra="forbid"), **fields)


def _plain_values(command: Command) -> dict[str, Value]:
    return {name: value for name, value in command.parameters.items() if isinstance(value, int | float | str)}


def found_of(device: SyntheticDevice) -> Found:
    """Return this device as the adapter reports it."""
    return Found(
        address=device.address,
        identity=Identity(IdentityKind.SERIAL_NUMBER, f"synthetic/{device.serial_number}"),
        name=f"device {device.serial_number}",
        profile=device.profile,
        family=device.family,
        sub_model=device.sub_model,
        manufacturer="synthetic",
        serial_number=device.serial_number,
        firmware_version=device.firmware_version,
        evidence={"asked": "answered"},
    )
