"""Test the whole gateway between an emulated bluetoothd, behind bleak's own backend, and the emulated cloud."""

import asyncio
import logging
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.backoff import Backoff
from gateway.field.plugins import installed, usable
from gateway.runtime.parts import Timing
from gateway.testing.bluetooth import Characteristic, Peripheral, RadioEnvironment, Service, dbus_errors
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip
from gateway.testing.demo_devices import moxa_iologik_e1210
from gateway.testing.modbus import ModbusTcpHost

pytestmark = pytest.mark.enable_socket

RADIO = {"type": "ble", "name": "radio", "scan_time": 0.3, "discover_every": 1}
MODELS = {
    "climate-sensor": "11111111-0a0b-4c0d-8e0f-112233445566",
    "heart-rate-monitor": "22222222-0a0b-4c0d-8e0f-112233445566",
    "button": "33333333-0a0b-4c0d-8e0f-112233445566",
    "probe": "44444444-0a0b-4c0d-8e0f-112233445566",
    "io-module": "55555555-0a0b-4c0d-8e0f-112233445566",
}
A_MINUTE = timedelta(seconds=60)
"""What arrives sooner than this was urgent."""

HYGROMETER, SECOND_HYGROMETER = "A4:C1:38:00:00:01", "A4:C1:38:00:00:04"
STRAP = "C0:00:00:00:00:02"
BUTTON = "A4:C1:38:00:00:03"
PROBE = "C0:00:00:00:00:05"
KEYED = Path(__file__).parents[1] / "adapters" / "ble" / "adverts" / "xiaomi-lywsd03mmc" / "encrypted-with-its-key.toml"


@pytest.fixture
async def bluez(monkeypatch):
    dbus_daemon_or_skip()
    environment = RadioEnvironment()
    controller = Controller(environment, connect_timeout_seconds=0.5)
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [controller]) as daemon:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield SimpleNamespace(environment=environment, controller=controller, daemon=daemon)


@pytest.fixture
def on_the_air(bluez, emulator, running):
    """Start a gateway that listens: `async with on_the_air(govee, strap, telemetry_every=A_MINUTE) as gateway`."""

    def start(*peripherals, beside=(), radio=RADIO, **rest):
        for peripheral in peripherals:
            bluez.environment.add(peripheral)
        cloud = {"tell_stop": False, **rest.pop("cloud", {})}  # the status of children is looked at after the stop
        return running(usable(installed()), radio, *beside, models=MODELS, cloud=cloud, **rest)

    return start


@pytest.fixture
def impatient(monkeypatch):
    """Let a device be silent for 3 s instead of minutes: far longer than a busy machine delays its 20 advertisements a second."""
    monkeypatch.setattr("adapters.ble.adapter.QUIET_ADVERTISER", timedelta(seconds=3))
    monkeypatch.setattr("gateway.field.children.silence.SHORTEST_LIMIT_SECONDS", 3)
    monkeypatch.setattr("gateway.field.children.silence.BURST_SECONDS", 0.1)
    monkeypatch.setattr("gateway.field.telemetry.listening.CHECK_SECONDS", 0.02)


def measured(temperature, humidity=44.2, battery=100):
    """What a Govee H5075 sends: tenths of a degree and of a percent, packed into one number."""
    packed = round(temperature * 10) * 1000 + round(humidity * 10)
    return {0xEC88: bytes([0, *packed.to_bytes(3, "big"), battery, 0])}


def hygrometer(address=HYGROMETER, name="GVH5075_2762", **rest):
    said = {"manufacturer_data": measured(21.3), "service_uuids": ["ec88"], "advertises_every": 0.05, **rest}
    return Peripheral(address, name=name, **said)


def strap():
    """A heart rate strap with Device Information and a battery."""
    facts = (("2a29", b"Polar Electro Oy"), ("2a24", b"H10"), ("2a25", b"9E6D2A22"), ("2a26", b"3.1.1"))
    services = [
        Service("180a", [Characteristic(uuid, ["read"], fact) for uuid, fact in facts]),
        Service("180d", [Characteristic("2a37", ["notify"], b"\x00\x48", notify_every=0.05)]),
        Service("180f", [Characteristic("2a19", ["read"], b"\x5a")]),
    ]
    return Peripheral(
        STRAP, address_type="random", name="Polar H10", service_uuids=["180d"], services=services, advertises_every=0.05
    )


