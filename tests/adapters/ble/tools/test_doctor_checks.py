"""Test the checks of `doctor` for Bluetooth; the command itself is tested in tests/doctor."""

import pytest

from adapters.ble.radio.bluez import bus_socket
from adapters.ble.radio.rfkill import is_blocked_by_rfkill
from adapters.ble.settings import BleSettings
from adapters.ble.tools.doctor_checks import examined


@pytest.mark.parametrize(("kind", "soft", "hard", "is_off"), [
    ("bluetooth", "1", "0", True), ("bluetooth", "0", "1", True), ("bluetooth", "0", "0", False), ("wlan", "1", "1", False),
])  # fmt: skip
def test_a_switch_of_the_system_keeps_bluetooth_off(tmp_path, kind, soft, hard, is_off):
    (tmp_path / "rfkill0").mkdir()
    (tmp_path / "rfkill1").mkdir()
    for name, says in (("type", kind), ("soft", soft), ("hard", hard)):
        (tmp_path / "rfkill1" / name).write_text(f"{says}\n")
    assert is_blocked_by_rfkill(tmp_path) is is_off
    assert not is_blocked_by_rfkill(tmp_path / "missing")


@pytest.mark.parametrize(("address", "file"), [
    ("unix:path=/run/bus", "/run/bus"),
    ("unix:guid=12,path=/run/a%20bus;tcp:host=h,port=1", "/run/a bus"),
    ("unix:abstract=/tmp/x", "None"),
    ("tcp:host=h,port=1", "None"),
    ("", "/var/run/dbus/system_bus_socket"),
])  # fmt: skip
def test_the_file_of_the_bus_is_that_of_its_address(monkeypatch, address, file):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    assert str(bus_socket()) == file


async def test_a_switched_off_controller_is_a_fault_and_only_for_an_entry_of_the_config(bluez):
    bluez.controller.power_off()
    settings = BleSettings(type="ble", name="air")
    assert [(one.what, one.state) async for one in examined(settings)] == [
        ("D-Bus", "fine"),
        ("bluetoothd", "fine"),
        ("hci0", "fault"),
    ]
    assert [one.state async for one in examined(None)] == ["fine", "fine", "not looked at"]
    await bluez.daemon.unplug(bluez.controller)
    (*_, last) = [one async for one in examined(settings)]
    assert (last.what, last.state) == ("controller", "fault")
    assert last.meaning == "the Bluetooth controller is missing"


async def test_a_malformed_bus_address_is_a_fault(monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "nonsense")
    (found,) = [one async for one in examined(BleSettings(type="ble", name="air"))]
    assert (found.what, found.state) == ("D-Bus", "fault")
