"""Run an emulated cloud, simulated Modbus, Bluetooth and serial devices, and the gateway in one process, and check the result."""

from __future__ import annotations

import asyncio
import math
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from pydantic import SecretStr

from gateway.adapter import Adapter, AdapterSettings
from gateway.config.entries import entry_from
from gateway.config.settings import (
    AdmissionSection,
    CloudSection,
    Configuration,
    GatewaySection,
    Policy,
    Settings,
    StatusSection,
    StoreSection,
)
from gateway.emulator import Emulator
from gateway.emulator.device import Device, QueuedCommand
from gateway.emulator.journal import JournalEntry
from gateway.runtime.app import Gateway
from gateway.runtime.builder import build
from gateway.testing.bluetooth import RadioEnvironment, simulated_backend
from gateway.testing.bluetooth.bleak_backend import SimulatedBackend
from gateway.testing.bluetooth.demo_devices import DemoDevice, shelly_blu_ht, switchbot_bot, thunderboard_sense
from gateway.testing.demo_devices import rtu_units, tcp_units, waveshare_relays
from gateway.testing.modbus import ModbusRtuBus, ModbusTcpHost, SimulatedUnit
from gateway.testing.serial import Display, Gps, SerialLine
from gateway.testing.serial.demo_devices import values_sent_by_display, values_sent_by_gps

HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"
TELEMETRY_EVERY = timedelta(seconds=5)
CONFIGURATION_WATCH = timedelta(seconds=5)
GATEWAY_SUB_MODEL = "demo"
_MODELS = UUID("5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701")

HALL, CELLAR, AIR, LOBBY, ROOF = "hall", "cellar", "air", "lobby", "roof"
"""The names of the buses: a Modbus TCP host, a Modbus line, a Bluetooth radio, two serial ports."""

BusAddress: TypeAlias = tuple[str, str]
"""The location of a device: its bus and its address."""

SUB_MODELS: Mapping[BusAddress, str | None] = {
    (HALL, "1"): "iEM3255",
    (HALL, "2"): "Symo 10.0-3-M",
    (HALL, "3"): "E1210",
    (HALL, "4"): "Modbus POE ETH Relay (B)",
    (CELLAR, "1"): "SDM630-Modbus",
    (CELLAR, "2"): "B23 112-100",
    (CELLAR, "3"): "E5CC",
    (AIR, "54:48:E6:8F:80:A5"): "SBHT-003C",
    (AIR, "00:0B:57:64:8B:49"): "BRD4166A",
    (AIR, "C0:A4:31:7E:52:1B"): "Bot",
    (LOBBY, "samsung-mdc/1"): "QM55R",
    (ROOF, "nmea-0183"): None,  # GPS receivers do not identify themselves
}
"""The sub-model under which each simulated device has to be registered in the cloud."""

COMMANDS: Sequence[tuple[BusAddress | None, str, Mapping[str, object]]] = (
    ((HALL, "4"), "switch_relay_1", {"on": True}),
    ((AIR, "C0:A4:31:7E:52:1B"), "press", {}),
    ((LOBBY, "samsung-mdc/1"), "set_volume", {"volume": 25}),
    (None, "rescan", {}),
)
"""The commands that a customer sends in the portal, each to a child or, without a location, to the gateway itself."""

CONFIGURATIONS: Sequence[tuple[BusAddress | None, Mapping[str, object]]] = (
    ((CELLAR, "1"), {"poll_every": {"slow": 20}, "metrics_left_out": ["energy_export"]}),
    (None, {"cloud": {"commands_every": 5}}),
)
"""The configurations that a person sets in the portal, each for a child or, without a location, for the gateway itself."""

OUTCOME_WITHIN_SECONDS = 20.0
"""After this time each command has ended, and each configuration is in effect."""

NAMES = {"operating_state": {4: "mppt"}}
"""Numbers on the wire that are sent to the cloud by name (SunSpec Information Model Reference, inverter models, `St`)."""

AVERAGED = re.compile(r".*_power(_l[123])?|(heating|cooling)_output")
"""Metrics that are sent as the mean over a telemetry interval, as their profiles define."""