def button():
    """A Shelly BLU Button1, which speaks only when it is pressed."""
    return Peripheral(BUTTON, name="SBBT-002C", advertises_every=None)


async def press(peripheral, number):
    """Press it: the same packet goes out several times."""
    for _ in range(5):
        peripheral.advertise(service_data={"fcd2": bytes([0x40, 0x00, number, 0x3A, 0x01])})
        await asyncio.sleep(0.02)


def probe():
    """A device that is asked every second."""
    return Peripheral(
        PROBE,
        address_type="random",
        name="Probe 7",
        services=[Service("180f", [Characteristic("2a19", ["read"], b"\x5a")])],
        advertises_every=0.05,
    )


def probe_profile(folder):
    (folder / "probe.toml").write_text(
        'name = "probe"\nmaker = "Acme"\ntitle = "Probe 7"\nfamily = "probe"\nsub_model = "P7"\n'
        '[source]\ndocument = "this test"\nedition = "1"\nsection = "1"\nchecked_against = ["this test"]\n'
        '[[match]]\nname = "Probe 7"\n[groups]\nfast = 1\n'
        '[[points]]\nmetric = "battery"\nservice = "180f"\ncharacteristic = "2a19"\nformat = "uint8"\ngroup = "fast"\n'
    )


def child(emulator, address):
    """The child with that address as the cloud knows it; `None` before it is registered."""
    return next((device for device in emulator.cloud.devices.values() if device.mac == address.lower()), None)


def told(emulator, address, metric):
    """What the cloud knows of the device; `None` when it knows nothing."""
    device = child(emulator, address)
    return None if device is None else device.state.get(metric)


def statuses(emulator, address):
    """Every change of status that the cloud was told of, in order."""
    said = [message.status for message in emulator.journal.telemetry(child(emulator, address).id)]
    return [status for before, status in zip([None, *said], said, strict=False) if status != before]


def messages(emulator, address):
    return emulator.journal.telemetry(child(emulator, address).id)


async def test_advertising_and_connectable_devices_become_children_with_their_values(emulator, on_the_air, until):
    heart = strap()
    async with on_the_air(hygrometer(), heart):
        await until(lambda: told(emulator, HYGROMETER, "humidity") and told(emulator, STRAP, "battery"))
        heart.characteristic("2a37").value = b"\x00\x50"
        await until(lambda: told(emulator, STRAP, "heart_rate") == 80)
    climate, monitor = child(emulator, HYGROMETER), child(emulator, STRAP)
    parent = next(device for device in emulator.cloud.devices.values() if device.parent_id is None)
    assert climate.parent_id == monitor.parent_id == parent.id
    assert (climate.model_id, climate.sub_model) == (MODELS["climate-sensor"], "H5075")
    assert (monitor.model_id, monitor.sub_model) == (MODELS["heart-rate-monitor"], "H10")
    assert (monitor.firmware_version, monitor.sn) == ("3.1.1", "9E6D2A22")
    assert climate.state == {"status": "online", "temperature": 21.3, "humidity": 44.2, "battery": 100, "rssi": -60}
    assert monitor.state["battery"] == 90
    assert len(emulator.cloud.devices) == 3


async def test_a_change_beyond_its_dead_band_is_sent_before_the_telemetry_interval_ends(emulator, on_the_air, until):
    device = hygrometer()
    async with on_the_air(device, telemetry_every=A_MINUTE):
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 21.3)
        device.manufacturer_data = measured(21.7)
        await asyncio.sleep(0.6)
        assert len(messages(emulator, HYGROMETER)) == 1, "a change within the dead band can wait"
        device.manufacturer_data = measured(24.0)
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 24.0)
        assert len(messages(emulator, HYGROMETER)) == 2


