"""Test passive scanning of the adapter over a private D-Bus; only bluetoothd is emulated, and it behaves as the real one does."""

import asyncio
import logging
from contextlib import suppress
from types import SimpleNamespace

import pytest
from bleak import BleakScanner
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType as Kind
from bleak.exc import BleakError

from adapters.ble import BleAdapter
from adapters.ble.radio import passive_devices as passive_devices_module
from adapters.ble.radio import passive_scan as passive_scan_module
from adapters.ble.radio import radio as radio_module
from adapters.ble.radio.monitor_patterns import USUAL_FLAGS
from adapters.ble.radio.open_errors import BluetoothUnusable, OpenError
from adapters.ble.radio.radio import Radio
from gateway.adapter import BusUnavailable, ChildDevice
from gateway.testing.bluetooth.gatt import Characteristic, Service
from gateway.testing.bluetooth.peripheral import Peripheral

PATIENCE_SECONDS = 30
"""More than a busy machine needs for anything here."""

TP357 = "AA:BB:CC:DD:EE:01"
RUUVI = "DE:AD:7B:3F:EF:AF"
RUUVI_FORMAT_5 = bytes.fromhex("0505a060a0c89afd34028cff006376726976dead7b3fefaf")


def tp357(celsius, **rest):
    """A ThermoPro TP357 at 29 %, which writes its temperature into the company id, too (thermopro-ble, tests/test_parser.py)."""
    return Peripheral(TP357, name="TP357 (2142)", manufacturer_data=tp357_data(celsius), advertises_every=0.05, **rest)


def tp357_data(celsius):
    low, high = round(celsius * 10).to_bytes(2, "little", signed=True)
    return {0xC2 | low << 8: bytes([high, 29, 0x02, 0x2C])}


def ruuvi(every=0.05):
    return Peripheral(RUUVI, manufacturer_data={0x0499: RUUVI_FORMAT_5}, advertises_every=every, address_type="random")


class Ear:
    """An uplink that remembers."""

    def __init__(self):
        self.met, self.values, self.counts = [], {}, {}

    def found(self, found):
        self.met.append(found)

    def heard(self, readings):
        for reading in readings:
            values = self.values.setdefault(reading.child, {})
            values[reading.metric.name] = reading.value
            self.counts[reading.child, reading.metric.name] = self.counts.get((reading.child, reading.metric.name), 0) + 1


def adapter_with(**settings):
    said = {"type": "ble", "name": "radio", "scan_time": 0.4, "scanning": "passive", **settings}
    return BleAdapter(BleAdapter.settings_model.model_validate(said))


@pytest.fixture
async def listening(bluez, monkeypatch):
    """An adapter that listens passively."""
    monkeypatch.setattr(passive_devices_module, "FORGET_SECONDS", 0.01)
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        task = asyncio.create_task(adapter.listen(ear))
        yield SimpleNamespace(adapter=adapter, ear=ear, task=task)
        task.cancel()


def key(address):
    return f"mac:{address.lower()}"


async def test_a_company_id_that_cycles_with_the_value_is_followed_beside_the_old_ones(bluez, listening, until):
    bluez.environment.add(device := tp357(24.1))
    ear = listening.ear
    for celsius in (24.1, 24.2, 24.3, -1.5, 24.2, 24.3, 24.2):  # the last ones BlueZ has already: home-assistant/core#143769
        device.manufacturer_data = tp357_data(celsius)
        await until(lambda celsius=celsius: ear.values.get(key(TP357), {}).get("temperature") == celsius)
    assert ear.values[key(TP357)]["humidity"] == 29


async def test_a_device_that_never_changes_is_heard_each_time(bluez, listening, until):
    bluez.environment.add(ruuvi())
    ear = listening.ear
    await until(lambda: ear.counts.get((key(RUUVI), "temperature"), 0) >= 10)
    assert ear.values[key(RUUVI)]["temperature"] == 7.2
    assert len(ear.met) == 1


async def test_where_bluez_tells_only_changes_a_device_counts_as_heard_while_its_object_is_there(bluez, until, monkeypatch):
    for module in (passive_scan_module, passive_devices_module):
        monkeypatch.setattr(module, "STILL_THERE_SECONDS", 0.05)
    await bluez.daemon.stop()
    bluez.controller.offloads_monitors, bluez.controller.forgets_after_seconds = True, 0.5
    await bluez.daemon.start()
    bluez.environment.add(device := ruuvi())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.counts.get((key(RUUVI), "temperature"), 0) >= 10)
        device.go_out_of_range()
        await until(lambda: not bluez.controller.devices)
        await bluez.daemon.settle()
        before = dict(ear.counts)
        await asyncio.sleep(0.2)
        assert ear.counts == before
        listening.cancel()


@pytest.mark.parametrize(
    ("parser", "advertised"),
    [
        ("bthome", {"service_data": {"fcd2": bytes.fromhex("40016402c409")}}),  # bthome-ble#26
        ("ruuvi", {"manufacturer_data": {0x0499: RUUVI_FORMAT_5}}),
    ],
)
async def test_a_device_that_sends_no_flags_is_heard_by_its_data(bluez, listening, until, parser, advertised):
    bluez.environment.add(Peripheral("54:48:E6:8F:80:A5", flags=None, advertises_every=0.05, **advertised))
    await until(lambda: [found.profile for found in listening.ear.met] == [parser])