FAMILIES = (
    "power-meter", "inverter", "io-module", "temperature-controller", "climate-sensor", "button-pusher", "display", "gps",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """A simulated device and the values that it has sent so far."""

    name: str
    sent: Callable[[], Mapping[str, AbstractSet[object]]]
    """Returns all values of each metric that it has sent."""


@dataclass(slots=True)
class Demo:
    """A running demo."""

    emulator: Emulator
    gateway: Gateway
    devices: Mapping[BusAddress, SimulatedDevice]
    started_at: float
    first_telemetry_at: float | None = None
    calls: list[JournalEntry] = field(default_factory=list)
    """All calls that the cloud received, in order."""
    commands: list[tuple[Device, QueuedCommand]] = field(default_factory=list)
    """The commands that were sent, each with its device."""
    configurations: list[tuple[Device, int]] = field(default_factory=list)
    """The configurations that were set, each as its device and its version."""
    asked_at: float | None = None
    """When the commands and configurations were sent, by `monotonic`."""

    @property
    def parent(self) -> Device | None:
        """The gateway as a device of the cloud; `None` before it is registered."""
        return next((device for device in self.emulator.cloud.devices.values() if device.parent_id is None), None)

    @property
    def children(self) -> dict[BusAddress, Device]:
        """The children as devices of the cloud, by bus and address."""
        devices = [device for device in self.emulator.cloud.devices.values() if device.parent_id is not None]
        return {(str(device.details.get("bus")), str(device.details.get("address"))): device for device in devices}

    @property
    def seconds_to_first_telemetry(self) -> float | None:
        """The time from the start of the gateway to the first telemetry of children that the cloud accepted."""
        return None if self.first_telemetry_at is None else self.first_telemetry_at - self.started_at

    def record_call(self, entry: JournalEntry) -> None:
        """Record a call that the cloud received."""
        self.calls.append(entry)
        if entry.call == "Register Device" and self.parent is not None:
            self.emulator.cloud.claim(self.parent.id)  # a person does this in the portal
        if entry.call == "Send Child Telemetries" and entry.status == 201 and self.first_telemetry_at is None:
            self.first_telemetry_at = monotonic()
        if entry.call == "Send Child Telemetries" and not self.commands and self.children.keys() >= SUB_MODELS.keys():
            self._send_commands()
            self._set_configurations()

    def _send_commands(self) -> None:
        self.asked_at = monotonic()
        for place, name, parameters in COMMANDS:
            device = self.parent if place is None else self.children[place]
            if device is not None:
                self.commands.append((device, self.emulator.cloud.queue_command(device.id, name, parameters)))

    def _set_configurations(self) -> None:
        for place, content in CONFIGURATIONS:
            device = self.parent if place is None else self.children[place]
            if device is not None:
                self.configurations.append((device, self.emulator.cloud.set_config(device.id, content)))

    def problems(self) -> list[str]:
        """Return everything that is not as expected; empty when all devices work."""
        found = [] if self.parent is not None else ["the gateway is not registered"]
        children = self.children
        for place, sub_model in SUB_MODELS.items():
            name = f"{self.devices[place].name} at {place[1]} in the {place[0]}"
            child = children.get(place)
            if child is None:
                found.append(f"{name} is not registered")
            elif child.sub_model != sub_model:
                found.append(f"{name} is registered with sub-model {child.sub_model!r}, not {sub_model!r}")
            else:
                found += [f"{name}: {problem}" for problem in self._telemetry_problems(child, self.devices[place])]
        found += [
            f"{device.name} is not one of the simulated devices" for place, device in children.items() if place not in SUB_MODELS
        ]
        found += [
            f"the command {command.name} to {device.name} failed: {command.message}"
            for device, command in self.commands
            if command.status == "failed"
        ]
        found += self._outcome_problems()
        parent_id = self.parent.id if self.parent else None
        singles = [call for call in self.calls if call.call == "Send Telemetry" and call.device != parent_id]
        return found + [f"{call.device_name} was not sent in a bulk call" for call in singles]

    def _outcome_problems(self) -> list[str]:
        if self.asked_at is None or monotonic() - self.asked_at < OUTCOME_WITHIN_SECONDS:
            return []
        open_commands = [
            f"the command {command.name} to {device.name} has no outcome" for device, command in self.commands if command.is_open
        ]
        return open_commands + [
            f"configuration {version} of {device.name} is not in effect"
            for device, version in self.configurations
            if (device.config.applied_version or 0) < version
        ]

    def _telemetry_problems(self, child: Device, simulated: SimulatedDevice) -> list[str]:
        messages = self.emulator.journal.telemetry(child.id)
        sent = [(metric, value) for message in messages for metric, value in message.values.items() if value is not None]
        if not sent:
            return ["none of its values arrived in the cloud"]
        served = simulated.sent()
        return [
            f"{metric} = {value!r} arrived in the cloud but was never on the wire"
            for metric, value in sent
            if not any(_same(value, on_wire) for on_wire in served.get(metric, ())) and not _is_mean(metric, value, served)
        ]


def _is_mean(metric: str, value: object, served: Mapping[str, AbstractSet[object]]) -> bool:
    """Whether the value in the cloud can be the mean of values that were on the wire."""
    numbers = [one for one in served.get(metric, ()) if isinstance(one, int | float)]
    is_averaged = AVERAGED.fullmatch(metric) is not None and isinstance(value, int | float)
    return is_averaged and bool(numbers) and min(numbers) <= value <= max(numbers)  # type: ignore[operator]  # a number: checked above


def _simulated_unit(unit: SimulatedUnit) -> SimulatedDevice:
    def sent() -> Mapping[str, AbstractSet[object]]:
        served: defaultdict[str, set[object]] = defaultdict(set)
        for one in unit.history:
            served[one.metric].add(
                NAMES.get(one.metric, {}).get(one.value, one.value) if isinstance(one.value, int) else one.value
            )
        return served

    return SimulatedDevice(unit.name, sent)


def _simulated_peripheral(demo_device: DemoDevice) -> SimulatedDevice:
    return SimulatedDevice(demo_device.name, lambda: demo_device.sent)


def _same(in_cloud: object, on_wire: object) -> bool:
    """Whether both values are equal; the 32-bit floats of telemetry may differ in the last digit."""
    if isinstance(in_cloud, int | float) and isinstance(on_wire, int | float):
        return math.isclose(in_cloud, on_wire, rel_tol=1e-6, abs_tol=1e-9)
    return in_cloud == on_wire


@asynccontextmanager
async def demo(adapters: Mapping[str, type[Adapter[Any]]], *, page: StatusSection | None = None) -> AsyncIterator[Demo]:
    """Start everything and yield the running demo; stop everything at the end, the gateway in its normal order.

    Args:
        adapters: the installed adapters.
        page: the address of the status page; a free port of this machine when left out.
    """
    async with AsyncExitStack() as stack:
        calls: list[JournalEntry] = []
        record = calls.append
        emulator = await stack.enter_async_context(Emulator(hardware_keys=[HARDWARE_KEY], on_call=lambda entry: record(entry)))
        host = await stack.enter_async_context(ModbusTcpHost(tcp := (*tcp_units(), waveshare_relays(4))))
        line = await stack.enter_async_context(ModbusRtuBus(rtu := rtu_units(), baudrate=19200))
        demo_devices = (shelly_blu_ht(), thunderboard_sense(), switchbot_bot())
        backend = simulated_backend(RadioEnvironment(demo_device.peripheral for demo_device in demo_devices))
        display, gps = Display(), Gps()
        lobby = await stack.enter_async_context(SerialLine(display, baudrate=9600))
        roof = await stack.enter_async_context(SerialLine(gps, baudrate=4800))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="xyte-gateway-demo-")))
        entries = (_modbus(host.port, line.port), _bluetooth(backend), _serial(lobby.port, roof.port))
        configuration = _configuration(
            emulator.entry_url, folder, [entry_from(entry, adapters) for entry in entries], page or StatusSection(port=0)
        )
        started_at = monotonic()
        gateway = await stack.enter_async_context(build(configuration, adapters))
        devices = {
            (bus, str(unit.unit_id)): _simulated_unit(unit) for bus, units in ((HALL, tcp), (CELLAR, rtu)) for unit in units
        }
        devices |= {(AIR, demo_device.peripheral.address): _simulated_peripheral(demo_device) for demo_device in demo_devices}
        devices[LOBBY, "samsung-mdc/1"] = SimulatedDevice(display.name, lambda: values_sent_by_display(display))
        devices[ROOF, "nmea-0183"] = SimulatedDevice(gps.name, lambda: values_sent_by_gps(gps))
        running = Demo(emulator, gateway, devices, started_at, calls=calls)
        record = running.record_call
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.run(stop))
            try:
                yield running
            finally:
                stop.set()