async def test_each_press_of_a_button_goes_up_at_once_and_only_once(bluez, emulator, on_the_air, until):
    device = button()

    def presses():
        known = child(emulator, BUTTON)
        return [] if known is None else [one for one in messages(emulator, BUTTON) if one.values.get("button") == "press"]

    async with on_the_air(device, telemetry_every=A_MINUTE):
        await until(lambda: bluez.controller.is_scanning)
        for number in (1, 2, 3):
            await press(device, number)
            await until(lambda number=number: len(presses()) >= number)
            await asyncio.sleep(0.4)
            assert len(presses()) == number, "a packet that is sent several times is one press"
    assert child(emulator, BUTTON).sub_model == "SBBT-002C"


@pytest.mark.usefixtures("impatient")
async def test_a_silent_device_is_reported_offline_once_and_online_when_it_advertises_again(emulator, on_the_air, until):
    device, neighbour = hygrometer(), hygrometer(SECOND_HYGROMETER, "GVH5075_0004")
    async with on_the_air(device, neighbour):
        await until(lambda: told(emulator, HYGROMETER, "temperature") and told(emulator, SECOND_HYGROMETER, "temperature"))
        device.go_out_of_range()
        await until(lambda: told(emulator, HYGROMETER, "status") == "offline")
        await asyncio.sleep(2.2)  # four telemetry rounds, two searches
        assert statuses(emulator, HYGROMETER) == ["online", "offline"]
        assert [one.status for one in messages(emulator, HYGROMETER)].count("offline") == 1
        device.come_back()
        await until(lambda: told(emulator, HYGROMETER, "status") == "online")
        await asyncio.sleep(1)
    assert statuses(emulator, HYGROMETER) == ["online", "offline", "online"]
    assert statuses(emulator, SECOND_HYGROMETER) == ["online"]


@pytest.mark.parametrize("outage_seconds", [0, 1.2, 4])
async def test_after_a_crash_of_bluetoothd_its_start_brings_new_values_without_the_next_attempt_to_open(
    bluez, emulator, on_the_air, until, monkeypatch, outage_seconds
):
    monkeypatch.setattr("gateway.field.polling.supervisor.Backoff", lambda first, most: Backoff(600, 600))
    device = hygrometer()
    timing = replace(Timing(), registration_settles_in=timedelta(seconds=0.3))
    async with on_the_air(device, timing=timing, telemetry_every=A_MINUTE):
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 21.3)
        await bluez.daemon.crash()
        await asyncio.sleep(outage_seconds)
        device.manufacturer_data = measured(27.5)
        await bluez.daemon.start()
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 27.5)


async def test_a_device_that_vanished_during_an_outage_is_not_online_again_with_its_old_values(
    bluez, emulator, on_the_air, until
):
    gone, neighbour = hygrometer(), hygrometer(SECOND_HYGROMETER, "GVH5075_0004")
    async with on_the_air(gone, neighbour):
        await until(lambda: told(emulator, HYGROMETER, "temperature") and told(emulator, SECOND_HYGROMETER, "temperature"))
        await bluez.daemon.crash()
        gone.go_out_of_range()
        await until(lambda: told(emulator, HYGROMETER, "status") == told(emulator, SECOND_HYGROMETER, "status") == "offline")
        await bluez.daemon.start()
        await until(lambda: told(emulator, SECOND_HYGROMETER, "status") == "online")
        await asyncio.sleep(1.5)  # three telemetry rounds, one search
    assert statuses(emulator, HYGROMETER) == ["online", "offline"]
    assert statuses(emulator, SECOND_HYGROMETER) == ["online", "offline", "online"]


