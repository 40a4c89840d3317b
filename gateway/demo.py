"""The main job in one process: an emulated cloud, simulated devices on TCP and on a serial line, and the gateway between them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import UUID, uuid5

from pydantic import SecretStr

from gateway.adapter import Adapter
from gateway.app import Gateway, build
from gateway.emulator import Emulator
from gateway.emulator.device import Device
from gateway.emulator.journal import JournalEntry
from gateway.settings import (
    AdmissionSection,
    CloudSection,
    Configuration,
    GatewaySection,
    Policy,
    Settings,
    StoreSection,
    entry_from,
)
from gateway.testing.modbus import ModbusRtuBus, ModbusTcpHost, SimulatedUnit
from gateway.testing.plant import rtu_units, tcp_units

HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"
TELEMETRY_EVERY = timedelta(seconds=5)
GATEWAY_SUB_MODEL = "demo"
_MODELS = UUID("5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701")

HALL, CELLAR = "hall", "cellar"
"""The names of the two buses: a Modbus TCP host and a serial line."""

SUB_MODELS = {
    (HALL, 1): "iEM3255",
    (HALL, 2): "Symo 10.0-3-M",
    (HALL, 3): "E1210",
    (CELLAR, 1): "SDM630-Modbus",
    (CELLAR, 2): "B23 112-100",
    (CELLAR, 3): "E5CC",
}
"""What each simulated device has to become in the cloud, by bus and unit id."""

NAMES = {"operating_state": {4: "mppt"}}
"""Numbers on the wire that the cloud learns by name (SunSpec Information Model Reference, inverter models, `St`)."""

AVERAGED = re.compile(r".*_power(_l[123])?|(heating|cooling)_output")
"""Metrics that the cloud learns as the mean over a telemetry interval, as the profiles say."""

FAMILIES = ("power-meter", "inverter", "io-module", "temperature-controller")


@dataclass(slots=True)
class Demo:
    """A demo that runs."""

    emulator: Emulator
    gateway: Gateway
    units: Mapping[tuple[str, int], SimulatedUnit]
    started_at: float
    first_telemetry_at: float | None = None
    calls: list[JournalEntry] = field(default_factory=list)
    """Everything that the cloud received, in order."""

    @property
    def parent(self) -> Device | None:
        """The gateway as the cloud knows it; `None` before it is registered."""
        return next((device for device in self.emulator.cloud.devices.values() if device.parent_id is None), None)

    @property
    def children(self) -> dict[tuple[str, int], Device]:
        """The children as the cloud knows them, by bus and unit id."""
        devices = [device for device in self.emulator.cloud.devices.values() if device.parent_id is not None]
        return {(str(device.details.get("bus")), int(str(device.details.get("address")))): device for device in devices}

    @property
    def seconds_to_first_telemetry(self) -> float | None:
        """From the start of the gateway to the first children's telemetry that the cloud accepted."""
        return None if self.first_telemetry_at is None else self.first_telemetry_at - self.started_at

    def heard(self, entry: JournalEntry) -> None:
        """Take in a call that the cloud received."""
        self.calls.append(entry)
        if entry.call == "Send Child Telemetries" and entry.status == 201 and self.first_telemetry_at is None:
            self.first_telemetry_at = monotonic()

    def problems(self) -> list[str]:
        """Return everything that is not as it should be; empty when the main job is done."""
        found = [] if self.parent is not None else ["the gateway is not registered"]
        children = self.children
        for place, sub_model in SUB_MODELS.items():
            name = f"unit {place[1]} in the {place[0]} ({self.units[place].name})"
            child = children.get(place)
            if child is None:
                found.append(f"{name} is not registered")
            elif child.sub_model != sub_model:
                found.append(f"{name} is registered with sub-model {child.sub_model!r}, not {sub_model!r}")
            else:
                found += [f"{name}: {problem}" for problem in self._telemetry_problems(child, self.units[place])]
        found += [f"{device.name} is one device too many" for place, device in children.items() if place not in SUB_MODELS]
        parent_id = self.parent.id if self.parent else None
        singles = [call for call in self.calls if call.call == "Send Telemetry" and call.device != parent_id]
        return found + [f"{call.device_name} was not told of in a bulk call" for call in singles]

    def _telemetry_problems(self, child: Device, unit: SimulatedUnit) -> list[str]:
        messages = self.emulator.journal.telemetry(child.id)
        sent = [(metric, value) for message in messages for metric, value in message.values.items() if value is not None]
        if not sent:
            return ["no value of it arrived in the cloud"]
        served: dict[str, set[Any]] = {}
        for one in unit.history:
            named = NAMES.get(one.metric, {}).get(one.value, one.value) if isinstance(one.value, int) else one.value
            served.setdefault(one.metric, set()).add(named)
        return [
            f"{metric} = {value!r} arrived in the cloud, and was never on the wire"
            for metric, value in sent
            if not any(_same(value, on_wire) for on_wire in served.get(metric, ()))
            and not (metric in served and AVERAGED.fullmatch(metric) and min(served[metric]) <= value <= max(served[metric]))
        ]


