"""The main job in one process: an emulated cloud, simulated devices on TCP, on a serial line and in the air, and the gateway."""

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
from gateway.emulator.device import Device
from gateway.emulator.journal import JournalEntry
from gateway.runtime.app import Gateway, build
from gateway.testing.bluetooth import Air, simulated_backend
from gateway.testing.bluetooth.bleak_backend import SimulatedBackend
from gateway.testing.bluetooth.demo_devices import Gadget, shelly_blu_ht, thunderboard_sense
from gateway.testing.demo_devices import rtu_units, tcp_units
from gateway.testing.modbus import ModbusRtuBus, ModbusTcpHost, SimulatedUnit
from gateway.testing.serial import Display, Gps, SerialLine
from gateway.testing.serial.demo_devices import told_by_display, told_by_gps

HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"
TELEMETRY_EVERY = timedelta(seconds=5)
GATEWAY_SUB_MODEL = "demo"
_MODELS = UUID("5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701")

HALL, CELLAR, AIR, LOBBY, ROOF = "hall", "cellar", "air", "lobby", "roof"
"""The names of the buses: a Modbus TCP host, a Modbus line, a Bluetooth radio, two serial ports."""

Place: TypeAlias = tuple[str, str]
"""Where a device is: its bus, and its address there."""

SUB_MODELS: Mapping[Place, str | None] = {
    (HALL, "1"): "iEM3255",
    (HALL, "2"): "Symo 10.0-3-M",
    (HALL, "3"): "E1210",
    (CELLAR, "1"): "SDM630-Modbus",
    (CELLAR, "2"): "B23 112-100",
    (CELLAR, "3"): "E5CC",
    (AIR, "54:48:E6:8F:80:A5"): "SBHT-003C",
    (AIR, "00:0B:57:64:8B:49"): "BRD4166A",
    (LOBBY, "samsung-mdc/1"): "QM55R",
    (ROOF, "nmea-0183"): None,  # no receiver says what it is
}
"""What each simulated device has to become in the cloud."""

NAMES = {"operating_state": {4: "mppt"}}
"""Numbers on the wire that the cloud learns by name (SunSpec Information Model Reference, inverter models, `St`)."""

AVERAGED = re.compile(r".*_power(_l[123])?|(heating|cooling)_output")
"""Metrics that the cloud learns as the mean over a telemetry interval, as the profiles say."""

FAMILIES = ("power-meter", "inverter", "io-module", "temperature-controller", "climate-sensor", "display", "gps")


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated device, and what it has sent so far."""

    name: str
    sent: Callable[[], Mapping[str, AbstractSet[object]]]
    """Returns every value of every metric that was on its wire."""


@dataclass(slots=True)
class Demo:
    """A demo that runs."""

    emulator: Emulator
    gateway: Gateway
    devices: Mapping[Place, Simulated]
    started_at: float
    first_telemetry_at: float | None = None
    calls: list[JournalEntry] = field(default_factory=list)
    """Everything that the cloud received, in order."""

    @property
    def parent(self) -> Device | None:
        """The gateway as the cloud knows it; `None` before it is registered."""
        return next((device for device in self.emulator.cloud.devices.values() if device.parent_id is None), None)

    @property
    def children(self) -> dict[Place, Device]:
        """The children as the cloud knows them, by bus and address."""
        devices = [device for device in self.emulator.cloud.devices.values() if device.parent_id is not None]
        return {(str(device.details.get("bus")), str(device.details.get("address"))): device for device in devices}

    @property
    def seconds_to_first_telemetry(self) -> float | None:
        """From the start of the gateway to the first children's telemetry that the cloud accepted."""
        return None if self.first_telemetry_at is None else self.first_telemetry_at - self.started_at

    def heard(self, entry: JournalEntry) -> None:
        """Take in a call that the cloud received."""
        self.calls.append(entry)
        if entry.call == "Register Device" and self.parent is not None:
            self.emulator.cloud.claim(self.parent.id)  # as a person does in the portal
        if entry.call == "Send Child Telemetries" and entry.status == 201 and self.first_telemetry_at is None:
            self.first_telemetry_at = monotonic()

    def problems(self) -> list[str]:
        """Return everything that is not as it should be; empty when the main job is done."""
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
        found += [f"{device.name} is one device too many" for place, device in children.items() if place not in SUB_MODELS]
        parent_id = self.parent.id if self.parent else None
        singles = [call for call in self.calls if call.call == "Send Telemetry" and call.device != parent_id]
        return found + [f"{call.device_name} was not told of in a bulk call" for call in singles]

    def _telemetry_problems(self, child: Device, simulated: Simulated) -> list[str]:
        messages = self.emulator.journal.telemetry(child.id)
        sent = [(metric, value) for message in messages for metric, value in message.values.items() if value is not None]
        if not sent:
            return ["no value of it arrived in the cloud"]
        served = simulated.sent()
        return [
            f"{metric} = {value!r} arrived in the cloud, and was never on the wire"
            for metric, value in sent
            if not any(_same(value, on_wire) for on_wire in served.get(metric, ())) and not _is_mean(metric, value, served)
        ]