async def test_a_configured_device_that_sends_no_flags_is_heard_by_its_payload(bluez, until):
    adapter, ear = adapter_with(devices=[{"payload": "34 12 0a", "name": "Probe"}]), Ear()
    bluez.environment.add(
        Peripheral("54:48:E6:8F:80:A5", flags=None, advertises_every=0.05, manufacturer_data={0x1234: b"\x0a\x01"})
    )
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: (key("54:48:E6:8F:80:A5"), "rssi") in ear.counts or ear.met)
        listening.cancel()


@pytest.mark.parametrize("flags", [0x02, 0x04, 0x05, 0x06, 0x18, 0x1A])  # habluetooth#615, #31
async def test_an_unknown_device_with_any_usual_flags_is_heard(bluez, until, flags):
    radio, heard = Radio(None, "passive"), []
    bluez.environment.add(Peripheral("54:48:E6:8F:80:A5", flags=flags, advertises_every=0.05))
    await radio.open(heard.append)
    await until(lambda: heard)
    await radio.close()


async def test_a_device_that_sends_once_and_sleeps_is_heard_each_time(bluez, listening, until):  # bleak#903
    bluez.controller.forgets_after_seconds = 0.2
    device = ruuvi(every=None)
    await until(lambda: bluez.controller.is_scanning)
    bluez.environment.add(device)
    for count in (1, 2):
        await until(lambda count=count: listening.ear.counts.get((key(RUUVI), "temperature")) == count)
        await until(lambda: not bluez.controller.devices)
        device.advertise()


async def test_with_a_bluez_that_matches_flags_only_devices_with_flags_are_heard(bluez, listening, until):  # bluez#652
    bluez.environment.add(ruuvi())
    bluez.controller.matches_only_flags = True
    await until(lambda: listening.ear.counts)


async def test_a_device_that_was_found_passively_is_connected_to(bluez, until):
    service = Service("180f", [Characteristic("2a19", ["read"], b"\x5a")])
    bluez.environment.add(Peripheral(RUUVI, services=[service], service_uuids=["180f"], advertises_every=0.05))
    radio, heard = Radio("hci0", "passive"), []
    await radio.open(heard.append)
    await until(lambda: heard)
    connection = await radio.connect(RUUVI)
    assert connection.is_open
    await connection.close()
    await radio.close()


async def test_another_program_that_crashes_bluetoothd_is_a_lost_bus_and_the_scan_goes_on_after_it(bluez, until):
    bluez.environment.add(ruuvi())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.counts)
        await crash_it()
        with pytest.raises(BusUnavailable, match="bluetoothd stopped"):
            await asyncio.wait_for(listening, PATIENCE_SECONDS)
    await until(lambda: not bluez.daemon.is_running)
    await bluez.daemon.start()
    await asyncio.wait_for(adapter.reappears(), PATIENCE_SECONDS)
    ear.counts.clear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.counts)
        assert not bluez.controller.is_discovering
        listening.cancel()


async def crash_it():
    """Scan with eight patterns, as another program may."""
    patterns = [OrPattern(0, Kind.FLAGS, bytes([value])) for value in range(8)]
    with suppress(BleakError):  # a reply may be lost with the daemon
        async with BleakScanner(scanning_mode="passive", bluez={"or_patterns": patterns}):
            pass


async def test_after_two_crashes_of_bluetoothd_soon_after_a_passive_start_the_radio_scans_actively_and_says_why(
    bluez, until, caplog
):
    bluez.controller.dies_of_long_advertisements = True  # bluez#1169
    phone = Peripheral("54:48:E6:8F:80:A5", manufacturer_data={0x0075: bytes(40)}, advertises_every=0.05)
    bluez.environment.add(phone)
    adapter = adapter_with()
    for _ in range(2):
        assert not bluez.controller.is_discovering
        with pytest.raises(BusUnavailable):
            async with adapter:
                await asyncio.wait_for(adapter.listen(Ear()), PATIENCE_SECONDS)
        await until(lambda: not bluez.daemon.is_running)
        await bluez.daemon.start()
    async with adapter:
        await until(lambda: bluez.controller.is_discovering)
    sentences = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "actively" in record.getMessage()
    ]
    assert len(sentences) == 1
    assert "bluetoothd crashed 2 times within 10 min of the start of a passive scan" in sentences[0]
    assert 'scanning = "active"' in sentences[0]
    (remark,) = [text for text in adapter.remarks(a_child()) if "actively" in text]
    assert "passively again in 7 days at the earliest" in remark
    restarted = adapter_with()
    restarted.memory = adapter.memory
    async with restarted:
        await until(lambda: bluez.controller.is_discovering)
    assert remark in restarted.remarks(a_child()), "the crash is not tried again after a restart"


