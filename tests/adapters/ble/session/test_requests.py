"""Test devices that answer requests: over a real D-Bus, and in simulated time those that are late, damaged or silent."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from adapters.ble import BleAdapter
from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.session.device_sessions import DeviceSessions
from gateway.adapter import ChildDevice, DeviceUnreachable, Found
from gateway.testing.bluetooth.gatt import Characteristic, Service, Write
from gateway.testing.bluetooth.peripheral import Peripheral
from gateway.testing.clock import simulated

VERSION = bytes.fromhex("dd0500194a42442d53503034533033342d4c34532d323030412d422d55fa0877")
STATE = bytes.fromhex("dd03001d0618000001f201f400002c7c00000000000080640304030b8b0b8a0b84fa8d77")
CELLS = bytes.fromhex("dd0400080f450f3d0f370f3dfec677")
"""Captured of a JBD battery monitor by syssi/esphome-jbd-bms."""
ANSWERS = {5: VERSION, 3: STATE, 4: CELLS}
CASES = Path(__file__).parents[1] / "cases"
PROFILE = PROFILE_FILES.load()["jbd-bms"]
SERVICE, NOTIFY, WRITE = map(full_uuid, ("ff00", "ff01", "ff02"))
MONITOR, METER = "A5:C2:37:00:00:01", "A5:C2:37:00:00:02"


class MonitorInMemory:
    """A connected monitor that sends these notifications after a request with this number, in simulated time."""

    is_blocked = False

    def __init__(self, answers: Callable[[int], list[bytes]]) -> None:
        self.services = {SERVICE: {NOTIFY: frozenset({"notify"}), WRITE: frozenset({"write", "write-without-response"})}}
        self.answers = answers
        self.asked: list[int] = []
        self.callbacks: list[Callable[[bytes], None]] = []
        self.initialized: set[object] = set()
        self.subscribed: set[object] = set()

    async def is_paired(self) -> bool:
        return False

    async def subscribe(self, service: str, characteristic: str, callback: Callable[[bytes], None]) -> Callable[[], None]:
        assert (service, characteristic) == (SERVICE, NOTIFY)
        self.callbacks.append(callback)
        return partial(self.callbacks.remove, callback)

    async def write(self, service: str, characteristic: str, value: bytes, *, with_response: bool) -> None:
        assert (service, characteristic, with_response) == (SERVICE, WRITE, False)
        self.asked.append(value[2])
        for one in self.answers(value[2]):
            for callback in tuple(self.callbacks):
                callback(one)


class PoolOfOne:
    """A pool with one open connection."""

    slots, used_slots = 1, 1

    def __init__(self, connection: MonitorInMemory) -> None:
        self.connection = connection

    @asynccontextmanager
    async def acquire(self, address: str, *, keep: bool = False) -> AsyncIterator[MonitorInMemory]:
        yield self.connection


def tracked() -> TrackedDevice:
    device = TrackedDevice(Advertisement(address=MONITOR, name="JBD-SP04S034", is_random=False), None, {})
    device.profile = PROFILE
    return device


def read(connection: MonitorInMemory) -> tuple[dict[str, object], Sequence[str]]:
    """Read all values of a monitor in simulated time, and return them with what the operator is told."""
    sessions, device, readings = DeviceSessions(PoolOfOne(connection)), tracked(), []
    child = child_of(device.found())

    async def main() -> None:
        await sessions.read(child, device, PROFILE, frozenset(PROFILE.intervals), readings)

    simulated(main())
    assert not connection.callbacks, "nobody listens any more"
    return {reading.metric.name: reading.value for reading in readings}, sessions.remarks(child)


def monitor(answers: Callable[[int], list[bytes]]) -> Peripheral:
    """Make a JBD battery monitor that sends these notifications after a request with this number."""
    notifying = Characteristic("ff01", ("notify",))

    def on_write(write: Write) -> None:
        for one in answers(write.value[2]):
            notifying.notify(one)

    writable = Characteristic("ff02", ("write-without-response",), on_write=on_write)
    return Peripheral(MONITOR, name="JBD-SP04S034", service_uuids=["ff00"], services=[Service("ff00", [notifying, writable])])


def meter(stored: list[bytes], status: bytes) -> Peripheral:
    """Make a glucose meter that reports its stored measurements, and ends with a status."""
    measurement = Characteristic("2a18", ("notify",))
    control = Characteristic("2a52", ("write", "indicate"))

    def on_write(write: Write) -> None:
        assert write.value == bytes.fromhex("0106")
        assert write.with_response
        for one in stored:
            measurement.notify(one)
        control.notify(status)

    control.on_write = on_write
    return Peripheral(METER, name="Meter", service_uuids=["1808"], services=[Service("1808", [measurement, control])])


def adapter() -> BleAdapter:
    return BleAdapter(BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", "scan_time": 0.2}))


def child_of(found: Found) -> ChildDevice:
    return ChildDevice(
        key=found.identity.key, adapter="radio", bus="radio", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip


async def met(radio: BleAdapter, address: str) -> ChildDevice:
    return child_of(await radio.identify(address))


async def values_of(radio: BleAdapter, child: ChildDevice) -> dict[str, object]:
    due = frozenset(radio.poll_groups(child))
    return {reading.metric.name: reading.value async for block in radio.read(child, due) for reading in block}


async def test_a_monitor_is_asked_who_it_is_and_for_its_values(bluez):
    bluez.environment.add(device := monitor(lambda number: [ANSWERS[number][:20], ANSWERS[number][20:]]))
    async with adapter() as radio:
        found = await radio.identify(MONITOR)
        assert (found.profile, found.model) == ("jbd-bms", "JBD-SP04S034-L4S-200A-B-U")
        assert found.evidence["model (answer to version)"] == "JBD-SP04S034-L4S-200A-B-U"
        values = await values_of(radio, child_of(found))
    assert (values["battery_voltage"], values["cell_voltage_4"]) == (15.6, 3.901)
    assert "cell_voltage_5" not in values
    assert not any(write.with_response for write in device.characteristic("ff02").writes)


def test_an_answer_that_lost_a_notification_is_asked_for_again():
    def answers(number: int) -> list[bytes]:
        whole = ANSWERS[number]
        return [whole[:8], whole[16:]] if connection.asked.count(number) == 1 else [whole]

    connection = MonitorInMemory(answers)
    values, remarks = read(connection)
    assert values["battery_state_of_charge"] == 100
    assert connection.asked == [3, 3, 4, 4]
    assert not [one for one in remarks if "state" in one]


def test_an_answer_to_another_request_in_between_is_none_to_this_one():
    values, _ = read(MonitorInMemory(lambda number: [CELLS, VERSION[:9], ANSWERS[number]]))
    assert (values["battery_voltage"], values["cell_voltage_1"]) == (15.6, 3.909)


def test_what_a_device_does_not_answer_costs_no_other_value_and_is_remarked():
    values, remarks = read(MonitorInMemory(lambda number: [ANSWERS[number]] if number != 4 else [CELLS[:-3] + b"\0\0w"]))
    assert values["battery_voltage"] == 15.6
    assert "cell_voltage_1" not in values
    assert "cells: 2 answers came damaged, with a wrong checksum" in remarks


def test_a_device_that_connects_and_answers_nothing_is_unreachable():
    with pytest.raises(DeviceUnreachable, match="it accepts the connection, and does not answer: state: the device sent no"):
        read(MonitorInMemory(lambda number: []))


def test_a_device_that_does_not_say_what_it_is_is_asked_again_later():
    silent = [True]
    device = tracked()
    pool = PoolOfOne(MonitorInMemory(lambda number: [] if silent else [ANSWERS[number]]))
    sessions = DeviceSessions(pool, library=lambda: [PROFILE])
    simulated(sessions.identify(device))
    assert "it could not be identified: it does not say what it is: version: the device sent no whole" in device.problem
    assert device.needs_connection
    silent.clear()
    simulated(sessions.identify(device))
    assert (device.problem, device.profile, device.information.model) == (None, PROFILE, "JBD-SP04S034-L4S-200A-B-U")


async def test_a_refusal_is_remarked_with_its_meaning(bluez):
    refusal = bytes.fromhex("dd048000008077")
    bluez.environment.add(monitor(lambda number: [ANSWERS[number]] if number != 4 else [refusal]))
    async with adapter() as radio:
        child = await met(radio, MONITOR)
        assert (await values_of(radio, child))["battery_voltage"] == 15.6
        assert "cells: the device answers dd 04 80 00 00 80 77: it does not know this request" in radio.remarks(child)


async def test_a_device_that_answers_in_another_language_has_no_profile_and_says_what_it_answered(bluez):
    device = monitor(lambda number: [b"\x55\xaa\xeb\x90", bytes.fromhex("dd058000008077")])
    bluez.environment.add(device)
    async with adapter() as radio:
        found = await radio.identify(MONITOR)
    assert found.profile is None
    assert found.needs is not None
    assert found.needs.startswith("it looks like jbd-bms, and confirms none of them: version: the device answers dd 05 80")


async def test_a_glucose_meter_reports_its_last_measurement(bluez):
    bluez.environment.add(meter([bytes.fromhex("020100e3070c190c0a1e78b012")], bytes.fromhex("06000101")))
    async with adapter() as radio:
        found = await radio.identify(METER)
        assert (found.profile, found.family) == ("gatt-1808", "glucose-meter")
        values = await values_of(radio, child_of(found))
    assert values == {
        "glucose": 120.0,
        "measured_at": "2019-12-25T12:10:30",
        "sample_type": "capillary plasma",
        "sample_location": "finger",
    }


async def test_a_glucose_meter_without_a_measurement_is_reachable_and_says_so(bluez):
    bluez.environment.add(meter([], bytes.fromhex("06000106")))
    async with adapter() as radio:
        child = await met(radio, METER)
        assert await values_of(radio, child) == {}
        assert "last-record: the device answers 06 00 01 06: it has stored no measurement" in radio.remarks(child)


async def test_of_two_characteristics_with_one_uuid_each_is_used_for_what_it_can_and_a_passcode_is_not_recorded(bluez):
    case = tomllib.loads((CASES / "jk-bms-24s" / "firmware-10" / "device.toml").read_text("utf-8"))
    frames = {0x97: bytes.fromhex(case["answers"]["information"]), 0x96: bytes.fromhex(case["answers"]["cells"])}
    notifying = Characteristic("ffe1", ("notify",))

    def on_write(write: Write) -> None:
        for at in range(0, 300, 128):
            notifying.notify(frames[write.value[4]][at : at + 128])

    writable = Characteristic("ffe1", ("write-without-response",), on_write=on_write)
    device = Peripheral(MONITOR, name="JK-B2A20S20P", service_uuids=["ffe0"], services=[Service("ffe0", [writable, notifying])])
    bluez.environment.add(device)
    async with adapter() as radio:
        found = await radio.identify(MONITOR)
        assert (found.profile, found.serial_number) == ("jk-bms-24s", "2032816012")
        assert (await values_of(radio, child_of(found)))["battery_voltage"] == 52.971
        frames_kept = radio.recorded_frames(found.address)
    shown = [frame.text for frame in frames_kept]
    assert not any(b"1234".hex(" ") in one for one in shown)
    assert any(one.startswith("55 aa eb 90 02") for one in shown)
