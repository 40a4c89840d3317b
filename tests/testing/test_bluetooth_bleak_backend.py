"""Test bleak's own classes with the same peripherals, behind the emulated BlueZ and behind the simulated backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak_retry_connector import BleakClientWithServiceCache, BleakConnectionError, establish_connection

from gateway.testing.bluetooth import (
    Characteristic,
    Descriptor,
    Peripheral,
    RadioEnvironment,
    Service,
    Write,
    att_error,
    dbus_errors,
    simulated_backend,
)
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip

PATIENCE_SECONDS = 30
"""More than a busy machine needs for anything here."""

TEMPERATURE, SETPOINT, RELAY, LOCKED = "2a6e", "fff1", "fff2", "fff3"


@dataclass
class Bed:
    """A thermostat among others, and bleak's classes for the backend at hand."""

    environment: RadioEnvironment
    thermostat: Peripheral
    backends: dict[str, object]
    bluez: EmulatedBlueZ | None = None
    heard: list[tuple[str, object]] = field(default_factory=list)

    async def settle(self) -> None:
        """Return once everything that was sent has arrived at bleak."""
        if self.bluez is not None:
            await self.bluez.settle()
            await asyncio.sleep(0.05)  # what the bus has delivered is read by bleak's task

    def scanner(self, **how) -> BleakScanner:
        note = how.pop("detection_callback", lambda device, said: self.heard.append((device.address, said)))
        return BleakScanner(note, **how, **self._backend("scanner"))

    def client(self, device, **how) -> BleakClient:
        return BleakClient(device, **{"timeout": PATIENCE_SECONDS, **how}, **self._backend("client"))

    async def device(self):
        device = await BleakScanner.find_device_by_address(self.thermostat.address, PATIENCE_SECONDS, **self._backend("scanner"))
        assert device is not None
        return device

    def _backend(self, kind: str) -> dict[str, object]:
        return {"backend": self.backends[kind]} if self.backends else {}

    @asynccontextmanager
    async def connected(self, **how) -> AsyncIterator[BleakClient]:
        async with self.client(await self.device(), **how) as client:
            yield client


@pytest.fixture
def thermostat() -> Peripheral:
    measured = Characteristic(TEMPERATURE, ["read", "notify"], b"\x34\x08", descriptors=[Descriptor("2901", b"room")])
    setpoint = Characteristic(SETPOINT, ["read", "write"], b"\x28")
    relay = Characteristic(RELAY, ["write-without-response"])
    locked = Characteristic(LOCKED, ["read", "write"], b"secret", needs_pairing=True)
    return Peripheral(
        "A4:C1:38:00:00:01",
        address_type="random",
        name="Thermostat",
        manufacturer_data={0x0499: b"\x05\x12"},
        service_data={"fcd2": b"\x40\x01\x61"},
        service_uuids=["181a"],
        tx_power=4,
        rssi=-55,
        services=[Service("181a", [measured]), Service("fff0", [setpoint, relay, locked])],
    )


@pytest.fixture(params=["bluez", "simulated"])
async def bed(request, monkeypatch, thermostat):
    environment = RadioEnvironment([thermostat, Peripheral("A4:C1:38:00:00:02", rssi=-80)])
    if request.param == "simulated":
        backend = simulated_backend(environment)
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
        yield Bed(environment, thermostat, {"scanner": backend.scanner, "client": backend.client})
        return
    dbus_daemon_or_skip()
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [Controller(environment)]) as bluez:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield Bed(environment, thermostat, {}, bluez)


async def until(said) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not said():  # noqa: ASYNC110 - what bleak knows has no event
            await asyncio.sleep(0.002)


async def test_a_scan_hears_names_data_services_power_and_strength(bed):
    async with bed.scanner() as scanner:
        await until(lambda: len({address for address, _ in bed.heard}) == 2)
        (device, said), (other, nothing) = (
            scanner.discovered_devices_and_advertisement_data[peripheral.address] for peripheral in bed.environment
        )
    assert (device.name, said.local_name, said.rssi, said.tx_power) == ("Thermostat", "Thermostat", -55, 4)
    assert said.manufacturer_data == {0x0499: b"\x05\x12"}
    assert said.service_data == {"0000fcd2-0000-1000-8000-00805f9b34fb": b"\x40\x01\x61"}
    assert said.service_uuids == ["0000181a-0000-1000-8000-00805f9b34fb"]
    assert (other.name, nothing.local_name, nothing.rssi, nothing.manufacturer_data) == (None, None, -80, {})