def _is_mean(metric: str, value: object, served: Mapping[str, AbstractSet[object]]) -> bool:
    """The cloud's value may be the mean of some that were on the wire."""
    numbers = [one for one in served.get(metric, ()) if isinstance(one, int | float)]
    is_averaged = AVERAGED.fullmatch(metric) is not None and isinstance(value, int | float)
    return is_averaged and bool(numbers) and min(numbers) <= value <= max(numbers)  # type: ignore[operator]  # a number: asked above


def _simulated_unit(unit: SimulatedUnit) -> Simulated:
    def sent() -> Mapping[str, AbstractSet[object]]:
        served: defaultdict[str, set[object]] = defaultdict(set)
        for one in unit.history:
            served[one.metric].add(
                NAMES.get(one.metric, {}).get(one.value, one.value) if isinstance(one.value, int) else one.value
            )
        return served

    return Simulated(unit.name, sent)


def _simulated_gadget(gadget: Gadget) -> Simulated:
    return Simulated(gadget.name, lambda: gadget.sent)


def _same(in_cloud: object, on_wire: object) -> bool:
    """The cloud's value is the wire's; the telemetry's 32-bit floats leave room for a last digit."""
    if isinstance(in_cloud, int | float) and isinstance(on_wire, int | float):
        return math.isclose(in_cloud, on_wire, rel_tol=1e-6, abs_tol=1e-9)
    return in_cloud == on_wire


@asynccontextmanager
async def demo(adapters: Mapping[str, type[Adapter[Any]]], *, page: StatusSection | None = None) -> AsyncIterator[Demo]:
    """Start everything and yield it running; stop everything at the end, the gateway as it stops in earnest.

    Args:
        adapters: the installed ones.
        page: where the status page is to be; at a free port of this machine, when left out.
    """
    async with AsyncExitStack() as stack:
        calls: list[JournalEntry] = []
        told = calls.append
        emulator = await stack.enter_async_context(Emulator(hardware_keys=[HARDWARE_KEY], on_call=lambda entry: told(entry)))
        host = await stack.enter_async_context(ModbusTcpHost(tcp := tcp_units()))
        line = await stack.enter_async_context(ModbusRtuBus(rtu := rtu_units(), baudrate=19200))
        gadgets = (shelly_blu_ht(), thunderboard_sense())
        backend = simulated_backend(Air(gadget.peripheral for gadget in gadgets))
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
        devices |= {(AIR, gadget.peripheral.address): _simulated_gadget(gadget) for gadget in gadgets}
        devices[LOBBY, "samsung-mdc/1"] = Simulated(display.name, lambda: told_by_display(display))
        devices[ROOF, "nmea-0183"] = Simulated(gps.name, lambda: told_by_gps(gps))
        running = Demo(emulator, gateway, devices, started_at, calls=calls)
        told = running.heard
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
            entry_url=entry_url, hardware_key=SecretStr(HARDWARE_KEY), allow_plain_http=True, telemetry_every=TELEMETRY_EVERY
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
        "devices": [{"unit": 3, "bus": CELLAR, "profile": "omron-e5cc"}],  # a controller that cannot say who it is
    }


def _bluetooth(backend: SimulatedBackend) -> dict[str, Any]:
    return {"type": "ble", "name": AIR, "scan_time": 1, "backend": {"scanner": backend.scanner, "client": backend.client}}


def _serial(lobby: str, roof: str) -> dict[str, Any]:
    displays = ["lg-display", "nec-display", "samsung-mdc"]
    ports = [{"port": lobby, "name": LOBBY, "profiles": displays}, {"port": roof, "name": ROOF, "line": "4800 8N1"}]
    return {"type": "serial", "name": "ports", "ports": ports}
