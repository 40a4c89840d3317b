"""The adapter contract on a bus in memory: who is a device, what is read, what happens to what goes wrong."""

from __future__ import annotations

import logging
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.pdu import Read, ReadIdentification, Refused, Table
from adapters.modbus.rollcall import RESERVED_UNIT, ranges, slug
from gateway.adapter import DeviceUnreachable, Found, Progress

CASES = Path(__file__).parent / "cases"


@pytest.fixture
def meter(read_case):
    return read_case(CASES / "eastron-sdm630/three-phases")


@pytest.fixture
def twin(read_case):
    """A meter without a serial number."""
    return read_case(CASES / "eastron-sdm630/no-serial-number")


async def steps(adapter) -> list[Found | Progress]:
    return [step async for step in adapter.discover()]


async def found_by(adapter) -> list[Found]:
    return [step for step in await steps(adapter) if isinstance(step, Found)]


async def read(adapter, child, *groups: str):
    return [block async for block in adapter.read(child, frozenset(groups or adapter.poll_groups(child)))]


async def test_each_bus_of_an_entry_is_an_adapter_of_its_own(settings):
    said = settings(hosts=["10.0.0.1", "10.0.0.2:1502"], lines=[{"port": "/dev/ttyUSB0", "name": "cabinet"}])
    assert [adapter.bus async for adapter in ModbusAdapter.buses(said)] == ["10.0.0.1:502", "10.0.0.2:1502", "cabinet"]


async def test_a_bus_is_open_within_and_closed_after(memory_wire, adapter_on):
    wire = memory_wire({})
    async with adapter_on(wire):
        assert wire.is_open
    assert not wire.is_open


async def test_a_discovery_tells_how_far_it_is_after_each_transaction(memory_wire, meter, adapter_on):
    wire = memory_wire({2: meter.device})
    told = await steps(adapter_on(wire, units="1-3"))
    progress = [step for step in told if isinstance(step, Progress)]
    assert len(progress) == len(wire.asked) + 4
    assert (progress[-1].done, progress[-1].total) == (4, 4)
    assert [step.done for step in progress] == sorted(step.done for step in progress)
    position = next(at for at, step in enumerate(told) if isinstance(step, Found))
    assert told[position + 1].note == "unit 2", "a device is told before the next unit is asked"


async def test_configured_devices_come_first_and_are_devices_as_soon_as_they_answer(memory_wire, memory_unit, adapter_on):
    wire = memory_wire({}, everybody=memory_unit())
    devices = [{"unit": 9, "profile": "omron-e5cc", "name": "Oven 2"}, {"unit": 8, "profile": "omron-e5cc"}]
    found = await found_by(adapter_on(wire, units="1-9", devices=devices))
    assert [(device.address, device.name) for device in found] == [
        ("9", "Oven 2"),
        ("8", "Omron E5CC temperature controller unit 8"),
    ]
    assert found[0].identity.key == "place:plant/bus/unit-9/omron-e5cc"


async def test_a_configured_device_that_is_silent_is_not_found(memory_wire, adapter_on):
    assert await found_by(adapter_on(memory_wire({}), units=1, devices=[{"unit": 9, "profile": "omron-e5cc"}])) == []


async def test_a_host_that_answers_all_unit_ids_is_one_device_at_the_lowest(memory_wire, twin, adapter_on):
    found = await found_by(adapter_on(memory_wire({}, everybody=twin.device), units="3-12"))
    first, again = found
    assert first.address == again.address == "3"
    assert first.identity == again.identity
    assert "units 4-12" in again.evidence
    assert "the same answers" in again.evidence["units 4-12"]


async def test_a_host_that_answers_all_unit_ids_with_a_serial_number_is_one_device(memory_wire, meter, adapter_on):
    first, again = await found_by(adapter_on(memory_wire({}, everybody=meter.device), units="3-5"))
    assert first.identity.key == again.identity.key == "sn:eastron/20654321"
    assert "units 4-5" in again.evidence


async def test_a_serial_number_met_again_on_a_line_is_the_same_device(memory_wire, meter, adapter_on):
    wire = memory_wire({1: meter.device, 2: meter.device})
    first, again = await found_by(adapter_on(wire, lines=[{"port": "/dev/ttyUSB0"}], hosts=[], units="1-3"))
    assert first.address == again.address == "1"
    assert again.evidence["units 2"].startswith("the same serial number")
    assert RESERVED_UNIT not in {unit for unit, _ in wire.asked}, "on a line each unit answers for itself"


async def test_two_meters_alike_on_a_host_that_tells_units_apart_are_two_devices(memory_wire, twin, adapter_on):
    found = await found_by(adapter_on(memory_wire({1: twin.device, 2: twin.device}), units="1-3"))
    assert [device.identity.key for device in found] == [
        "place:plant/bus/unit-1/eastron-sdm630",
        "place:plant/bus/unit-2/eastron-sdm630",
    ]


async def test_a_host_that_refuses_for_units_that_are_not_there_has_no_ghosts(memory_wire, memory_unit, meter, adapter_on):
    found = await found_by(adapter_on(memory_wire({7: meter.device}, everybody=memory_unit()), units="1-9"))
    assert [device.address for device in found] == ["7"]


async def test_a_living_unit_that_nothing_fits_is_told_without_a_profile(memory_wire, memory_unit, adapter_on, admitted):
    stranger = memory_unit(identification={0: b"Acme", 1: b"X1", 2: b"3.4"})
    adapter = adapter_on(memory_wire({5: stranger}), units="4-6")
    (found,) = await found_by(adapter)
    assert (found.profile, found.name, found.manufacturer, found.model) == (None, "Acme X1 unit 5", "Acme", "X1")
    assert found.identity.key == "place:plant/bus/unit-5/unknown"
    child = admitted(found)
    assert adapter.poll_groups(child) == {}
    assert await read(adapter, child) == []


