"""Test the adapter with bleak's real BlueZ backend over a private D-Bus; only bluetoothd is emulated."""

import asyncio
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.ble import BleAdapter
from adapters.ble.discovery import reachability as reachability_module
from adapters.ble.radio import connection as connection_module
from adapters.ble.session import device_sessions as sessions_module
from gateway.adapter import (
    Block,
    BusUnavailable,
    ChildDevice,
    Command,
    CommandRejected,
    Confidence,
    DeviceUnreachable,
    FactSource,
    Found,
    Progress,
)
from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.gatt import Characteristic, Service
from gateway.testing.bluetooth.peripheral import Peripheral

ADVERTS = Path(__file__).parent / "adverts"
PATIENCE_SECONDS = 30
"""More than a busy machine needs for anything here."""

GOVEE = "A4:C1:38:00:00:01"
STRAP = "C0:00:00:00:00:02"
BOT = "F0:00:00:00:00:03"
BOT_SERVICE = "cba20d00-224d-11e6-9fb8-0002a5d5c51b"
IRK = "ec0234a357c8ad05341010a60a397d9b"
RESOLVABLE = "70:81:94:0D:FB:AA"
"""Made by the device with that key (Core Specification, Vol 3 Part H, appendix D.7)."""


def govee(**rest):
    """A Govee H5075: 21.3502 °C... as published with govee-ble's own tests."""
    said = {"name": "GVH5075_2762", "manufacturer_data": {0xEC88: bytes.fromhex("000341c26400")}, "service_uuids": ["ec88"]}
    return Peripheral(GOVEE, advertises_every=0.05, **{**said, **rest})


def strap(**rest):
    """A heart rate strap with Device Information and a battery."""
    information = [
        Characteristic(uuid, ["read"], value)
        for uuid, value in (("2a29", b"Polar Electro Oy"), ("2a24", b"H10"), ("2a25", b"9E6D2A22"), ("2a26", b"3.1.1"))
    ]
    services = [
        Service("180a", information),
        Service("180d", [Characteristic("2a37", ["notify"], b"\x00\x48", notify_every=0.05)]),
        Service("180f", [Characteristic("2a19", ["read"], b"\x5a")]),
    ]
    return Peripheral(
        STRAP, address_type="random", name="Polar H10", service_uuids=["180d"], services=services, advertises_every=0.05, **rest
    )


def bot():
    """A SwitchBot Bot, which answers each command by a notification."""
    answers = Characteristic("cba20003-224d-11e6-9fb8-0002a5d5c51b", ["notify"])
    orders = Characteristic(
        "cba20002-224d-11e6-9fb8-0002a5d5c51b",
        ["write"],
        on_write=lambda write: answers.notify(b"\x01" if write.value != b"\x57\x01\x02" else b"\x06"),
    )
    return Peripheral(
        BOT,
        address_type="random",
        service_data={"fd3d": b"\x48\x90\xe4"},
        service_uuids=[BOT_SERVICE],
        services=[Service(BOT_SERVICE, [orders, answers])],
        advertises_every=0.05,
    )


class Ear:
    """An uplink that remembers."""

    def __init__(self):
        self.met, self.values, self.words = [], {}, 0

    def found(self, found):
        self.met.append(found)

    def heard(self, readings):
        self.words += 1
        for reading in readings:
            self.values.setdefault(reading.child, {})[reading.metric.name] = reading.value


def adapter_with(**settings):
    said = {"type": "ble", "name": "radio", "scan_time": 0.2, **settings}
    return BleAdapter(BleAdapter.settings_model.model_validate(said))