def _same(in_cloud: object, on_wire: object) -> bool:
    """The cloud's value is the wire's; the telemetry's 32-bit floats leave room for a last digit."""
    if isinstance(in_cloud, int | float) and isinstance(on_wire, int | float):
        return math.isclose(in_cloud, on_wire, rel_tol=1e-6, abs_tol=1e-9)
    return in_cloud == on_wire


@asynccontextmanager
async def demo(adapters: Mapping[str, type[Adapter[Any]]]) -> AsyncIterator[Demo]:
    """Start everything and yield it running; stop everything at the end, the gateway as it stops in earnest."""
    async with AsyncExitStack() as stack:
        calls: list[JournalEntry] = []
        told = calls.append
        emulator = await stack.enter_async_context(Emulator(hardware_keys=[HARDWARE_KEY], on_call=lambda entry: told(entry)))
        host = await stack.enter_async_context(ModbusTcpHost(tcp := tcp_units()))
        line = await stack.enter_async_context(ModbusRtuBus(rtu := rtu_units(), baudrate=19200))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="xyte-gateway-demo-")))
        configuration = _configuration(emulator.entry_url, folder, host.port, line.port, adapters)
        started_at = monotonic()
        gateway = await stack.enter_async_context(build(configuration, adapters))
        units = {(HALL, unit.unit_id): unit for unit in tcp} | {(CELLAR, unit.unit_id): unit for unit in rtu}
        running = Demo(emulator, gateway, units, started_at, calls=calls)
        told = running.heard
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.run(stop))
            try:
                yield running
            finally:
                stop.set()


def _configuration(
    entry_url: str, folder: Path, tcp_port: int, serial_port: str, adapters: Mapping[str, type[Adapter[Any]]]
) -> Configuration:
    settings = Settings(
        gateway=GatewaySection(name="Demo gateway", mac="02:00:5e:10:00:01", sub_model=GATEWAY_SUB_MODEL),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr(HARDWARE_KEY), allow_plain_http=True, telemetry_every=TELEMETRY_EVERY
        ),
        store=StoreSection(path=folder / "gateway.sqlite3"),
        admission=AdmissionSection(policy=Policy.MATCHED),
        models={family: str(uuid5(_MODELS, family)) for family in FAMILIES},
    )
    modbus = {
        "type": "modbus",
        "hosts": [{"host": "127.0.0.1", "port": tcp_port, "name": HALL}],
        "lines": [{"port": serial_port, "name": CELLAR, "baudrate": 19200, "parity": "N"}],
        "units": "1-8",
        "timeout": 0.2,
        "devices": [{"unit": 3, "bus": CELLAR, "profile": "omron-e5cc"}],  # a controller that cannot say who it is
    }
    return Configuration(None, settings, (entry_from(modbus, adapters),))