async def test_changes_are_received_in_order(bed):
    async with bed.scanner():
        await until(lambda: bed.heard)
        for n in range(20):
            bed.thermostat.advertise(rssi=-40 - n, manufacturer_data={0x0499: bytes([n])})
        await until(lambda: any(said.rssi == -59 for _, said in bed.heard))
    news = [(said.rssi, said.manufacturer_data[0x0499]) for _, said in bed.heard if said.rssi in range(-59, -39)]
    assert [pair for n, pair in enumerate(news) if pair not in news[:n] and pair[1] != b"\x05\x12"] == [
        (-40 - n, bytes([n])) for n in range(20)
    ]


async def test_payloads_that_change_with_time_are_advertised_and_notified(bed):
    count, values = iter(range(1_000_000)), []
    moving = Characteristic("2a6f", ["notify"], lambda seconds: b"%d" % next(count), notify_every=0.01)
    wave = Peripheral(
        "A4:C1:38:00:00:03",
        manufacturer_data={1: lambda seconds: b"%d" % next(count)},
        services=[Service("181a", [moving])],
        advertises_every=0.01,
    )
    bed.environment.add(wave)
    async with bed.scanner() as scanner:
        await until(lambda: len({said.manufacturer_data[1] for address, said in bed.heard if address == wave.address}) > 3)
        (device,) = (device for device in scanner.discovered_devices if device.address == wave.address)
    async with bed.client(device) as client:
        await client.start_notify("2a6f", lambda _, value: values.append(int(value)))
        await until(lambda: len(values) > 3)
    assert values == sorted(set(values))


async def test_a_scan_for_services_receives_only_devices_that_advertise_them(bed):
    async with bed.scanner(service_uuids=["0000181a-0000-1000-8000-00805f9b34fb"]):
        await until(lambda: len(bed.heard) > 3)
    assert {address for address, _ in bed.heard} == {bed.thermostat.address}


async def test_a_passive_scan_receives_what_fits_its_patterns_and_no_scan_response(bed):
    bed.thermostat.name_on_request = True
    async with bed.scanner(scanning_mode="passive", bluez={"or_patterns": [(0, 0x16, b"\xd2\xfc")]}):
        await until(lambda: bed.heard)
    assert {(address, said.local_name) for address, said in bed.heard} == {(bed.thermostat.address, None)}
    bed.heard.clear()
    async with bed.scanner():
        await until(lambda: any(said.local_name == "Thermostat" for _, said in bed.heard))


async def test_nothing_is_received_after_a_scan(bed):
    async with bed.scanner():
        await until(lambda: bed.heard)
    count = len(bed.heard)
    for _ in range(5):
        bed.thermostat.advertise()
    await bed.settle()
    assert len(bed.heard) == count


async def test_the_attributes_of_a_connected_device_stand_at_their_handles(bed):
    async with bed.connected() as client:
        assert bed.thermostat.is_connected
        tree = {
            (service.handle, service.uuid[4:8]): {
                (one.handle, one.uuid[4:8]): ([*one.properties], {(d.handle, d.uuid[4:8]) for d in one.descriptors})
                for one in service.characteristics
            }
            for service in client.services
        }
        sizes = {one.max_write_without_response_size for one in client.services.characteristics.values()}
    assert tree == {
        (1, "181a"): {(2, "2a6e"): (["read", "notify"], {(4, "2901"), (5, "2902")})},
        (6, "fff0"): {
            (7, "fff1"): (["read", "write"], set()),
            (9, "fff2"): (["write-without-response"], set()),
            (11, "fff3"): (["read", "write"], set()),
        },
    }
    assert sizes == {244}
    assert not bed.thermostat.is_connected