def child_of(found):
    return ChildDevice(
        key=found.identity.key, adapter="radio", bus="radio", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip


async def discovered(adapter, count=1):
    """Search until so many devices are found, however busy the machine is, and return those of the last search."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found := [step async for step in adapter.discover() if isinstance(step, Found)]) < count:  # noqa: ASYNC110 - a search
            await asyncio.sleep(0.05)
    return found


async def met_on(adapter, address):
    async with adapter:
        return await adapter.identify(address)


async def readings_of(adapter, child, due=None):
    due = frozenset(adapter.poll_groups(child)) if due is None else frozenset(due)
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


async def test_an_advertising_device_is_found_and_its_values_are_reported(bluez, until):
    bluez.environment.add(device := govee())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.values.get("mac:a4:c1:38:00:00:01", {}).get("battery") == 100)
        listening.cancel()
    (found,) = ear.met
    assert (found.profile, found.family, found.sub_model) == ("govee", "climate-sensor", "H5075")
    assert (found.mac, found.manufacturer, found.confidence) == ("a4:c1:38:00:00:01", "Govee", Confidence.CERTAIN)
    assert found.says["rssi"].endswith("dBm")
    assert found.says["battery"] == "100 %"
    values = ear.values[found.identity.key]
    assert values["temperature"] == pytest.approx(21.3, abs=0.1)
    assert values["rssi"] == device.rssi
    assert adapter.poll_groups(child_of(found)) == {}
    assert adapter.may_be_quiet(child_of(found)) == timedelta(seconds=900)
    assert device.connections == 0


async def test_each_advertisement_is_reported_to_the_uplink_even_with_the_same_payload(bluez, until):
    bluez.environment.add(govee())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.words >= 10)
        listening.cancel()
    assert len(ear.met) == 1, "who it is was told once"


async def test_a_device_that_needs_a_connection_is_connected_to_once_and_identified(bluez):
    bluez.environment.add(device := strap())
    adapter = adapter_with()
    async with adapter:
        (found,) = await discovered(adapter)
        (again,) = await discovered(adapter)
    assert found == again
    assert device.connections == 1
    assert (found.manufacturer, found.sub_model, found.firmware_version) == ("Polar Electro Oy", "H10", "3.1.1")
    assert (found.serial_number, found.profile, found.family) == ("9E6D2A22", "gatt-180d-180f", "heart-rate-monitor")
    assert found.evidence["model (180a/2a24)"] == "H10"


async def test_notified_values_arrive_with_the_first_read_and_then_unrequested(bluez, until):
    bluez.environment.add(device := strap())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        child = child_of(await adapter.identify(STRAP))
        first = await readings_of(adapter, child)
        assert (first["heart_rate"], first["battery"]) == (72, 90)
        assert device.is_connected, "its profile wants it to stay connected"
        device.characteristic("2a37").value = b"\x00\x50"
        await until(lambda: ear.values.get(child.key, {}).get("heart_rate") == 80)
        assert (await readings_of(adapter, child))["battery"] == 90
        assert device.connections == 2, "one to ask who it is, one that stays"
        listening.cancel()
    await until(lambda: not device.is_connected)


async def test_after_a_restart_a_known_child_is_read_by_the_profile_that_its_services_made(bluez):
    bluez.environment.add(strap())
    child = child_of(await met_on(adapter_with(), STRAP))
    adapter = adapter_with()
    async with adapter:
        await adapter.identify(STRAP)
        assert (await readings_of(adapter, child))["heart_rate"] == 72


async def test_readings_before_a_lost_connection_are_kept(bluez):
    bluez.environment.add(device := strap())
    device.is_paired = True  # else the silence could mean that it wants to be
    bluez.controller.bonds.add(STRAP)
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(STRAP))
        device.characteristic("2a19").is_silent = True
        blocks = adapter.read(child, frozenset(adapter.poll_groups(child)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection_module, "ATTRIBUTE_SECONDS", 0.2)
            with pytest.raises(DeviceUnreachable, match="took longer"):
                async for _ in blocks:
                    pass
        device.characteristic("2a19").is_silent = False
        device.faults.lost_reads = 1
        with pytest.raises(DeviceUnreachable):
            await readings_of(adapter, child)
        assert (await readings_of(adapter, child))["battery"] == 90


async def test_a_characteristic_that_is_refused_is_left_out_and_remarked(bluez):
    bluez.environment.add(device := strap())
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(STRAP))
        device.characteristic("2a19").error_reply = dbus_errors.READ_NOT_PERMITTED
        readings = await readings_of(adapter, child)
        assert "battery" not in readings
        assert readings["heart_rate"] == 72
        assert any("2a19" in remark and "ermitted" in remark for remark in adapter.remarks(child))


async def test_a_device_that_needs_pairing_is_reported_with_the_command_that_pairs_it(bluez, monkeypatch):
    monkeypatch.setattr(connection_module, "ATTRIBUTE_SECONDS", 0.2)
    bluez.environment.add(device := strap())
    device.faults.refuses_pairing = True
    device.characteristic("2a19").needs_pairing = True
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(STRAP))
        readings = await readings_of(adapter, child)
        assert readings["heart_rate"] == 72, "the rest is read"
        assert any(f"bluetoothctl pair {STRAP}" in remark for remark in adapter.remarks(child))


async def test_the_wait_for_a_first_notification_is_limited(bluez, monkeypatch):
    monkeypatch.setattr(sessions_module, "FIRST_NOTIFICATION_SECONDS", 0.2)
    bluez.environment.add(device := strap())
    device.characteristic("2a37").notify_every = None
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(STRAP))
        assert set(await readings_of(adapter, child)) == {"battery"}
        assert any("sent no notification" in remark for remark in adapter.remarks(child))


async def test_commands_are_written_once_and_their_reply_is_checked(bluez):
    bluez.environment.add(device := bot())
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(BOT))
        assert child.profile == "switchbot-bot"
        told = await adapter.execute(child, Command(1, child.key, "switch_on", {}))
        assert "has executed switch_on" in told.message
        assert [spec.name for spec in adapter.commands(child)] == ["press", "switch_on", "switch_off"]
        assert await adapter.read_back(child, Command(1, child.key, "switch_on", {})) is None, "nothing shows its position"
        with pytest.raises(CommandRejected, match="its battery is low"):
            await adapter.execute(child, Command(2, child.key, "switch_off", {}))
        with pytest.raises(CommandRejected, match="no command 'explode'"):
            await adapter.execute(child, Command(3, child.key, "explode", {}))
    written = device.characteristic("cba20002-224d-11e6-9fb8-0002a5d5c51b").writes
    assert [write.value.hex() for write in written] == ["570101", "570102"]


async def test_a_child_that_only_advertises_accepts_no_commands(bluez):
    bluez.environment.add(govee())
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(GOVEE))
        with pytest.raises(CommandRejected, match="only advertises"):
            await adapter.execute(child, Command(1, child.key, "press", {}))


async def test_an_absent_device_is_reported_with_the_likely_reason(bluez, monkeypatch):
    monkeypatch.setattr(reachability_module, "FIRST_ADVERTISEMENT_SECONDS", 0.2)
    adapter = adapter_with()
    async with adapter:
        with pytest.raises(DeviceUnreachable, match="out of range, switched off, or its battery is empty"):
            await adapter.identify("A4:C1:38:00:00:99")


async def test_denied_devices_are_ignored_and_so_are_those_not_allowed(bluez):
    bluez.environment.add(govee())
    bluez.environment.add(strap())
    for settings, expected in (
        ({"deny": ["name:GVH*"]}, {STRAP}),
        ({"deny": ["c0:00:*"]}, {GOVEE}),
        ({"allow": ["A4:C1:38:*"]}, {GOVEE}),
        ({"allow": ["name:polar*"], "deny": ["C0:*"]}, set()),
    ):
        adapter = adapter_with(**settings)
        async with adapter:
            assert {found.address for found in await discovered(adapter, len(expected))} == expected


async def test_a_device_that_changes_its_address_is_known_by_its_name_or_its_key(bluez, until):
    for number, device in enumerate(({"called": "GVH5075_*", "name": "Fridge"}, {"irk": IRK, "name": "Fridge"})):
        bluez.environment.add(first := govee(address_type="random") if number == 0 else _moved(govee(), RESOLVABLE))
        adapter = adapter_with(devices=[device])
        async with adapter:
            (found,) = await discovered(adapter)
            assert (found.name, found.identity.kind) == ("Fridge", "fingerprint")
            assert IRK not in str(found)
            bluez.environment.remove(first)
            if number == 0:
                bluez.environment.add(second := _moved(govee(), "5A:00:00:00:00:77"))
                await until(lambda: adapter._tracker.get(found.address).address == second.address)  # noqa: B023 - called in this round
                assert (await adapter.identify(found.address)).identity == found.identity
                bluez.environment.remove(second)


def _moved(device, address):
    return Peripheral(
        address, address_type="random", name=device.name, manufacturer_data=device.manufacturer_data, advertises_every=0.05
    )


async def test_devices_with_changing_addresses_are_not_reported(bluez, until):
    for number in range(5):
        bluez.environment.add(
            Peripheral(
                f"4{number}:00:00:00:00:01", address_type="random", manufacturer_data={76: b"\x10\x05"}, advertises_every=0.05
            )
        )
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.words > 5)
        listening.cancel()
        assert await discovered(adapter, 0) == []
    assert ear.met == []


async def test_a_device_with_encrypted_advertisements_is_read_over_a_connection(bluez):
    service = "ebe0ccb0-7a0a-4b0c-8a1a-6ff2997da3a6"
    value = Characteristic(
        "ebe0ccc1-7a0a-4b0c-8a1a-6ff2997da3a6", ["read", "notify"], bytes.fromhex("2a08322c0b"), notify_every=0.1
    )
    bluez.environment.add(
        Peripheral(
            "A4:C1:38:56:53:84",
            name="LYWSD03MMC",
            service_data={"fe95": bytes.fromhex("58585b05db184bf838c1a47d95000000fb1c1d")},
            services=[Service(service, [value])],
            advertises_every=0.05,
        )
    )
    adapter = adapter_with()
    async with adapter:
        (found,) = await discovered(adapter)
        assert (found.profile, found.sub_model) == ("xiaomi-lywsd03mmc", "LYWSD03MMC")
        assert (await readings_of(adapter, child_of(found)))["temperature"] == pytest.approx(20.9)


async def test_a_bind_key_decrypts_the_values_and_is_never_shown(bluez, tmp_path, until):
    case = tomllib.loads((ADVERTS / "xiaomi-lywsd03mmc" / "encrypted-with-its-key.toml").read_text())
    key, heard = case["bind_key"], case["heard"][0]
    key_file = tmp_path / "key"
    key_file.write_text(f"{key}\n")
    sent = {uuid: bytes.fromhex(data) for uuid, data in heard["service_data"].items()}
    bluez.environment.add(Peripheral(heard["address"], service_data=sent, advertises_every=0.05))
    adapter = adapter_with(devices=[{"address": heard["address"], "bind_key_file": str(key_file), "name": "Cold store"}])
    ear = Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.met)
        listening.cancel()
    (found,) = ear.met
    assert found.name == "Cold store"
    assert case["expected"]["values"].items() <= ear.values[found.identity.key].items()
    assert key not in repr(adapter.settings) + str(found) + repr(vars(adapter))


async def test_a_lost_radio_is_an_unavailable_bus_and_its_return_is_noticed(bluez, until):
    bluez.environment.add(govee())
    adapter, ear = adapter_with(), Ear()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(ear))
        await until(lambda: ear.words)
        await bluez.daemon.crash()
        with pytest.raises(BusUnavailable, match="bluetoothd stopped"):
            await asyncio.wait_for(listening, PATIENCE_SECONDS)
    with pytest.raises(BusUnavailable, match="systemctl start bluetooth"):
        await adapter.__aenter__()
    back = asyncio.create_task(adapter.reappears())
    await bluez.daemon.start()
    await asyncio.wait_for(back, PATIENCE_SECONDS)
    async with adapter:
        assert await discovered(adapter)


async def test_a_search_reports_its_progress(bluez):
    bluez.environment.add(govee())
    adapter = adapter_with()
    async with adapter:
        steps = [step async for step in adapter.discover()]
    assert any(isinstance(step, Progress) and "devices received" in step.note for step in steps)


async def test_dead_bands_of_the_config_outrank_those_of_the_parser(bluez, until):
    bluez.environment.add(govee())
    adapter = adapter_with(dead_bands={"temperature": 0.25})
    blocks = []

    class Collecting(Ear):
        def heard(self, readings):
            if isinstance(readings, Block):
                blocks.append(readings)

    async with adapter:
        listening = asyncio.create_task(adapter.listen(Collecting()))
        await until(lambda: blocks and len(blocks[-1]) > 1)
        listening.cancel()
    assert {metric.name: metric.dead_band for metric in blocks[-1].row.metrics}["temperature"] == 0.25


async def test_a_reopened_radio_reaches_a_device_only_after_receiving_it(bluez, monkeypatch):
    bluez.environment.add(device := strap())
    adapter = adapter_with()
    child = child_of(await met_on(adapter, STRAP))
    monkeypatch.setattr(reachability_module, "FIRST_ADVERTISEMENT_SECONDS", 0.2)
    device.go_out_of_range()
    async with adapter:
        with pytest.raises(DeviceUnreachable, match="not received since the radio was opened"):
            await adapter.identify(STRAP)
        with pytest.raises(DeviceUnreachable, match="not received since the radio was opened"):
            await readings_of(adapter, child)
        monkeypatch.setattr(reachability_module, "FIRST_ADVERTISEMENT_SECONDS", PATIENCE_SECONDS)
        waiting = asyncio.create_task(adapter.identify(STRAP))
        device.come_back()
        await waiting
        assert (await readings_of(adapter, child))["battery"] == 90, "it was waited for, and so can be connected to"


async def test_a_device_that_advertises_and_cannot_be_read_does_not_count_as_reachable(bluez):
    bluez.environment.add(device := strap())
    adapter = adapter_with()
    async with adapter:
        child = child_of(await adapter.identify(STRAP))
        device.faults.connect_error = dbus_errors.CONNECT_TIMED_OUT
        with pytest.raises(DeviceUnreachable):
            await readings_of(adapter, child)
        with pytest.raises(DeviceUnreachable, match="could not be identified"):
            await adapter.identify(STRAP)
        assert await discovered(adapter, 0) == [], "to find it would tell that it is back"
        device.faults.connect_error = None
        assert (await adapter.identify(STRAP)).identity.key == child.key
        assert len(await discovered(adapter)) == 1
        assert (await readings_of(adapter, child))["battery"] == 90


async def test_after_bluetoothd_has_crashed_in_the_middle_of_a_connection_devices_are_read_as_before(bluez):
    bluez.environment.add(device := strap())
    adapter = adapter_with()
    for _ in range(2):
        async with adapter:
            child = child_of(await adapter.identify(STRAP))
            assert (await readings_of(adapter, child))["battery"] == 90
            await bluez.daemon.crash()
        await bluez.daemon.start()
        assert not device.is_connected


async def test_the_last_advertisements_reads_and_refusals_of_a_device_are_recorded_with_what_they_are(bluez):
    bluez.environment.add(strap())
    bluez.environment.add(govee())
    adapter = adapter_with()
    async with adapter:
        found = next(one for one in await discovered(adapter, 2) if one.profile != "govee")
        await readings_of(adapter, child_of(found))
    frames = adapter.recorded_frames(STRAP)
    adverts = [one for one in frames if one.meaning.startswith("advertisement: ")]
    assert "name “Polar H10”" in adverts[0].meaning
    assert bytes([10, 0x09]) + b"Polar H10" in adverts[0].content
    assert {(one.meaning, one.text) for one in frames} >= {("read 2a24", b"H10".hex(" ")), ("read 2a19", "5a")}
    assert any(one.meaning == "notification of 2a37" and one.text == "00 48" for one in frames)
    assert [one.at for one in frames] == sorted(one.at for one in frames)
    assert all(one.address == STRAP for one in frames)
    (govees,) = {one.address for one in adapter.recorded_frames(GOVEE)}
    assert govees == GOVEE
    assert sum("received" in one.meaning for one in adapter.recorded_frames(GOVEE)) == 1, "one frame for the same content"
    assert any("Polar H10" in line for line in adapter.recent_frames()), "the dump has them as well"
    assert adapter.recorded_frames("00:00:00:00:00:00") == ()


def test_what_a_radio_does_is_told_with_where_it_comes_from():
    facts = {one.name: (one.value, one.source) for one in adapter_with(scan_time=5).bus_facts()}
    assert facts["controller"] == ("the first that is powered", FactSource.USUAL)
    assert facts["scanning"] == ("active", FactSource.USUAL)
    assert facts["scan_time"] == ("5 s", FactSource.CONFIGURED)
    assert facts["connections"] == ("0 of 3 in use", FactSource.USUAL)
