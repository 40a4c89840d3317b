"""Validate an `[[adapter]]` entry of type `modbus`.

    [[adapter]]
    type = "modbus"
    name = "plant"
    hosts = [
        "192.168.1.20",                                                        # port 502
        "192.168.1.21:1502",
        { host = "192.168.1.30", port = 4001, framing = "rtu", name = "roof" },     # RTU frames through a serial device server
        { host = "192.168.1.40", transport = "udp" },                               # Modbus over UDP
        { host = "192.168.1.41", tls = { ca_file = "/etc/xyte-gateway/plant-ca.pem" } },    # Modbus over TLS, port 802
    ]
    lines = [
        { port = "/dev/serial/by-id/usb-FTDI_1234-if00", baudrate = 9600, parity = "N", name = "cabinet" },
        { port = "/dev/ttyS1", baudrate = 9600, framing = "ascii" },                # Modbus ASCII, 7E1
    ]
    units = "1-32, 100"
    profiles = ["/etc/xyte-gateway/profiles"]
    devices = [{ bus = "cabinet", unit = 5, profile = "omron-e5cc", name = "Oven 2" }]

How to add a device model: one profile `profiles/<name>.toml` (its grammar is in `profile/profile.py`) and one case folder
`tests/adapters/modbus/cases/<name>/<case>/` with the answers of the device and the expected result; no Python. An integrator's
own profiles are in a folder that `profiles` names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import count
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from adapters.modbus.client.buses import Bus, SerialLine, TcpHost, parse_host
from adapters.modbus.client.unit_ids import LAST_UNIT, TCP_DEVICE_UNIT, ZERO_UNIT, Units, is_usable, why_not_usable
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_models import profile_named
from gateway.adapter import DisplayName, ProfileFiles, ProfileSettings, Seconds, SettingMistake, unknown_name, unusual_speed


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConfiguredDevice(_StrictModel):
    """A unit whose profile is given in the config instead of detected."""

    unit: int = Field(ge=ZERO_UNIT, le=TCP_DEVICE_UNIT, description="unit id; 0 and 255 over Modbus TCP only")
    profile: str = Field(description="name of its profile")
    bus: str = Field(default="", description="name of its bus; not needed where there is only one")
    name: DisplayName = Field(default="", description="what the device is called")
    request_pause: Seconds = Field(
        default=timedelta(0),
        ge=timedelta(0),
        le=timedelta(seconds=10),
        description="pause after its answer before the next request to it, in seconds; learned, when left out",
    )


class ModbusSettings(ProfileSettings[Profile]):
    """One `[[adapter]]` entry: hosts and lines that are polled in the same way."""

    profile_files: ClassVar[ProfileFiles[Profile]] = PROFILE_FILES

    hosts: tuple[Annotated[TcpHost, BeforeValidator(parse_host)], ...] = Field(
        default=(),
        description='TCP hosts: "address", "address:port" or { host, port, name, framing, transport, tls, '
        "baudrate, timeout, connect_delay, request_pause, local_port }",
    )
    lines: tuple[SerialLine, ...] = Field(
        default=(),
        description="serial lines: { port, baudrate, parity, stopbits, bytesize, framing, name, timeout, connect_delay, "
        "request_pause }",
    )
    units: Units = Field(
        default=tuple(range(1, LAST_UNIT + 1)),
        min_length=1,
        description='unit ids that a scan probes: "1-16, 20" or a list; 0 and 255 over Modbus TCP only',
    )
    timeout: Seconds = Field(
        default=timedelta(seconds=0.5),
        ge=timedelta(milliseconds=10),
        le=timedelta(seconds=30),
        description="how long to wait for an answer, in seconds",
    )
    retries: int = Field(default=1, ge=0, le=5, description="how often an unanswered read is repeated")
    scan_timeout: Seconds = Field(
        default=timedelta(seconds=0.3),
        ge=timedelta(milliseconds=10),
        le=timedelta(seconds=30),
        description="how long a scan waits for a first answer, in seconds; longer than the time-out of a TCP to RTU gateway. A "
        "scan waits longer by itself once answers come late, and says what to set",
    )
    devices: tuple[ConfiguredDevice, ...] = Field(
        default=(), description="units whose profile is given: { bus, unit, profile, name, request_pause }"
    )

    def claims(self) -> Mapping[str, tuple[str, int]]:
        """Return every host and every port that no other entry may use."""
        hosts = {host.claim: ("hosts", index) for index, host in enumerate(self.hosts)}
        return hosts | {f"port {os.path.realpath(line.port)}": ("lines", index) for index, line in enumerate(self.lines)}

    def find_profile(self, name: str) -> Profile | None:
        """Return the profile of this name, also one that is made from SunSpec's model definitions."""
        return profile_named(name, self.library)

    @property
    def all_buses(self) -> tuple[Bus, ...]:
        """All buses of this entry: hosts first."""
        return self.hosts + self.lines

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all buses of this entry."""
        return tuple(bus.label for bus in self.all_buses)

    def units_of(self, bus: Bus) -> tuple[int, ...]:
        """Return the unit ids that a scan of this bus probes, without those of configured devices."""
        known = self.devices_on(bus.label).keys()
        return tuple(unit for unit in self.units if is_usable(unit, on_line=bus.is_on_line) and unit not in known)

    def timeout_seconds(self, bus: Bus) -> float:
        """Return how long to wait for an answer on this bus."""
        return (bus.timeout or self.timeout).total_seconds()

    def scan_timeout_seconds(self, bus: Bus) -> float:
        """Return how long a scan of this bus waits for a first answer."""
        return (bus.timeout or self.scan_timeout).total_seconds()

    def pauses_on(self, label: str) -> dict[int, float]:
        """Return the configured pauses of the devices of a bus, in seconds, by unit id."""
        return {unit: device.request_pause.total_seconds() for unit, device in self.devices_on(label).items()}

    def devices_on(self, label: str) -> dict[int, ConfiguredDevice]:
        """Return the configured devices of a bus by unit id."""
        return {device.unit: device for device in self.devices if (device.bus or self.labels[0]) == label}

    def mistakes(self) -> Iterator[SettingMistake]:
        """Yield buses that are there twice, unit ids that their bus cannot have, and devices of no bus or no profile."""
        yield from super().mistakes()
        yield from self._mistaken_buses()
        if self.labels:
            yield from self._impossible_units()
            yield from self._mistaken_devices()

    def warnings(self) -> Iterator[SettingMistake]:
        """Yield the ports and speeds that are not likely to be there."""
        for index, line in enumerate(self.lines):
            if not line.port.startswith("/"):
                yield SettingMistake(("lines", index, "port"), f"{line.port!r} is no path", "A port is written as /dev/ttyUSB0")
            yield from unusual_speed(line.baudrate, ("lines", index, "baudrate"))
        for index, host in enumerate(self.hosts):
            if host.baudrate is not None:
                yield from unusual_speed(host.baudrate, ("hosts", index, "baudrate"))

    def _mistaken_buses(self) -> Iterator[SettingMistake]:
        if not self.labels:
            yield SettingMistake(("hosts",), "there is no bus", NAME_A_BUS)
        claims: set[str] = set()
        labels: set[str] = set()
        for claim, location, label in zip((host.claim for host in self.hosts), _places("hosts"), self.labels, strict=False):
            if claim in claims:
                yield SettingMistake(location, f"{claim} is there already", "Name each host once; all its units are found there")
            elif label in labels:
                yield SettingMistake((*location, "name"), f"two buses are called {label!r}", GIVE_ANOTHER_NAME)
            claims.add(claim)
            labels.add(label)
        ports: set[str] = set()
        for line, location in zip(self.lines, _places("lines"), strict=False):
            path = os.path.realpath(line.port)
            if path in ports:
                yield SettingMistake((*location, "port"), f"port {line.port} is there already", "Name each port once")
            elif line.label in labels:
                yield SettingMistake((*location, "name"), f"two buses are called {line.label!r}", GIVE_ANOTHER_NAME)
            ports.add(path)
            labels.add(line.label)

    def _impossible_units(self) -> Iterator[SettingMistake]:
        if all(bus.is_on_line for bus in self.all_buses):
            for unit in self.units:
                if not is_usable(unit, on_line=True):
                    yield SettingMistake(("units",), f"`units` has {unit}: {why_not_usable(unit, on_line=True)}")
        buses = {bus.label: bus for bus in self.all_buses}
        for device, location in zip(self.devices, _places("devices"), strict=False):
            bus = buses.get(device.bus or self.labels[0])
            if bus is not None and not is_usable(device.unit, on_line=bus.is_on_line):
                wrong = f"device at unit {device.unit} of {bus.label}: {why_not_usable(device.unit, on_line=bus.is_on_line)}"
                yield SettingMistake((*location, "unit"), wrong)

    def _mistaken_devices(self) -> Iterator[SettingMistake]:
        seen: set[tuple[str, int]] = set()
        for device, location in zip(self.devices, _places("devices"), strict=False):
            yield from self.profile_mistakes((device.profile, (*location, "profile")))
            if device.bus and device.bus not in self.labels:
                right = f"The buses of this entry are {', '.join(self.labels)}"
                yield SettingMistake((*location, "bus"), unknown_name("bus", device.bus, self.labels), right)
            if not device.bus and len(self.labels) > 1:
                wrong = f"device at unit {device.unit}: there are several buses, so set `bus`"
                yield SettingMistake(location, wrong, f"The buses of this entry are {', '.join(self.labels)}")
            place = (device.bus or self.labels[0], device.unit)
            if place in seen:
                wrong = f"two devices are configured at {place[0]} unit {device.unit}"
                yield SettingMistake((*location, "unit"), wrong, "Each unit of a bus can be configured once")
            seen.add(place)


NAME_A_BUS = 'Name one: `hosts = ["192.168.1.20"]` or `lines = [{ port = "/dev/ttyUSB0" }]`'
GIVE_ANOTHER_NAME = "Give one of them another `name`"


def _places(key: str) -> Iterator[tuple[str, int]]:
    """Yield the location of each item of a list."""
    return ((key, index) for index in count())
