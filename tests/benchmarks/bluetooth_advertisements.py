"""Measure CPU time and memory for 500 advertisements a second from 200 devices, against a bare bleak callback.

The gateway decodes, stores and uploads them.

Four processes: an emulated bluetoothd on a private D-Bus, the emulated cloud, and, one after the other, bleak's own BlueZ backend
with a callback that only counts, and the whole gateway on the same backend. Only the CPU time of the last two is compared.

`BLUETOOTH_SECONDS=600 make bench ARGS="-k bluetooth_adv"` runs for ten minutes to see whether memory grows.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import struct
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from comparison import Comparison
from modbus_points import HARDWARE_KEY, cpu_seconds, measured, resident_megabytes, serve_cloud
from pydantic import SecretStr
from simulated_host import serving

from adapters.ble import BleAdapter
from adapters.ble.advertisements.advertisement import Advertisement
from gateway.adapter import AdapterSettings
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.runtime.builder import build
from gateway.testing.bluetooth import AdvertisedData, Peripheral, RadioEnvironment
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus

PER_SECOND = 500
DEVICES = 200
SENSORS = 120
"""Of those, a third each Ruuvi, BTHome and Govee."""
BEACONS = 20
MOST_BASELINES = 5.0
SETTLE_SECONDS = 5.0
SPAN_SECONDS = 30.0
"""The default telemetry interval: one upload of everything falls into it."""
WARM_SECONDS = 60.0
LISTEN_SECONDS = float(os.environ.get("BLUETOOTH_SECONDS", "90"))
MOST_GROWTH = 1.03
NEW_PHONE_SECONDS = 5.0
"""The interval at which one phone changes its address: sixty phones change theirs every five minutes."""
BTHOME = "fcd2"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of receiving advertisements, for one process."""

    microseconds: float
    """CPU time per advertisement."""
    received_per_second: float
    warm_megabytes: float = 0.0
    megabytes: float = 0.0
    """Resident, after a minute and at the end."""


def compare() -> Iterator[Comparison]:
    """Measure the bare callback and the gateway for `SPAN_SECONDS` each; then see whether the gateway's memory grows."""
    with serving(serve_bluetoothd) as bus_address, serving(serve_cloud) as entry_url:
        baseline: Cost = measured(partial(bare_callback, bus_address))
        ours: Cost = measured(partial(whole_gateway, bus_address, entry_url))
    yield Comparison(
        what=f"{ours.received_per_second:.0f} advertisements/s from {DEVICES} devices, decoded, stored and uploaded",
        unit="us of CPU each",
        figure=ours.microseconds,
        baseline=baseline.microseconds,
        baseline_is=f"a bleak callback that only counts, {baseline.received_per_second:.0f}/s",
        more_is_better=False,
        goal=f"at most {MOST_BASELINES:g} baselines",
        holds=ours.microseconds <= MOST_BASELINES * baseline.microseconds,
    )
    yield Comparison(
        what=f"memory after {LISTEN_SECONDS:.0f} s of it",
        unit="MB",
        figure=ours.megabytes,
        baseline=ours.warm_megabytes,
        baseline_is=f"after {WARM_SECONDS:.0f} s",
        more_is_better=False,
        goal=f"at most {MOST_GROWTH:g} baselines",
        holds=ours.megabytes <= MOST_GROWTH * ours.warm_megabytes,
    )


# radio environment ---------------------------------------------------------------------------------------------------------