@pytest.mark.parametrize("how", ["unplugged", "switched off"])
async def test_a_controller_that_goes_and_comes_back_costs_neither_children_nor_a_restart(
    bluez, emulator, on_the_air, until, caplog, how
):
    device = hygrometer()
    async with on_the_air(device):
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 21.3)
        await bluez.daemon.unplug(bluez.controller) if how == "unplugged" else bluez.controller.power_off()
        await until(lambda: told(emulator, HYGROMETER, "status") == "offline")
        assert f"was {how}" in caplog.text
        device.manufacturer_data = measured(27.5)
        await bluez.daemon.plug_in(bluez.controller) if how == "unplugged" else bluez.controller.power_on()
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 27.5)
        assert told(emulator, HYGROMETER, "status") == "online"
    assert statuses(emulator, HYGROMETER) == ["online", "offline", "online"]
    assert len(emulator.cloud.devices) == 2


async def test_a_connection_lost_during_a_read_costs_one_reading_and_no_status(emulator, on_the_air, until, tmp_path):
    probe_profile(tmp_path)
    device, neighbour = probe(), hygrometer()
    async with on_the_air(device, neighbour, radio={**RADIO, "profiles": [str(tmp_path)]}):
        await until(lambda: told(emulator, PROBE, "battery") == 90 and told(emulator, HYGROMETER, "temperature"))
        device.faults.lost_reads = 1
        await until(lambda: device.faults.lost_reads == 0)
        device.characteristic("2a19").value = b"\x50"
        await until(lambda: told(emulator, PROBE, "battery") == 80)
    assert child(emulator, PROBE).sub_model == "P7"
    assert statuses(emulator, PROBE) == statuses(emulator, HYGROMETER) == ["online"]


async def test_a_device_that_advertises_but_accepts_no_connection_is_offline_and_others_are_not(
    emulator, on_the_air, until, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.2)
    monkeypatch.setattr("gateway.field.polling.schedule.RECHECK_SECONDS", 0.2)
    probe_profile(tmp_path)
    device, neighbour = probe(), hygrometer()
    async with on_the_air(device, neighbour, radio={**RADIO, "profiles": [str(tmp_path)]}):
        await until(lambda: told(emulator, PROBE, "battery") == 90 and told(emulator, HYGROMETER, "temperature"))
        device.faults.connect_error = dbus_errors.CONNECTION_LOST
        await until(lambda: told(emulator, PROBE, "status") == "offline")
        await asyncio.sleep(1.2)
        assert statuses(emulator, PROBE) == ["online", "offline"]
        device.faults.connect_error = None
        device.characteristic("2a19").value = b"\x50"
        await until(lambda: told(emulator, PROBE, "battery") == 80)
    assert statuses(emulator, PROBE) == ["online", "offline", "online"]
    assert statuses(emulator, HYGROMETER) == ["online"]


async def test_a_child_of_an_earlier_run_is_neither_registered_again_nor_offline_at_the_start(emulator, on_the_air, until, bluez):
    advertising, asked = hygrometer(), strap()
    async with on_the_air(advertising, asked):
        await until(lambda: told(emulator, HYGROMETER, "temperature") and told(emulator, STRAP, "heart_rate"))
    known = set(emulator.cloud.devices)
    for device in (advertising, asked):
        device.go_out_of_range()
    emulator.journal.clear()
    async with on_the_air():
        await until(lambda: bluez.controller.is_scanning)
        await asyncio.sleep(1.2)  # longer than a bus may be missing, two telemetry rounds
        for device in (advertising, asked):
            device.come_back()
        advertising.manufacturer_data = measured(27.5)
        asked.characteristic("2a37").value = b"\x00\x50"
        await until(lambda: told(emulator, HYGROMETER, "temperature") == 27.5 and told(emulator, STRAP, "heart_rate") == 80)
    assert set(emulator.cloud.devices) == known
    assert emulator.journal.calls()["Register Child Device"] == 0
    assert statuses(emulator, HYGROMETER) == statuses(emulator, STRAP) == ["online"]