def _configuration(entry_url: str, folder: Path, entries: Sequence[AdapterSettings], page: StatusSection) -> Configuration:
    settings = Settings(
        gateway=GatewaySection(name="Demo gateway", mac="02:00:5e:10:00:01", sub_model=GATEWAY_SUB_MODEL),
        cloud=CloudSection(
            entry_url=entry_url,
            hardware_key=SecretStr(HARDWARE_KEY),
            allow_plain_http=True,
            telemetry_every=TELEMETRY_EVERY,
            configuration_watch=CONFIGURATION_WATCH,
        ),
        store=StoreSection(path=folder / "gateway.sqlite3"),
        admission=AdmissionSection(policy=Policy.MATCHED),
        status=page,
        models={family: str(uuid5(_MODELS, family)) for family in FAMILIES},
    )
    return Configuration(None, settings, tuple(entries))


def _modbus(tcp_port: int, serial_port: str) -> dict[str, Any]:
    return {
        "type": "modbus",
        "hosts": [{"host": "127.0.0.1", "port": tcp_port, "name": HALL}],
        "lines": [{"port": serial_port, "name": CELLAR, "baudrate": 19200, "parity": "N"}],
        "units": "1-8",
        "timeout": 0.2,
        "devices": [  # they cannot identify themselves
            {"unit": 4, "bus": HALL, "profile": "waveshare-relay-b"},
            {"unit": 3, "bus": CELLAR, "profile": "omron-e5cc"},
        ],
    }


def _bluetooth(backend: SimulatedBackend) -> dict[str, Any]:
    return {"type": "ble", "name": AIR, "scan_time": 1, "backend": {"scanner": backend.scanner, "client": backend.client}}


def _serial(lobby: str, roof: str) -> dict[str, Any]:
    displays = ["lg-display", "nec-display", "samsung-mdc"]
    ports = [{"port": lobby, "name": LOBBY, "profiles": displays}, {"port": roof, "name": ROOF, "line": "4800 8N1"}]
    return {"type": "serial", "name": "ports", "ports": ports}