async def test_an_address_can_be_identified_alone(memory_wire, meter, adapter_on):
    wire = memory_wire({7: meter.device})
    adapter = adapter_on(wire)
    assert (await adapter.identify("7")).identity.key == "sn:eastron/20654321"
    assert {unit for unit, _ in wire.asked} == {7}
    with pytest.raises(DeviceUnreachable, match=r"^unit 8: no answer$"):
        await adapter.identify("8")


async def test_only_the_groups_that_are_due_are_read(memory_wire, meter, adapter_on, admitted):
    adapter = adapter_on(memory_wire({1: meter.device}), units=1)
    child = admitted(await adapter.identify("1"))
    assert adapter.poll_groups(child) == {"fast": timedelta(seconds=5), "slow": timedelta(seconds=60)}
    slow = {reading.metric.name for block in await read(adapter, child, "slow") for reading in block}
    assert slow == {"energy_import", "energy_export", "energy_total"}


async def test_the_readings_of_a_transaction_are_yielded_after_it(memory_wire, meter, adapter_on, admitted):
    wire = memory_wire({1: meter.device})
    adapter = adapter_on(wire, units=1)
    child = admitted(await adapter.identify("1"))
    wire.asked.clear()
    async for block in adapter.read(child, frozenset({"fast", "slow"})):
        assert len({reading.at for reading in block}) == 1
        assert block[0].at.tzinfo is UTC
        assert {reading.child for reading in block} == {child.key}
        wire.asked.append((0, Read(Table.COIL, 0, 1)))
    assert [unit for unit, _ in wire.asked] == [1, 0, 1, 0, 1, 0]


async def test_a_refused_block_is_told_once_and_the_others_are_read(
    memory_wire, memory_unit, meter, adapter_on, admitted, caplog
):
    caplog.set_level(logging.INFO, logger="adapters.modbus")
    tables = {table: dict(found) for table, found in meter.device.tables.items()}
    del tables[Table.INPUT][0x0156]
    unit = memory_unit(tables=tables)
    adapter = adapter_on(memory_wire({1: unit}), units=1)
    child = admitted(await adapter.identify("1"))
    for _ in range(3):
        names = {reading.metric.name for block in await read(adapter, child) for reading in block}
        assert names == meter.readings.keys() - {"energy_total"}
    (warning,) = caplog.records
    assert warning.getMessage().startswith(f"bus: {child.name} refuses to read input 342-343: exception 02 illegal data address")

    tables[Table.INPUT][0x0156] = 0
    await read(adapter, child)
    await read(adapter, child)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_silent_child_is_unreachable(memory_wire, meter, adapter_on, admitted):
    wire = memory_wire({1: meter.device})
    adapter = adapter_on(wire, units=1)
    child = admitted(await adapter.identify("1"))
    wire.units = {}
    with pytest.raises(DeviceUnreachable):
        await read(adapter, child)


async def test_a_sunspec_child_is_read_after_a_restart_without_a_discovery(memory_wire, read_case, adapter_on, admitted):
    case = read_case(CASES / "solaredge-inverter/model-103")
    child = admitted(await adapter_on(memory_wire({1: case.device})).identify("1"))
    fresh = adapter_on(memory_wire({1: case.device}))
    assert {reading.metric.name: reading.value for block in await read(fresh, child) for reading in block} == case.readings


async def test_plans_follow_a_sunspec_device_whose_models_moved(memory_wire, read_case, adapter_on, admitted):
    before = read_case(CASES / "sunspec-inverter/unknown-maker-at-base-50000")
    after = read_case(CASES / "solaredge-inverter/model-103")
    wire = memory_wire({1: before.device})
    adapter = adapter_on(wire)
    child = admitted(await adapter.identify("1"))
    await read(adapter, child)
    wire.units = {1: after.device}
    await adapter.identify("1")
    assert {reading.metric.name: reading.value for block in await read(adapter, child) for reading in block} == after.readings


async def test_nothing_is_ever_written(memory_wire, meter, adapter_on, admitted):
    wire = memory_wire({1: meter.device})
    adapter = adapter_on(wire, units="1-2")
    (found,) = await found_by(adapter)
    await read(adapter, admitted(found))
    assert {type(question).__name__ for _, question in wire.asked} <= {"Read", "ReadIdentification", "ReportServerId"}


def test_a_line_reads_through_no_hole_that_costs_more_than_a_request(settings, read_case):
    said = settings(lines=[{"port": "/dev/ttyUSB0", "baudrate": 2400}], hosts=["10.0.0.1"])
    host, line = (ModbusAdapter(said, bus) for bus in said.all_buses)
    profile = said.library["sunspec-inverter"]
    assert host._max_gap(profile) == 125
    assert line._max_gap(profile) == 10


def test_a_refusal_has_a_name():
    assert str(Refused(6)) == "exception 06 device busy"
    assert str(ReadIdentification()) == "identification (43/14)"


@pytest.mark.parametrize(("units", "text"), [([2, 3, 4, 9], "2-4, 9"), ([5], "5"), ([3, 1], "1, 3"), ([], "")])
def test_unit_ids_are_told_as_a_person_writes_them(units, text):
    assert ranges(units) == text


def test_a_maker_becomes_part_of_a_key():
    assert slug("Schneider Electric") == "schneider-electric"
    assert slug("???") == "unknown"