def a_child():
    return ChildDevice(
        key=key(RUUVI), adapter="radio", bus="radio", address=RUUVI, profile="ruuvi", family=None, model_id="m", sub_model=None,
        firmware_version=None, name="Ruuvi",
    )  # fmt: skip


@pytest.mark.parametrize(("end", "soon_seconds"), [("crash", 0.0), ("stop", 600.0)], ids=["crashed-late", "stopped-in-order"])
async def test_a_bluetoothd_that_crashes_late_or_is_stopped_gets_the_passive_scan_again(bluez, monkeypatch, end, soon_seconds):
    monkeypatch.setattr(radio_module, "SOON_SECONDS", soon_seconds)
    radio = Radio(None, "passive")
    for _ in range(3):
        await radio.open(lambda advertisement: None)
        await asyncio.sleep(0.01)
        await getattr(bluez.daemon, end)()
        assert await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS) == "bluetoothd stopped"
        await radio.close()
        await bluez.daemon.start()
    assert radio.scanning_problem is None


async def test_crashes_between_which_a_scan_ran_for_long_are_none_in_a_row(bluez, monkeypatch):
    radio = Radio(None, "passive")
    for end, soon_seconds in (("crash", 600.0), ("stop", 0.0), ("crash", 600.0)):
        monkeypatch.setattr(radio_module, "SOON_SECONDS", soon_seconds)
        await radio.open(lambda advertisement: None)
        await asyncio.sleep(0.01)
        await getattr(bluez.daemon, end)()
        await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS)
        await radio.close()
        await bluez.daemon.start()
    assert radio.scanning_problem is None


async def test_a_controller_that_is_switched_off_while_monitors_are_registered_is_asked_passively_again(bluez, monkeypatch):
    async def is_switched_off(self, patterns):
        bluez.controller.power_off()
        raise BluetoothUnusable(OpenError.PASSIVE_REFUSED)

    adapter = adapter_with()
    with monkeypatch.context() as patched:
        patched.setattr(passive_scan_module.PassiveScan, "register", is_switched_off)
        with pytest.raises(BusUnavailable):
            async with adapter:
                pass
    assert adapter.memory == {}
    bluez.controller.power_on()
    async with adapter:
        assert not bluez.controller.is_discovering


async def test_a_controller_that_refuses_every_monitor_scans_actively_and_says_why(bluez, until, caplog):
    bluez.controller.most_monitors = 0
    bluez.environment.add(ruuvi())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.counts)
        assert bluez.controller.is_discovering
        listening.cancel()
    assert "refuses every list of patterns" in caplog.text
    assert any("scans actively" in text for text in adapter.remarks(a_child()))


async def test_a_controller_with_room_for_one_monitor_hears_devices_with_flags_and_says_what_it_may_not(bluez, until, caplog):
    bluez.controller.most_monitors = 1
    bluez.environment.add(ruuvi())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.counts)
        assert not bluez.controller.is_discovering
        listening.cancel()
    async with adapter:
        assert any("accepts 1 of 4 lists of patterns" in text for text in adapter.remarks(a_child()))
    assert caplog.text.count("accepts 1 of 4 lists of patterns") == 1, "said once, however often the radio is opened"


async def test_a_passive_scan_ends_with_the_radio(bluez, until):
    radio = Radio(None, "passive", USUAL_FLAGS)
    await radio.open(lambda advertisement: None)
    assert bluez.controller.is_scanning
    await radio.close()
    await until(lambda: not bluez.controller.is_scanning)


@pytest.mark.parametrize(
    ("controller", "words"), [("hci7", "hci7 is missing"), ("hci0", "bluetoothctl power on"), (None, "bluetoothctl power on")]
)
async def test_a_passive_scan_that_cannot_start_names_the_fix(bluez, controller, words):
    bluez.controller.power_off()
    with pytest.raises(BusUnavailable) as refused:
        await Radio(controller, "passive").open(lambda advertisement: None)
    assert words in str(refused.value)


async def test_a_scan_that_bluetoothd_ends_is_a_lost_bus(bluez, listening, monkeypatch):
    monkeypatch.setattr("adapters.ble.radio.bluez.STOP_SECONDS", 0.05)
    await bluez.daemon.settle()
    bluez.controller.release_monitors()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(BusUnavailable, match="bluetoothd ended the passive scan"):
            await listening.task


async def test_a_device_that_appears_while_the_known_ones_are_asked_for_is_heard(bluez, until, monkeypatch):
    asked, original = [], passive_scan_module.call_bluez

    async def and_then_a_device_appears(bus, call, *rest):
        reply = await original(bus, call, *rest)
        asked.append(call.member)
        if asked == ["GetManagedObjects"] * 2:  # its signal comes right behind the reply
            bluez.environment.add(ruuvi())
            await until(lambda: bluez.controller.devices)
            await original(bus, call)
        return reply

    monkeypatch.setattr(passive_scan_module, "call_bluez", and_then_a_device_appears)
    adapter, ear = adapter_with(), Ear()
    async with BleakScanner(bluez={"filters": {"DuplicateData": True}}), adapter:  # another program scans
        task = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.counts.get((key(RUUVI), "temperature"), 0) >= 2)
        task.cancel()