async def serve_bluetoothd(result: Connection) -> None:
    """Run an emulated bluetoothd with advertising devices, until this process is terminated."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)  # the bus is a process of its own, to be ended
    devices = SimulatedDevices()
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [controller := Controller(devices.environment)]):
        result.send(bus.address)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(devices.environment.advertise_in_turn(PER_SECOND, vary=devices.next_advertisement)),
                group.create_task(devices.change_phones(controller)),
            ]
            await stopped.wait()
            for task in tasks:
                task.cancel()


class SimulatedDevices:
    """Sensors with changing values, beacons with constant data, and unknown phones."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._sensors: dict[str, Sensor] = {}
        self._phones = [self._phone(number) for number in range(DEVICES - SENSORS - BEACONS)]
        self._numbers = count(len(self._phones))
        self.environment = RadioEnvironment([*map(self._sensor, range(SENSORS)), *map(beacon, range(BEACONS)), *self._phones])

    def next_advertisement(self, peripheral: Peripheral, _: int) -> AdvertisedData:
        """Return the changes of a device: its signal strength, and the values of a sensor."""
        sensor = self._sensors.get(peripheral.address)
        data = sensor.next_advertisement() if sensor is not None else AdvertisedData()
        data["rssi"] = self._random.randint(-90, -50)
        return data

    async def change_phones(self, controller: Controller) -> None:
        """Change the address of one phone after the other; BlueZ forgets the old one."""
        for number in self._numbers:
            await asyncio.sleep(NEW_PHONE_SECONDS)
            old = self._phones.pop(0)
            self.environment.remove(old)
            controller.forget(old)
            self._phones.append(new := self._phone(number))
            self.environment.add(new)

    def _sensor(self, number: int) -> Peripheral:
        sensor = (Ruuvi, BTHome, Govee)[number % 3](number, self._random)
        self._sensors[sensor.address] = sensor
        return Peripheral(
            sensor.address, address_type=sensor.address_type, name=sensor.name, service_uuids=sensor.service_uuids,
            advertises_every=None,
        )  # fmt: skip

    def _phone(self, number: int) -> Peripheral:
        data = {0x004C: bytes([0x10, 0x05, *self._random.randbytes(5)])}
        address = f"4A:00:00:{number >> 16:02X}:{number >> 8 & 0xFF:02X}:{number & 0xFF:02X}"
        return Peripheral(address, address_type="random", manufacturer_data=data, advertises_every=None)


class Sensor:
    """A climate sensor with changing values; its advertisements are numbered."""

    address_type = "public"
    service_uuids: Sequence[str] = ()
    name: str | None = None

    def __init__(self, number: int, generator: random.Random) -> None:
        self.number = number
        self.address = f"A4:C1:38:00:{number >> 8:02X}:{number & 0xFF:02X}"
        self._random = generator
        self._sent = 0
        self._temperature = generator.uniform(-20, 30)
        self._humidity = generator.uniform(30, 80)

    def next_advertisement(self) -> AdvertisedData:
        """Return its next advertisement."""
        self._sent = (self._sent + 1) & 0xFFFF
        self._temperature += self._random.uniform(-0.05, 0.05)
        self._humidity = min(95.0, max(5.0, self._humidity + self._random.uniform(-0.2, 0.2)))
        return self._data()

    def _data(self) -> AdvertisedData:
        raise NotImplementedError


class Ruuvi(Sensor):
    """Data format 5 (Ruuvi sensor protocols): acceleration and a counter change each time."""

    address_type = "random"

    def __init__(self, number: int, generator: random.Random) -> None:
        super().__init__(number, generator)
        self.address = f"C8:25:2D:00:{number >> 8:02X}:{number & 0xFF:02X}"

    def _data(self) -> AdvertisedData:
        noise = [self._random.randint(-9, 9) for _ in range(3)]
        data = struct.pack(
            ">BhHHhhhHBH6s", 5, round(self._temperature / 0.005), round(self._humidity / 0.0025), 50000 + noise[0],
            noise[0], noise[1], 1000 + noise[2], (1377 << 5) | 22, 66, self._sent, bytes.fromhex(self.address.replace(":", "")),
        )  # fmt: skip
        return AdvertisedData(manufacturer_data={0x0499: data})


class BTHome(Sensor):
    """BTHome version 2: packet number, battery, temperature, humidity."""

    def _data(self) -> AdvertisedData:
        values = (0x00, self._sent & 0xFF, 0x01, 97, 0x02, round(100 * self._temperature), 0x03, round(100 * self._humidity))
        return AdvertisedData(service_data={BTHOME: b"\x40" + struct.pack("<BBBBBhBH", *values)})


