"""Test that the emulated BlueZ scans passively as the real one does: what it merges, what it reports, and what crashes it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest
from bleak import BleakScanner
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType as Kind
from bleak.exc import BleakError
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip

PATIENCE_SECONDS = 30
"""More than a busy machine needs for anything here."""

ADDRESS = "A4:C1:38:00:00:01"
PATH = "/org/bluez/hci0/dev_A4_C1_38_00_00_01"
MONITOR = "org.bluez.AdvertisementMonitor1"
ANY_FLAGS = [(0, 0x01, b"\x06")]


def flags(count):
    return [OrPattern(0, Kind.FLAGS, bytes([value])) for value in range(6, 6 + count)]


@pytest.fixture
def beacon() -> Peripheral:
    return Peripheral(ADDRESS, manufacturer_data={1: b"a"}, rssi=-60, advertises_every=None)


@pytest.fixture
def controller(beacon) -> Controller:
    return Controller(RadioEnvironment([beacon]))


@pytest.fixture
async def bluez(controller, monkeypatch):
    dbus_daemon_or_skip()
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [controller]) as bluez:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bluez


@pytest.fixture
async def client(bluez):
    """A client that registers a monitor and notes what bluetoothd tells it."""
    bus = await MessageBus(bus_address=bluez._bus_address).connect()
    notes = SimpleNamespace(calls=[], changes=[], removed=[])

    def note(message):
        if message.message_type is MessageType.METHOD_CALL and message.interface == MONITOR:
            notes.calls.append(message.member)
            return True
        if message.member == "PropertiesChanged" and message.body[0] == "org.bluez.Device1":
            notes.changes.append({name: value.value for name, value in message.body[1].items()})
        if message.member == "InterfacesRemoved":
            notes.removed.append(message.body[0])
        return False

    async def ask(path, interface, member, signature="", *body):
        reply = await bus.call(Message("org.bluez", path, interface, member, signature=signature, body=[*body]))
        return reply.error_name if reply.message_type is MessageType.ERROR else [*reply.body]

    async def monitor(patterns, path="/test/monitor"):
        await ask("/org/bluez/hci0", "org.bluez.AdvertisementMonitorManager1", "RegisterMonitor", "o", path)
        properties = {"Type": Variant("s", "or_patterns"), "Patterns": Variant("a(yyay)", [[*one] for one in patterns])}
        objects = "org.freedesktop.DBus.ObjectManager"
        await bus.send(Message.new_signal(path, objects, "InterfacesAdded", "oa{sa{sv}}", [path, {MONITOR: properties}]))

    bus.add_message_handler(note)
    match = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", signature="s")
    match.body = ["type='signal',sender='org.bluez'"]
    await bus.call(match)
    yield SimpleNamespace(ask=ask, monitor=monitor, notes=notes)
    bus.disconnect()
    await bus.wait_for_disconnect()


async def until(said) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not said():  # noqa: ASYNC110 - what another program is told has no event
            await asyncio.sleep(0.002)


async def monitoring(client, patterns=ANY_FLAGS):
    await client.monitor(patterns)
    await until(lambda: client.notes.calls == ["Activate"])
    client.notes.calls.clear()


async def test_seven_patterns_are_safe_and_eight_crash_bluetoothd_with_all_its_objects(bluez, controller):
    async with BleakScanner(scanning_mode="passive", bluez={"or_patterns": flags(7)}):
        await until(lambda: controller.is_scanning)
    assert bluez.is_running
    with suppress(BleakError):  # a reply may be lost with the daemon
        async with BleakScanner(scanning_mode="passive", bluez={"or_patterns": flags(8)}):
            assert not controller.is_scanning
    await until(lambda: not bluez.is_running)
    assert (bluez.crashes, controller.devices, controller.is_scanning) == (1, (), False)


async def test_a_crashed_bluetoothd_leaves_the_bus_and_can_be_started_again(bluez, client):
    await client.monitor(flags(8))
    await until(lambda: client.notes.calls == ["Release"])
    client.notes.calls.clear()
    await client.ask("/org/bluez/hci0", "org.bluez.AdvertisementMonitorManager1", "UnregisterMonitor", "o", "/test/monitor")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await client.ask("/", "org.freedesktop.DBus.Peer", "Ping") != "org.freedesktop.DBus.Error.ServiceUnknown":  # noqa: ASYNC110 - another program leaves the bus
            await asyncio.sleep(0.002)
    await bluez.start()
    await monitoring(client)


async def test_monitors_count_their_patterns_each_for_itself(bluez, client):
    for number in range(3):
        await client.monitor(flags(7)[number:] + flags(7)[:number], f"/test/{number}")
    await until(lambda: client.notes.calls == ["Activate"] * 3)
    assert bluez.is_running


async def test_each_advertisement_that_matches_is_reported_although_it_changes_nothing(client, beacon):
    await monitoring(client)
    for _ in range(4):
        beacon.advertise()
    await until(lambda: client.notes.calls == ["DeviceFound"] * 4)
    assert client.notes.changes == []


async def test_a_controller_that_matches_patterns_itself_reports_a_device_once(bluez, client, controller, beacon):
    await bluez.stop()
    controller.offloads_monitors = True
    await bluez.start()
    (features,) = await client.ask(
        "/org/bluez/hci0",
        "org.freedesktop.DBus.Properties",
        "Get",
        "ss",
        "org.bluez.AdvertisementMonitorManager1",
        "SupportedFeatures",
    )
    assert features.value == ["controller-patterns"]
    await monitoring(client)
    for data in (b"a", b"a", b"b"):
        beacon.manufacturer_data = {1: data}
    await until(lambda: client.notes.changes)
    assert client.notes.calls == ["DeviceFound"]


async def test_a_controller_that_matches_patterns_itself_reports_the_loss_of_a_device(bluez, client, controller, beacon):
    await bluez.stop()
    controller.offloads_monitors, controller.forgets_after_seconds = True, 0.2
    await bluez.start()
    await monitoring(client)
    beacon.advertise()
    await until(lambda: client.notes.calls == ["DeviceFound", "DeviceLost"])
    beacon.advertise()
    await until(lambda: client.notes.calls[2:] == ["DeviceFound", "DeviceLost"])


@pytest.mark.parametrize(("rssi", "is_reported"), [(-67, False), (-68, True), (-53, False), (-52, True)])
async def test_a_passive_scan_reports_a_signal_strength_past_a_threshold_only(client, beacon, rssi, is_reported):
    await monitoring(client)
    beacon.advertise()
    beacon.rssi = rssi
    beacon.manufacturer_data = {1: b"the end"}
    await until(lambda: any("ManufacturerData" in change for change in client.notes.changes))
    assert any("RSSI" in change for change in client.notes.changes) is is_reported


async def test_a_discovery_filter_makes_bluez_report_each_signal_strength(client, beacon):
    filters = {"Transport": Variant("s", "le")}
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "SetDiscoveryFilter", "a{sv}", filters)
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
    for _ in range(4):
        beacon.advertise()
    await until(lambda: [change for change in client.notes.changes if change == {"RSSI": -60}] == [{"RSSI": -60}] * 3)


async def test_duplicates_of_manufacturer_data_clear_no_service_data(client, beacon):
    filters = {"DuplicateData": Variant("b", True)}
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "SetDiscoveryFilter", "a{sv}", filters)
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
    beacon.advertise(service_data={"fcd2": b"s"}, manufacturer_data={})
    beacon.advertise(service_data={}, manufacturer_data={1: b"a"})
    beacon.advertise(service_data={}, manufacturer_data={2: b"b"})
    await until(lambda: len(client.notes.changes) >= 2)
    (known,) = await client.ask(PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.bluez.Device1")
    assert {key: data.value for key, data in known["ManufacturerData"].value.items()} == {2: b"b"}
    assert list(known["ServiceData"].value)


async def test_an_advertisement_without_flags_is_received_by_its_own_pattern_only(client, beacon, controller):
    await monitoring(client)
    beacon.advertise(flags=None)
    await client.monitor([(0, 0xFF, b"\x01\x00")], "/test/other")
    await until(lambda: client.notes.calls == ["Activate"])
    assert controller.devices == ()
    beacon.advertise()
    await until(lambda: client.notes.calls == ["Activate", "DeviceFound"])
    (known,) = await client.ask(PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.bluez.Device1")
    assert "AdvertisingFlags" not in known


async def test_a_discovery_without_a_filter_reports_discoverable_devices_only(client, beacon, controller):
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
    beacon.advertise(flags=None)
    beacon.advertise(flags=0x04)
    assert controller.devices == ()
    beacon.advertise(flags=0x06)
    assert controller.devices == (ADDRESS,)


async def test_a_device_that_is_received_no_longer_is_removed_after_the_timeout(client, beacon, controller):
    controller.forgets_after_seconds = 0.3
    await monitoring(client)
    beacon.advertise()
    await until(lambda: PATH in client.notes.removed)
    assert controller.devices == ()
    beacon.advertise()
    await until(lambda: client.notes.calls == ["DeviceFound"] * 2)


async def test_the_end_of_a_discovery_removes_devices_without_connections_and_withdraws_strengths(client, beacon, controller):
    battery = Service("180f", [Characteristic("2a19", ["read"], b"\x50")])
    controller.environment.add(sensor := Peripheral("A4:C1:38:00:00:02", services=[battery], advertises_every=None))
    await monitoring(client)
    filters = {"Transport": Variant("s", "le")}
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "SetDiscoveryFilter", "a{sv}", filters)
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
    beacon.advertise()
    sensor.advertise()
    await client.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StopDiscovery")
    await until(lambda: PATH in client.notes.removed)
    assert controller.devices == (sensor.address,)
    path = "/org/bluez/hci0/dev_A4_C1_38_00_00_02"
    (known,) = await client.ask(path, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.bluez.Device1")
    assert "RSSI" not in known
    assert controller.is_scanning, "the monitor goes on"


async def test_a_device_that_was_connected_to_is_kept(client, beacon, controller):
    controller.forgets_after_seconds = 0.2
    await monitoring(client)
    beacon.advertise()
    await until(lambda: controller.devices)
    await client.ask(PATH, "org.bluez.Device1", "Connect")
    await client.ask(PATH, "org.bluez.Device1", "Disconnect")
    await asyncio.sleep(0.4)
    assert controller.devices == (ADDRESS,)


@pytest.mark.parametrize(
    "pattern", [(0, 0x01, b""), (0, 0x00, b"\x06"), (0, 0x50, b"\x06"), (30, 0xFF, b"ab"), (0, 0xFF, bytes(32))]
)
async def test_a_monitor_with_an_invalid_pattern_is_released(client, pattern, controller):
    await client.monitor([pattern])
    await until(lambda: client.notes.calls == ["Release"])
    assert not controller.is_scanning


async def test_a_controller_without_room_for_a_monitor_releases_it(client, controller):
    controller.most_monitors = 1
    await client.monitor(ANY_FLAGS, "/test/first")
    await client.monitor(flags(2), "/test/second")
    await until(lambda: client.notes.calls == ["Activate", "Release"])


async def test_some_versions_match_flags_only(client, beacon, controller):
    controller.matches_only_flags = True
    await monitoring(client, [(0, 0xFF, b"\x01\x00")])
    beacon.advertise()
    assert controller.devices == ()


async def test_some_versions_crash_at_a_long_advertisement_during_a_passive_scan(bluez, client, beacon, controller):
    controller.dies_of_long_advertisements = True
    beacon.advertise(manufacturer_data={1: bytes(40)})
    await monitoring(client)
    assert bluez.is_running
    beacon.advertise()
    await until(lambda: not bluez.is_running)