async def test_only_devices_that_are_allowed_and_not_denied_become_children(bluez, emulator, on_the_air, until):
    devices = [hygrometer(), hygrometer(SECOND_HYGROMETER, "GVH5075_0004"), strap(), button()]
    radio = {**RADIO, "allow": ["A4:C1:38:*"], "deny": ["name:gvh5075_0004"]}
    async with on_the_air(*devices, radio=radio):
        await until(lambda: told(emulator, HYGROMETER, "temperature"))
        await press(devices[-1], 1)
        await until(lambda: told(emulator, BUTTON, "button"))
        await asyncio.sleep(0.5)
    addresses = {device.mac for device in emulator.cloud.devices.values() if device.parent_id is not None}
    assert addresses == {HYGROMETER.lower(), BUTTON.lower()}
    assert devices[2].connections == 0


async def test_devices_without_a_serial_number_have_none_in_the_cloud_but_their_mac(emulator, on_the_air, until):
    """Section 18: none is invented from a MAC, which has a field of its own."""
    async with ModbusTcpHost([moxa_iologik_e1210(1)]) as host:
        beside = {"type": "modbus", "hosts": [{"host": "127.0.0.1", "port": host.port}], "units": "1"}
        async with on_the_air(hygrometer(), beside=[beside]):
            await until(lambda: told(emulator, HYGROMETER, "temperature"))
            await until(lambda: any(one.sub_model == "E1210" for one in emulator.cloud.devices.values()))
    moxa = next(one for one in emulator.cloud.devices.values() if one.sub_model == "E1210")
    assert (child(emulator, HYGROMETER).sn, child(emulator, HYGROMETER).mac) == (None, HYGROMETER.lower())
    assert (moxa.sn, moxa.mac) == (None, "00:90:e8:7a:31:c4")


async def test_a_modbus_bus_beside_is_read_on_while_bluetooth_is_down(bluez, emulator, on_the_air, until):
    unit = moxa_iologik_e1210(1)
    async with ModbusTcpHost([unit]) as host:
        beside = {"type": "modbus", "hosts": [{"host": "127.0.0.1", "port": host.port}], "units": "1"}
        async with on_the_air(hygrometer(), beside=[beside]):

            def io_messages():
                return [
                    message
                    for device in emulator.cloud.devices.values()
                    if device.sub_model == "E1210"
                    for message in emulator.journal.telemetry(device.id)
                ]

            await until(lambda: told(emulator, HYGROMETER, "temperature") and io_messages())
            await bluez.daemon.crash()
            await until(lambda: told(emulator, HYGROMETER, "status") == "offline")
            served, said = len(unit.history), len(io_messages())
            await until(lambda: len(unit.history) > served and len(io_messages()) > said + 3)
            assert {message.status for message in io_messages()} == {"online"}
            assert told(emulator, HYGROMETER, "status") == "offline"


async def test_a_bind_key_appears_neither_in_the_log_nor_in_the_store(emulator, on_the_air, until, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    case = tomllib.loads(KEYED.read_text(encoding="utf-8"))
    key, heard = case["bind_key"], case["heard"][0]
    wrong_key = key[::-1]
    sent = {uuid: bytes.fromhex(data) for uuid, data in heard["service_data"].items()}
    (tmp_path / "key").write_text(f"{key}\n")
    device = Peripheral(heard["address"], name="LYWSD03MMC", service_data=sent, advertises_every=0.05)
    stranger = Peripheral(SECOND_HYGROMETER, name="LYWSD03MMC", service_data=sent, advertises_every=0.05)
    configured = [
        {"address": device.address, "bind_key_file": str(tmp_path / "key"), "name": "Cold store"},
        {"address": stranger.address, "bind_key": wrong_key},
    ]
    async with on_the_air(device, stranger, radio={**RADIO, "devices": configured}) as gateway:
        await until(lambda: told(emulator, device.address, "humidity") == 46)
        await until(lambda: child(emulator, stranger.address))
        await asyncio.sleep(0.6)
        shown = caplog.text + repr(gateway.parts.configuration) + repr(gateway.parts.bus_statuses())
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.sqlite3*"))
    assert b"Cold store" in stored
    assert "Cold store" in caplog.text
    for secret in (key, wrong_key):
        assert secret not in (shown + caplog.text).lower()
        assert secret.encode() not in stored.lower()
        assert bytes.fromhex(secret) not in stored
        assert secret not in str(emulator.journal.entries())