class Govee(Sensor):
    """A Govee H5075: tenths of a degree and of a percent in one number, the highest bit for below zero."""

    service_uuids = ("ec88",)

    def __init__(self, number: int, generator: random.Random) -> None:
        super().__init__(number, generator)
        self.name = f"GVH5075_{number:04X}"

    def _data(self) -> AdvertisedData:
        packed = round(abs(self._temperature) * 10) * 1000 + round(self._humidity * 10)
        packed |= 0x800000 if self._temperature < 0 else 0
        return AdvertisedData(manufacturer_data={0xEC88: bytes([0, *packed.to_bytes(3, "big"), 100, 0])})


def beacon(number: int) -> Peripheral:
    """Return an iBeacon."""
    data = b"\x02\x15" + bytes(range(16)) + struct.pack(">HHb", 1, number, -59)
    return Peripheral(
        f"D0:F0:18:00:00:{number:02X}", address_type="random", manufacturer_data={0x004C: data}, advertises_every=None
    )


# receivers ------------------------------------------------------------------------------------------------------------


async def bare_callback(bus_address: str, result: Connection) -> None:
    """Count the advertisements that bleak reports, with the gateway's scanner settings."""
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus_address
    received = 0

    def note(_device: BLEDevice, _data: AdvertisementData) -> None:
        nonlocal received
        received += 1

    async with BleakScanner(note, bluez={"filters": {"DuplicateData": True}}):
        await asyncio.sleep(SETTLE_SECONDS)
        result.send(await measure_cost(lambda: received))


async def whole_gateway(bus_address: str, entry_url: str, result: Connection) -> None:
    """Receive, store and upload as in production."""
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus_address
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with listening(Path(folder), entry_url) as calls:
            before = calls["Send Child Telemetries"]
            cost = await measure_cost(lambda: CountingBle.received)
            if calls["Send Child Telemetries"] == before:
                raise RuntimeError("nothing was uploaded in the meantime")
            await asyncio.sleep(started + WARM_SECONDS - time.monotonic())
            warm_megabytes = resident_megabytes()
            await asyncio.sleep(started + LISTEN_SECONDS - time.monotonic())
            result.send(Cost(cost.microseconds, cost.received_per_second, warm_megabytes, resident_megabytes()))


class CountingBle(BleAdapter):
    """The adapter with a counter of advertisements."""

    received = 0

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        CountingBle.received += 1
        super()._on_advertisement(advertisement)


@asynccontextmanager
async def listening(folder: Path, entry_url: str) -> AsyncIterator[Counter[str]]:
    """Run a gateway with a Bluetooth controller until it has settled; yield the number of accepted calls of the cloud."""
    calls = Counter[str]()

    def note(call: str, status: int | None, _seconds: float) -> None:
        calls[call] += status == 201

    stop = asyncio.Event()
    adapters = {"ble": CountingBle}
    configuration = configured(folder, entry_url, (entry_from({"type": "ble"}, adapters),))
    async with build(configuration, adapters, on_call=note) as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.run(stop))
        children = gateway.state.registry.children
        while sum(record.device_id is not None for record in children.values()) < SENSORS:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_SECONDS)
        yield calls
        stop.set()


def configured(folder: Path, entry_url: str, entries: Sequence[AdapterSettings]) -> Configuration:
    """Return the configuration of a gateway with these entries and the default intervals."""
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr(HARDWARE_KEY), allow_plain_http=True, registrations_per_minute=10_000
        ),
        store=StoreSection(path=folder / "gateway.sqlite3"),
        status=StatusSection(port=0),
        models={"*": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )
    return Configuration(None, settings, tuple(entries))


async def measure_cost(received: Callable[[], int]) -> Cost:
    """Return the cost of `SPAN_SECONDS` of this process, per advertisement received in them."""
    started, cpu_started, received_before = time.monotonic(), cpu_seconds(), received()
    await asyncio.sleep(SPAN_SECONDS)
    cpu, seconds, more = cpu_seconds() - cpu_started, time.monotonic() - started, received() - received_before
    return Cost(1e6 * cpu / more, more / seconds)