async def test_what_is_written_is_logged_and_read_back(bed):
    async with bed.connected() as client:
        assert await client.read_gatt_char(SETPOINT) == b"\x28"
        await client.write_gatt_char(SETPOINT, b"\x2a", response=True)
        assert await client.read_gatt_char(SETPOINT) == b"\x2a"
        await client.write_gatt_char(RELAY, b"on", response=False)
        (room,) = (one for one in client.services.descriptors.values() if one.uuid[4:8] == "2901")
        assert await client.read_gatt_descriptor(room.handle) == b"room"
        await client.write_gatt_descriptor(room.handle, b"cellar")
        assert await client.read_gatt_descriptor(room.handle) == b"cellar"
    assert [*bed.thermostat.characteristic(SETPOINT).writes] == [Write(b"\x2a", with_response=True)]
    assert [*bed.thermostat.characteristic(RELAY).writes] == [Write(b"on", with_response=False)]


async def test_notifications_come_in_order_while_they_are_wanted(bed):
    measured, heard = bed.thermostat.characteristic(TEMPERATURE), []
    async with bed.connected() as client:
        measured.notify(b"early")
        await client.start_notify(TEMPERATURE, lambda _, value: heard.append(bytes(value)))
        for n in range(300):
            measured.notify(bytes([n % 256, n // 256]))
        await until(lambda: len(heard) >= 300)
        await client.stop_notify(TEMPERATURE)
        measured.notify(b"late")
        assert await client.read_gatt_char(TEMPERATURE) == b"late"
    assert heard == [bytes([n % 256, n // 256]) for n in range(300)]


async def test_a_write_can_have_the_device_answer_by_a_notification(bed):
    measured, answers = bed.thermostat.characteristic(TEMPERATURE), asyncio.Queue()
    bed.thermostat.characteristic(SETPOINT).on_write = lambda write: measured.notify(b"got " + write.value)
    async with bed.connected() as client:
        await client.start_notify(TEMPERATURE, lambda _, value: answers.put_nowait(bytes(value)))
        await client.write_gatt_char(SETPOINT, b"this", response=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await answers.get() == b"got this"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (att_error(0x80), 0x80),
        (att_error(0x02), 0x02),
        (dbus_errors.NOT_AUTHORIZED, 0x08),
        (dbus_errors.NOT_SUPPORTED, 0x06),
        (dbus_errors.INVALID_LENGTH, 0x0D),
    ],
    ids=lambda value: getattr(value, "text", hex(value) if isinstance(value, int) else None),
)
async def test_an_error_of_the_attribute_protocol_keeps_its_code(bed, refusal, code):
    bed.thermostat.characteristic(SETPOINT).error_reply = refusal
    async with bed.connected() as client:
        with pytest.raises(BleakGATTProtocolError) as refused:
            await client.read_gatt_char(SETPOINT)
        assert refused.value.code == code
        assert bytes(await client.read_gatt_char(TEMPERATURE)) == b"\x34\x08"


async def test_what_a_characteristic_does_not_offer_is_refused(bed):
    async with bed.connected() as client:
        with pytest.raises(BleakGATTProtocolError) as unreadable:
            await client.read_gatt_char(RELAY)
        with pytest.raises(BleakGATTProtocolError) as unwritable:
            await client.write_gatt_char(TEMPERATURE, b"x", response=True)
        with pytest.raises(BleakError, match="NotSupported"):
            await client.start_notify(SETPOINT, lambda *_: None)
    assert (unreadable.value.code, unwritable.value.code) == (0x02, 0x03)


async def test_a_characteristic_that_needs_pairing_is_readable_after_pairing(bed):
    async with bed.connected() as client:
        await client.pair()
        assert await client.read_gatt_char(LOCKED) == b"secret"
        await client.pair()
    async with bed.connected() as client:
        assert await client.read_gatt_char(LOCKED) == b"secret"
        await client.unpair()


async def test_without_bluez_reading_what_needs_pairing_fails_at_once(bed):
    if bed.backends:
        async with bed.connected() as client:
            with pytest.raises(BleakDBusError, match="Not paired"):
                await client.read_gatt_char(LOCKED)


async def test_pairing_on_the_way_in_is_part_of_the_connection(bed):
    async with bed.connected(pair=True) as client:
        assert await client.read_gatt_char(LOCKED) == b"secret"


async def test_a_refused_pairing_closes_the_connection(bed):
    bed.thermostat.faults.refuses_pairing = True
    async with bed.connected() as client:
        with pytest.raises(BleakDBusError, match="AuthenticationFailed"):
            await client.pair()
        await until(lambda: not client.is_connected)


async def test_a_lost_connection_is_reported_and_ends_the_running_operation(bed):
    gone, client = asyncio.Event(), bed.client(await bed.device(), disconnected_callback=lambda _: gone.set())
    async with client:
        bed.thermostat.faults.lost_reads = 1
        with pytest.raises(BleakError, match="Unlikely Error"):
            await client.read_gatt_char(TEMPERATURE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await gone.wait()
        with pytest.raises(BleakError, match="Service Discovery has not been performed yet"):
            await client.read_gatt_char(TEMPERATURE)
        await client.connect()
        assert await client.read_gatt_char(TEMPERATURE) == b"\x34\x08"


async def test_a_silent_device_keeps_the_connection_open_and_answers_nothing(bed):
    async with bed.connected() as client:
        bed.thermostat.faults.is_silent = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.read_gatt_char(TEMPERATURE)
        assert client.is_connected
        bed.thermostat.drop_connection()
        await until(lambda: not client.is_connected)


async def test_a_request_to_a_busy_device_is_repeated(bed):
    async with bed.connected() as client:
        bed.thermostat.faults.busy_answers = 2
        assert await client.read_gatt_char(TEMPERATURE) == b"\x34\x08"
    assert bed.thermostat.faults.busy_answers == 0


async def test_a_busy_host_refuses_the_connection_once(bed):
    bed.thermostat.faults.busy_connects = 1
    device = await bed.device()
    with pytest.raises(BleakDBusError, match="InProgress"):
        await bed.client(device).connect()
    async with bed.client(device) as client:
        assert client.is_connected


async def test_connections_that_break_off_are_tried_again_by_bleak(bed):
    bed.thermostat.faults.aborted_connects = 3
    async with bed.connected() as client:
        assert await client.read_gatt_char(TEMPERATURE) == b"\x34\x08"
    assert (bed.thermostat.faults.aborted_connects, bed.thermostat.connections) == (0, 1)


async def test_a_connection_lost_during_service_discovery_fails(bed):
    bed.thermostat.faults.lost_discoveries = 1
    device = await bed.device()
    with pytest.raises(BleakError, match="failed to discover services"):
        await bed.client(device).connect()
    async with bed.client(device) as client:
        assert await client.read_gatt_char(TEMPERATURE) == b"\x34\x08"


async def test_a_failed_connection_reports_the_reason(bed):
    bed.thermostat.faults.connect_error = dbus_errors.failed("le-connection-refused")
    with pytest.raises(BleakDBusError, match="le-connection-refused"):
        await bed.client(await bed.device()).connect()


async def test_a_slow_connection_is_waited_for_as_long_as_allowed(bed):
    bed.thermostat.faults.connect_seconds = 0.1
    async with bed.connected() as client:
        assert client.is_connected
    device = await bed.device()
    bed.thermostat.faults.connect_seconds = 30
    with pytest.raises(TimeoutError):
        await bed.client(device, timeout=0.1).connect()
    bed.thermostat.faults.connect_seconds = 0
    async with bed.client(device) as client:
        assert client.is_connected


async def test_a_peripheral_out_of_range_cannot_be_reached_until_it_is_back(bed):
    device = await bed.device()
    bed.thermostat.go_out_of_range()
    with pytest.raises(TimeoutError):
        await bed.client(device, timeout=0.1).connect()
    bed.thermostat.come_back()
    async with bed.client(device) as client:
        assert client.is_connected


async def test_an_unknown_address_is_not_found(bed):
    with pytest.raises(BleakDeviceNotFoundError):
        await bed.client("A4:C1:38:99:99:99", timeout=0.2).connect()


async def test_the_retry_connector_gets_through_where_a_single_attempt_would_not(bed):
    device, faults = await bed.device(), bed.thermostat.faults
    faults.busy_connects = faults.aborted_connects = 1
    client = await establish_connection(
        BleakClientWithServiceCache, device, "thermostat", max_attempts=3, **bed._backend("client")
    )
    assert await client.read_gatt_char(TEMPERATURE) == b"\x34\x08"
    await client.disconnect()
    faults.connect_error = dbus_errors.failed("le-connection-refused")
    with pytest.raises(BleakConnectionError, match="le-connection-refused"):
        await establish_connection(BleakClientWithServiceCache, device, "thermostat", max_attempts=1, **bed._backend("client"))
