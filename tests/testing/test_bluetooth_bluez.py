"""Test bleak on the emulated BlueZ: restarts, adapters that come and go, passive scans, many devices."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import asynccontextmanager
from unittest import SkipTest

import pytest
from bleak import BleakClient, BleakScanner
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, dbus_errors
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import DaemonMissing, PrivateBus, dbus_daemon_or_skip

PATIENCE_SECONDS = 30
"""More than a busy machine needs for anything here."""

EVERYBODY = [OrPattern(0, AdvertisementDataType.FLAGS, b"\x06")]


@pytest.fixture
def beacon() -> Peripheral:
    return Peripheral("A4:C1:38:00:00:01", name="Beacon", manufacturer_data={1: b"a"}, advertises_every=0.02)


@pytest.fixture
def sensor() -> Peripheral:
    level = Characteristic("2a19", ["read", "notify"], b"\x50")
    return Peripheral("A4:C1:38:00:00:02", name="Sensor", services=[Service("180f", [level])], advertises_every=0.02)


@pytest.fixture
def controller(beacon, sensor) -> Controller:
    return Controller(RadioEnvironment([beacon, sensor]))


@pytest.fixture
async def bus(monkeypatch):
    dbus_daemon_or_skip()
    async with PrivateBus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bus


@pytest.fixture
async def bluez(bus, controller):
    async with EmulatedBlueZ(bus.address, [controller]) as bluez:
        yield bluez


@pytest.fixture
def heard() -> list:
    return []


@pytest.fixture
def note(heard):
    return lambda device, said: heard.append((device.address, said))


async def until(said) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not said():  # noqa: ASYNC110 - what bleak knows has no event
            await asyncio.sleep(0.002)


async def device_of(peripheral: Peripheral):
    device = await BleakScanner.find_device_by_address(peripheral.address, PATIENCE_SECONDS)
    assert device is not None
    return device


@asynccontextmanager
async def asking(bus: PrivateBus):
    """A client of our own, for what bleak does not ask."""
    connection = await MessageBus(bus_address=bus.address).connect()

    async def ask(path, interface, member, signature="", *body):
        reply = await connection.call(
            Message("org.bluez", path, interface, member, signature=signature, body=[*body]),
        )
        return reply.error_name if reply.message_type is MessageType.ERROR else [*reply.body]

    try:
        yield ask
    finally:
        connection.disconnect()
        await connection.wait_for_disconnect()


def test_without_the_daemon_a_laptop_skips_and_a_build_fails(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(SkipTest, match="dbus-daemon is missing"):
        dbus_daemon_or_skip()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(DaemonMissing, match="dbus-daemon is missing"):
        dbus_daemon_or_skip()


async def test_without_dbus_daemon_the_error_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DaemonMissing, match="apt-get install"):
        await PrivateBus().__aenter__()


async def test_a_passive_scan_is_refused_where_bluetoothd_has_none(bluez, controller):
    await bluez.unplug(controller)
    controller.has_passive_scanning = False
    await bluez.plug_in(controller)
    with pytest.raises(BleakError, match="--experimental"):
        async with BleakScanner(scanning_mode="passive", bluez={"or_patterns": EVERYBODY}):
            pass


async def test_a_passive_scan_does_not_discover_and_ends_with_its_client(bluez, controller, heard, note):
    async with BleakScanner(note, scanning_mode="passive", bluez={"or_patterns": EVERYBODY}):
        await until(lambda: heard)
        assert (controller.is_scanning, controller.is_discovering) == (True, False)
    assert not controller.is_scanning


async def test_manufacturer_data_of_several_advertisements_stand_side_by_side_as_in_bluez(bluez, beacon, heard, note):
    async with BleakScanner(note):
        await until(lambda: heard)
        beacon.manufacturer_data = {2: b"b"}
        await until(lambda: heard[-1][1].manufacturer_data == {1: b"a", 2: b"b"})


async def test_a_client_that_requests_duplicates_receives_each_advertisement_unmerged(bluez, beacon, heard, note):
    async with BleakScanner(note, bluez={"filters": {"DuplicateData": True}}):
        await until(lambda: heard)
        beacon.manufacturer_data = {2: b"b"}
        await until(lambda: (beacon.address, {2: b"b"}) in [(address, said.manufacturer_data) for address, said in heard])


async def test_a_discovery_hears_only_what_its_filters_let_through(bluez, beacon, heard, note):
    beacon.rssi = -90
    async with BleakScanner(note, bluez={"filters": {"RSSI": -70}}):
        await until(lambda: len(heard) > 3)
    async with BleakScanner(note, bluez={"filters": {"Pattern": "Sens"}}):
        await until(lambda: len(heard) > 6)
    assert beacon.address not in {address for address, _ in heard}


async def test_the_strength_is_withdrawn_when_a_scan_ends(bluez, bus, controller, sensor):
    await device_of(sensor)
    path = f"{controller.path}/dev_A4_C1_38_00_00_02"
    async with asking(bus) as ask:
        (known,) = await ask(path, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.bluez.Device1")
    assert "RSSI" not in known
    assert known["Name"].value == "Sensor"


@pytest.mark.parametrize(
    ("end", "told"), [("stop", "No Bluetooth adapters found"), ("crash", "ServiceUnknown")], ids=["stopped", "crashed"]
)
async def test_a_scan_works_again_after_bluetoothd_was_restarted(bluez, controller, end, told, heard, note):
    lost = BleakScanner(note)
    await lost.start()
    await until(lambda: heard)
    await getattr(bluez, end)()
    count = len(heard)
    with pytest.raises(BleakError, match=told):
        await BleakScanner().start()
    await bluez.start()
    await bluez.settle()
    assert not controller.is_scanning
    assert len(heard) - count <= 2  # the objects' end and beginning, no advertisement
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await lost.stop()
    async with BleakScanner(note):
        await until(lambda: len(heard) > count + 5)


async def test_a_connection_is_lost_with_bluetoothd(bluez, sensor):
    async with BleakClient(await device_of(sensor)) as client:
        await bluez.stop()
        await until(lambda: not client.is_connected)
        assert not sensor.is_connected
    await bluez.start()
    async with BleakClient(await device_of(sensor)) as client:
        assert await client.read_gatt_char("2a19") == b"\x50"


async def test_a_read_fails_when_bluetoothd_crashes(bluez, controller, sensor):
    async with BleakClient(await device_of(sensor)) as client:
        sensor.faults.is_silent = True
        reading = asyncio.create_task(client.read_gatt_char("2a19"))
        await until(lambda: any(device._gatt._running for device in controller._devices.values()))
        await bluez.crash()
        with pytest.raises(BleakDBusError, match="NoReply"):
            await reading
        await bluez.start()
        with pytest.raises(BleakDBusError, match="UnknownObject"):
            await client.disconnect()


async def test_an_unplugged_adapter_loses_its_connections_and_comes_back(bluez, controller, sensor):
    async with BleakClient(await device_of(sensor)) as client:
        await bluez.unplug(controller)
        await until(lambda: not client.is_connected)
        with pytest.raises(BleakBluetoothNotAvailableError) as gone:
            await BleakScanner().start()
        assert gone.value.reason is BleakBluetoothNotAvailableReason.NO_BLUETOOTH
    await bluez.plug_in(controller)
    async with BleakClient(await device_of(sensor)) as client:
        assert client.is_connected


async def test_an_adapter_that_is_switched_off_refuses_until_it_is_on_again(bluez, controller, sensor):
    async with BleakClient(await device_of(sensor)) as client:
        controller.power_off()
        await until(lambda: not client.is_connected)
    with pytest.raises(BleakBluetoothNotAvailableError) as off:
        await BleakScanner().start()
    assert off.value.reason is BleakBluetoothNotAvailableReason.POWERED_OFF
    with pytest.raises(BleakDBusError, match="NotReady"):
        await BleakScanner(bluez={"adapter": "hci0"}).start()
    controller.power_on()
    await bluez.settle()
    assert await device_of(sensor)


async def test_any_client_of_the_bus_can_switch_an_adapter(bluez, bus, controller):
    properties = "org.freedesktop.DBus.Properties"
    async with asking(bus) as ask:
        for is_on in (False, True):
            await ask(controller.path, properties, "Set", "ssv", "org.bluez.Adapter1", "Powered", Variant("b", is_on))
            assert controller.is_powered is is_on
            (told,) = await ask(controller.path, properties, "Get", "ss", "org.bluez.Adapter1", "Powered")
            assert told.value is is_on


@pytest.mark.parametrize(
    ("refusal", "name"),
    [(dbus_errors.IN_PROGRESS, "InProgress"), (dbus_errors.NOT_READY, "NotReady"), (dbus_errors.ACCESS_DENIED, "AccessDenied")],
    ids=["in progress", "not ready", "access denied"],
)
async def test_a_failed_discovery_reports_the_reason(bluez, controller, sensor, refusal, name):
    controller.discovery_error = refusal
    with pytest.raises(BleakDBusError, match=name):
        await BleakScanner().start()
    controller.discovery_error = None
    assert await device_of(sensor)


async def test_a_deaf_adapter_reports_a_scan_and_receives_nothing(bluez, controller, heard, note):
    async with BleakScanner(note):
        await until(lambda: heard)
        controller.is_deaf = True
        await bluez.settle()
        await asyncio.sleep(0.02)  # what the bus has delivered is read by the client's task
        count, sent = len(heard), controller.environment.advertisements
        await until(lambda: controller.environment.advertisements > sent + 5)
        await bluez.settle()
        assert (len(heard), controller.is_discovering) == (count, True)
        controller.is_deaf = False
        await until(lambda: len(heard) > count)


async def test_each_adapter_receives_only_its_own_environment(bus, beacon, sensor, heard, note):
    both = [
        Controller(RadioEnvironment([beacon])),
        Controller(RadioEnvironment([sensor]), name="hci1", address="00:1A:7D:DA:71:14"),
    ]
    async with EmulatedBlueZ(bus.address, both):
        for adapter, peripheral in (("hci0", beacon), ("hci1", sensor)):
            heard.clear()
            async with BleakScanner(note, bluez={"adapter": adapter}):
                await until(lambda: len(heard) > 5)
            assert {address for address, _ in heard} == {peripheral.address}


async def test_an_adapter_has_so_many_connections_and_no_more(bluez, controller, sensor):
    controller.slots = 1
    battery = Service("180f", [Characteristic("2a19", ["read"], b"\x50")])
    controller.environment.add(other := Peripheral("A4:C1:38:00:00:03", services=[battery], advertises_every=0.02))
    first, second = await device_of(sensor), await device_of(other)
    async with BleakClient(first):
        with pytest.raises(BleakDBusError, match="concurrent-connection-limit"):
            await BleakClient(second).connect()
    async with BleakClient(second) as client:
        assert client.is_connected


async def test_a_forgotten_device_has_to_be_discovered_again(bluez, controller, sensor):
    device = await device_of(sensor)
    controller.forget(sensor)
    assert sensor.address not in controller.devices
    with pytest.raises(BleakError, match="not found"):
        await BleakClient(device).connect()
    async with BleakClient(await device_of(sensor)) as client:
        assert client.is_connected


async def test_what_bluez_does_not_have_is_refused_by_its_name(bluez, bus, controller):
    async with asking(bus) as ask:
        assert await ask("/org/bluez/hci9", "org.bluez.Adapter1", "StartDiscovery") == "org.freedesktop.DBus.Error.UnknownObject"
        assert await ask(controller.path, "org.bluez.Adapter1", "Dance") == "org.freedesktop.DBus.Error.UnknownMethod"
        assert await ask(controller.path, "org.bluez.Adapter1", "StopDiscovery") == "org.bluez.Error.Failed"
        removed = await ask(controller.path, "org.bluez.Adapter1", "RemoveDevice", "o", f"{controller.path}/dev_00")
        assert removed == "org.bluez.Error.DoesNotExist"
        filtered = await ask(controller.path, "org.bluez.Adapter1", "SetDiscoveryFilter", "a{sv}", {"Mood": Variant("s", "x")})
        assert filtered == "org.bluez.Error.InvalidArguments"


async def test_properties_can_be_read_and_only_some_can_be_set(bluez, bus, controller):
    interface, properties = "org.bluez.Adapter1", "org.freedesktop.DBus.Properties"
    async with asking(bus) as ask:
        (known,) = await ask(controller.path, properties, "GetAll", "s", interface)
        assert known["Roles"].value == ["central", "peripheral"]
        missing = await ask(controller.path, properties, "Get", "ss", interface, "Mood")
        assert missing == "org.freedesktop.DBus.Error.UnknownProperty"
        fixed = await ask(controller.path, properties, "Set", "ssv", interface, "Address", Variant("s", "x"))
        assert fixed == "org.freedesktop.DBus.Error.PropertyReadOnly"
        await ask(controller.path, properties, "Set", "ssv", interface, "Alias", Variant("s", "attic"))
        (alias,) = await ask(controller.path, properties, "Get", "ss", interface, "Alias")
        assert alias.value == "attic"


async def test_another_device_with_an_address_that_is_known_is_another_device(bluez, controller, sensor):
    async with BleakClient(await device_of(sensor)) as client:
        controller.environment.remove(sensor)
        await until(lambda: not client.is_connected)
    twin = Characteristic("2a19", value=b"\x07")
    controller.environment.add(Peripheral(sensor.address, services=[Service("180f", [twin])], advertises_every=0.02))
    async with BleakClient(await device_of(sensor)) as client:
        assert await client.read_gatt_char("2a19") == b"\x07"


async def test_the_discovery_of_a_client_ends_when_it_leaves_the_bus(bluez, bus, controller):
    async with asking(bus) as ask:
        assert await ask(controller.path, "org.bluez.Adapter1", "StartDiscovery") == []
        assert await ask(controller.path, "org.bluez.Adapter1", "StartDiscovery") == "org.bluez.Error.InProgress"
        assert controller.is_discovering
    await until(lambda: not controller.is_discovering)


async def test_a_bus_that_ends_first_takes_nothing_along_that_has_to_be_waited_for(controller, sensor, heard, note, monkeypatch):
    dbus_daemon_or_skip()
    async with PrivateBus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        bluez = EmulatedBlueZ(bus.address, [controller])
        await bluez.start()
        scanner = BleakScanner(note)
        await scanner.start()
        await until(lambda: heard)
    count = len(heard)
    sensor.rssi = -33
    async with asyncio.timeout(PATIENCE_SECONDS):
        await bluez.settle()
        await bluez.stop()
    assert (len(heard), bluez.is_running, controller.is_scanning) == (count, False, False)


async def test_a_second_bluetoothd_does_not_get_the_name(bluez, bus):
    second = EmulatedBlueZ(bus.address, [])
    with pytest.raises(RuntimeError, match="another client owns"):
        await second.start()
    with pytest.raises(RuntimeError, match="is running already"):
        await bluez.start()
    assert (second.is_running, bluez.is_running) == (False, True)


async def test_a_thousand_advertisements_of_two_hundred_devices_are_all_received(bus):
    crowd = [Peripheral(f"A4:C1:38:00:00:{n:02X}", name=f"n{n}", advertises_every=None) for n in range(200)]
    environment = RadioEnvironment(crowd)
    controller, heard = Controller(environment), []
    async with (
        EmulatedBlueZ(bus.address, [controller]),
        BleakScanner(lambda device, said: heard.append((device.address, said.rssi))),
    ):
        advertising = asyncio.create_task(environment.advertise_in_turn(2000))
        await until(lambda: environment.advertisements >= 1000)
        advertising.cancel()
        await until(lambda: len(heard) == environment.advertisements)
    assert controller.missed == 0
    assert {address for address, _ in heard} == {one.address for one in crowd}
    assert len({rssi for _, rssi in heard}) > 3


async def test_a_burst_larger_than_the_socket_buffer_arrives_completely(bus):
    crowd = [Peripheral(f"A4:C1:38:00:{n // 256:02X}:{n % 256:02X}", advertises_every=None) for n in range(500)]
    environment, heard = RadioEnvironment(crowd), []
    async with EmulatedBlueZ(bus.address, [Controller(environment)]), BleakScanner(lambda device, said: heard.append(said.rssi)):
        for rssi in (-50, -51, -52):
            for peripheral in crowd:
                peripheral.rssi = rssi
        await until(lambda: len(heard) == 1500)
    assert heard == [-50] * 500 + [-51] * 500 + [-52] * 500


async def test_the_memory_of_the_emulation_does_not_grow_with_advertisements(bus):
    crowd = [Peripheral(f"A4:C1:38:00:00:{n:02X}", manufacturer_data={1: b"a"}, advertises_every=None) for n in range(50)]
    environment = RadioEnvironment(crowd)

    async def say(times: int) -> int:
        for n in range(times):
            for peripheral in crowd:
                peripheral.advertise(rssi=-40 - n % 50, manufacturer_data={1: bytes([n % 256])})
            await bluez.settle()
        gc.collect()
        return sum(stat.size for stat in tracemalloc.take_snapshot().filter_traces(ours).statistics("filename"))

    ours = [tracemalloc.Filter(inclusive=True, filename_pattern="*/gateway/testing/bluetooth/*")]
    async with EmulatedBlueZ(bus.address, [Controller(environment)]) as bluez, asking(bus) as ask:
        await ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
        tracemalloc.start()
        try:
            before = await say(20)
            after = await say(40)
        finally:
            tracemalloc.stop()
    assert environment.advertisements == 3000
    assert after - before < 8_000
