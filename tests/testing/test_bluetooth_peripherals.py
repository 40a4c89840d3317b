"""Test peripherals, their environment and their connections in simulated time."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from gateway.testing.bluetooth import (
    Characteristic,
    Descriptor,
    OperationFailed,
    Peripheral,
    RadioEnvironment,
    Service,
    Write,
    att_error,
    full_uuid,
)
from gateway.testing.bluetooth.connection import CONNECT_TIMEOUT_SECONDS, RESPONSE_TIMEOUT_SECONDS, PeripheralConnection
from gateway.testing.bluetooth.gatt import assign_handles
from gateway.testing.clock import simulated

ADDRESS = "A4:C1:38:5D:01:02"
BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"


class HandClock:
    def __init__(self) -> None:
        self.seconds = 500.0

    def __call__(self) -> float:
        return self.seconds


def test_importing_peripherals_does_not_import_dbus():
    asks = "import sys, gateway.testing.bluetooth; sys.exit('dbus_fast' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asks], check=False).returncode == 0


@pytest.mark.parametrize("written", ["2a19", "2A19", "0x2A19", "00002A19", 0x2A19, BATTERY_LEVEL.upper()])
def test_a_uuid_is_kept_long_and_in_lower_case_however_it_is_written(written):
    assert full_uuid(written) == BATTERY_LEVEL


@pytest.mark.parametrize("written", ["", "2a1", "battery", "zzzz", "00002a19-0000-1000-8000-00805f9b34f"])
def test_a_malformed_uuid_is_rejected(written):
    with pytest.raises(ValueError, match="is not a UUID"):
        full_uuid(written)


def test_a_malformed_address_or_flag_is_rejected():
    with pytest.raises(ValueError, match="is not a Bluetooth address"):
        Peripheral("A4:C1:38:5D:01")
    with pytest.raises(ValueError, match="cannot be indicates"):
        Characteristic("2a19", ["read", "indicates"])


def test_an_advertisement_is_encoded_as_transmitted():
    # The example of the BTHome specification, version 2: 25.06 degrees, 50.55 %, after its flags.
    thermometer = Peripheral(
        ADDRESS,
        name="DIY",
        service_data={"fcd2": bytes.fromhex("40 02ca09 03bf13")},
        manufacturer_data={0x0499: b"\x05\x12"},
        service_uuids=["180f", "0000fef5-0000-1000-8000-00805f9b34fb", "6e400001-b5a3-f393-e0a9-e50e24dcca9e"],
        tx_power=-4,
    )
    assert [*thermometer.advertisement().structures()] == [
        (0x01, b"\x06"),
        (0x03, bytes.fromhex("0f18 f5fe")),
        (0x07, bytes.fromhex("9ecadc240ee5a9e093f3a3b50100406e")),
        (0x09, b"DIY"),
        (0x0A, b"\xfc"),
        (0x16, bytes.fromhex("d2fc 40 02ca09 03bf13")),
        (0xFF, bytes.fromhex("9904 0512")),
    ]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ((0, 0x01, b"\x06"), True),
        ((0, 0x16, bytes.fromhex("d2fc")), True),
        ((2, 0x16, b"\x40"), True),
        ((1, 0x16, b"\x40"), False),
        ((0, 0xFF, b"\x99\x04"), False),
    ],
)
def test_a_pattern_is_looked_for_in_its_kind_of_structure_from_its_byte_on(pattern, fits):
    said = Peripheral(ADDRESS, service_data={"fcd2": b"\x40\x01\x61"}).advertisement()
    assert said.fits([pattern]) is fits
    assert said.fits([(0, 0x09, b"no"), pattern]) is fits


def test_payload_functions_receive_the_time_of_their_peripheral():
    clock = HandClock()
    level = Characteristic("2a19", value=lambda seconds: bytes([int(seconds)]))
    beacon = Peripheral(
        ADDRESS,
        manufacturer_data={1: lambda seconds: b"%d" % seconds},
        service_data={"fcd2": lambda seconds: b"%d" % (2 * seconds)},
        services=[Service("180f", [level])],
        clock=clock,
    )
    clock.seconds += 7
    said = beacon.advertisement()
    assert (said.manufacturer_data[1], said.service_data[full_uuid("fcd2")], beacon.value(level)) == (b"7", b"14", b"\x07")


def test_each_change_is_advertised_at_once_and_several_changes_together():
    beacon = Peripheral(ADDRESS, rssi=-60)
    said = []
    beacon.listen(lambda peripheral: said.append((peripheral.rssi, peripheral.manufacturer_data.get(1), peripheral.name)))
    beacon.rssi = -70
    beacon.manufacturer_data = {1: b"a"}
    beacon.advertise(rssi=-71, manufacturer_data={1: b"b"}, name="N")
    beacon.advertise()
    assert said == [(-70, None, None), (-70, b"a", None), (-71, b"b", "N"), (-71, b"b", "N")]


def test_peripherals_advertise_at_their_intervals_while_there_is_a_listener():
    async def main():
        heard = []
        quick, slow, mute = (
            Peripheral(f"A4:C1:38:00:00:0{n}", advertises_every=every) for n, every in enumerate((0.1, 1, None), 1)
        )
        environment = RadioEnvironment([quick, slow, mute])
        await asyncio.sleep(10)
        assert environment.advertisements == 0
        stop = environment.listen(lambda peripheral: heard.append(peripheral))
        await asyncio.sleep(10.05)
        stop()
        await asyncio.sleep(10)
        assert (heard.count(quick), heard.count(slow), heard.count(mute)) == (101, 10, 0)

    simulated(main())


def test_a_connected_or_absent_peripheral_does_not_advertise():
    async def main():
        heard = []
        beacon = Peripheral(ADDRESS, advertises_every=1)
        RadioEnvironment([beacon]).listen(heard.append)
        connection = await PeripheralConnection.open(beacon, lambda: None)
        await asyncio.sleep(5.5)
        assert heard == []
        connection.close()
        await asyncio.sleep(5)
        assert len(heard) == 5
        beacon.go_out_of_range()
        await asyncio.sleep(5)
        assert len(heard) == 5
        beacon.come_back()
        assert len(heard) == 6

    simulated(main())


def test_an_added_peripheral_advertises_and_a_removed_one_no_longer():
    async def main():
        heard = []
        environment = RadioEnvironment()
        environment.listen(heard.append)
        beacon = Peripheral(ADDRESS, advertises_every=1)
        environment.add(beacon)
        await asyncio.sleep(2.5)
        lost = []
        await PeripheralConnection.open(beacon, lambda: lost.append("connection"))
        environment.remove(beacon)
        await asyncio.sleep(5)
        assert (len(heard), lost, beacon in environment) == (3, ["connection"], False)
        with pytest.raises(ValueError, match="address A4:C1:38:5D:01:02"):
            RadioEnvironment([beacon, Peripheral(ADDRESS)])

    simulated(main())


def test_advertising_in_turn_keeps_its_rate_and_includes_every_peripheral():
    async def main():
        crowd = [Peripheral(f"A4:C1:38:00:00:{n:02X}", advertises_every=None) for n in range(50)]
        environment, heard = RadioEnvironment(crowd), []
        environment.listen(lambda peripheral: heard.append((peripheral.address, peripheral.rssi, peripheral.name)))
        advertising = asyncio.create_task(
            environment.advertise_in_turn(500, vary=lambda peripheral, n: {"rssi": -40 - n % 9, "name": f"n{n}"})
        )
        await asyncio.sleep(10)
        advertising.cancel()
        assert 4990 <= len(heard) <= 5010
        assert all(95 <= sum(1 for address, *_ in heard if address == one.address) <= 105 for one in crowd)
        assert len({name for _, _, name in heard}) == len(heard)

    simulated(main())


def test_attributes_have_the_handles_of_a_real_device():
    measured = Characteristic("2a6e", ["read", "notify"], descriptors=[Descriptor("2901", b"inside")])
    services = (Service("180f", [Characteristic("2a19")]), Service("181a", [measured, Characteristic("2a6f")]))
    assert [
        (handle, [(place.handle, [described for described, _ in place.descriptors]) for place in places])
        for handle, _, places in assign_handles(services)
    ] == [(1, [(2, [])]), (4, [(5, [7, 8]), (9, [])])]


def test_reads_are_executed_one_after_the_other():
    async def main():
        peripheral = Peripheral(ADDRESS, services=[Service("180f", [Characteristic("2a19", value=b"\x50")])])
        peripheral.faults.connect_seconds, peripheral.faults.answer_seconds = 2, 0.5
        connection = await PeripheralConnection.open(peripheral, lambda: None)
        assert asyncio.get_running_loop().time() == pytest.approx(2)
        level = peripheral.characteristic("2a19")
        assert await asyncio.gather(*(connection.read(level) for _ in range(4))) == [b"\x50"] * 4
        assert asyncio.get_running_loop().time() == pytest.approx(4)

    simulated(main())


def test_a_missing_response_closes_the_connection_after_half_a_minute():
    async def main():
        peripheral, lost = Peripheral(ADDRESS, services=[Service("180f", [Characteristic("2a19")])]), []
        level = peripheral.characteristic("2a19")
        connection = await PeripheralConnection.open(peripheral, lambda: lost.append(True))
        level.is_silent = True
        with pytest.raises(OperationFailed, match="ATT error: 0x0e"):
            await connection.read(level)
        assert asyncio.get_running_loop().time() == pytest.approx(RESPONSE_TIMEOUT_SECONDS)
        assert (lost, peripheral.is_connected) == ([True], False)

    simulated(main())


def test_a_connection_attempt_out_of_range_fails_after_twenty_seconds():
    async def main():
        peripheral = Peripheral(ADDRESS)
        peripheral.go_out_of_range()
        with pytest.raises(OperationFailed, match="le-connection-abort-by-timeout"):
            await PeripheralConnection.open(peripheral, lambda: None)
        assert asyncio.get_running_loop().time() == pytest.approx(CONNECT_TIMEOUT_SECONDS)

    simulated(main())


def test_a_peripheral_has_one_connection_at_a_time():
    async def main():
        peripheral = Peripheral(ADDRESS)
        connection = await PeripheralConnection.open(peripheral, lambda: None)
        with pytest.raises(OperationFailed, match="le-connection-abort-by-local"):
            await PeripheralConnection.open(peripheral, lambda: None)
        connection.close()
        await PeripheralConnection.open(peripheral, lambda: None)
        assert peripheral.connections == 2

    simulated(main())


def test_a_refused_write_without_response_fails_silently():
    async def main():
        switch = Characteristic("fff1", ["write-without-response"])
        peripheral = Peripheral(ADDRESS, services=[Service("fff0", [switch])])
        connection = await PeripheralConnection.open(peripheral, lambda: None)
        await connection.write(switch, b"on", with_response=False)
        switch.error_reply = att_error(0x80)
        await connection.write(switch, b"off", with_response=False)
        assert [*switch.writes] == [Write(b"on", with_response=False)]
        with pytest.raises(OperationFailed, match="Failed to initiate write"):
            await connection.write(switch, bytes(245), with_response=False)

    simulated(main())


def test_a_subscribed_characteristic_notifies_periodically_until_the_connection_ends():
    async def main():
        ticking = Characteristic("2a6e", ["notify"], lambda seconds: b"tick", notify_every=0.5)
        peripheral, heard = Peripheral(ADDRESS, services=[Service("181a", [ticking])]), []
        connection = await PeripheralConnection.open(peripheral, lambda: None)
        await asyncio.sleep(3)
        await connection.subscribe(ticking, heard.append)
        await asyncio.sleep(2.1)
        peripheral.drop_connection()
        await asyncio.sleep(3)
        assert heard == [b"tick"] * 4

    simulated(main())


def test_a_peripheral_with_frames_sends_them_in_turn_each_with_its_own_data_only():
    device = Peripheral("A4:C1:38:00:00:01", name="Sensor", manufacturer_data={1: b"before"})
    device.frames = ({"manufacturer_data": {0x004C: b"beacon"}}, {"service_data": {"feaa": b"frame"}, "name": "Other"})
    sent = []
    device.listen(lambda peripheral: sent.append(peripheral.advertisement()))
    for _ in range(3):
        device.advertise()
    assert [(one.name, *one.manufacturer_data.values(), *one.service_data.values()) for one in sent] == [
        ("Sensor", b"beacon"),
        ("Other", b"frame"),
        ("Other", b"beacon"),
    ]
    device.advertise(manufacturer_data={1: b"pressed"})
    device.advertise()
    assert [*sent[-2].manufacturer_data.values()] == [b"pressed"], "a change of a test goes before its frames"
    assert [*sent[-1].service_data.values()] == [b"frame"]
