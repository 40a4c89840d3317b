"""The adapter contract on a bus in memory: discovery, identification, polling, and errors."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.pdu import ExceptionResponse, ReadDeviceIdentification, ReadRequest, Table, WriteRequest
from adapters.modbus.client.unit_ids import RESERVED_UNIT
from adapters.modbus.discovery.distinct_devices import ranges, slug
from adapters.modbus.profile.library import PROFILE_FILES
from gateway.adapter import Confidence, DeviceUnreachable, Found, Progress

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
    given = settings(hosts=["10.0.0.1", "10.0.0.2:1502"], lines=[{"port": "/dev/ttyUSB0", "name": "cabinet"}])
    assert [adapter.bus async for adapter in ModbusAdapter.buses(given)] == ["10.0.0.1:502", "10.0.0.2:1502", "cabinet"]


async def test_a_bus_is_open_within_and_closed_after(memory_transport, adapter_on):
    transport = memory_transport({})
    async with adapter_on(transport):
        assert transport.is_open
    assert not transport.is_open


async def test_a_discovery_tells_how_far_it_is_after_each_transaction(memory_transport, meter, adapter_on):
    transport = memory_transport({2: meter.device})
    reported = await steps(adapter_on(transport, units="1-3"))
    progress = [step for step in reported if isinstance(step, Progress)]
    assert len(progress) == len(transport.asked) + 4
    assert (progress[-1].done, progress[-1].total) == (4, 4)
    assert [step.done for step in progress] == sorted(step.done for step in progress)
    position = next(at for at, step in enumerate(reported) if isinstance(step, Found))
    assert reported[position + 1].note == "unit 2", "a device is reported before the next unit is asked"


async def test_configured_devices_come_first_and_are_devices_as_soon_as_they_answer(memory_transport, memory_unit, adapter_on):
    transport = memory_transport({}, default_unit=memory_unit())
    devices = [{"unit": 9, "profile": "omron-e5cc", "name": "Oven 2"}, {"unit": 8, "profile": "omron-e5cc"}]
    found = await found_by(adapter_on(transport, units="1-9", devices=devices))
    assert [(device.address, device.name) for device in found] == [
        ("9", "Oven 2"),
        ("8", "Omron E5CC temperature controller unit 8"),
    ]
    assert found[0].identity.key == "place:plant/bus/unit-9/omron-e5cc"


async def test_a_configured_device_that_is_silent_is_not_found(memory_transport, adapter_on):
    assert await found_by(adapter_on(memory_transport({}), units=1, devices=[{"unit": 9, "profile": "omron-e5cc"}])) == []


async def test_a_host_that_answers_all_unit_ids_is_one_device_at_the_lowest(memory_transport, twin, adapter_on):
    found = await found_by(adapter_on(memory_transport({}, default_unit=twin.device), units="3-12"))
    first, again = found
    assert first.address == again.address == "3"
    assert first.identity == again.identity
    assert "units 4-12" in again.evidence
    assert "the same answers" in again.evidence["units 4-12"]


async def test_a_host_that_answers_all_unit_ids_with_a_serial_number_is_one_device(memory_transport, meter, adapter_on):
    first, again = await found_by(adapter_on(memory_transport({}, default_unit=meter.device), units="3-5"))
    assert first.identity.key == again.identity.key == "sn:eastron/20654321"
    assert "units 4-5" in again.evidence


async def test_a_serial_number_met_again_on_a_line_is_the_same_device(memory_transport, meter, adapter_on):
    transport = memory_transport({1: meter.device, 2: meter.device})
    first, again = await found_by(adapter_on(transport, lines=[{"port": "/dev/ttyUSB0"}], hosts=[], units="1-3"))
    assert first.address == again.address == "1"
    assert again.evidence["units 2"].startswith("the same serial number")
    assert RESERVED_UNIT not in {unit for unit, _ in transport.asked}, "on a line each unit answers for itself"


async def test_two_meters_alike_on_a_host_that_tells_units_apart_are_two_devices(memory_transport, twin, adapter_on):
    found = await found_by(adapter_on(memory_transport({1: twin.device, 2: twin.device}), units="1-3"))
    assert [device.identity.key for device in found] == [
        "place:plant/bus/unit-1/eastron-sdm630",
        "place:plant/bus/unit-2/eastron-sdm630",
    ]


async def test_a_host_that_refuses_for_units_that_are_not_there_has_no_ghosts(memory_transport, memory_unit, meter, adapter_on):
    found = await found_by(adapter_on(memory_transport({7: meter.device}, default_unit=memory_unit()), units="1-9"))
    assert [device.address for device in found] == ["7"]


async def test_a_living_unit_that_nothing_fits_is_reported_without_a_profile(memory_transport, memory_unit, adapter_on, admitted):
    unknown = memory_unit(identification={0: b"Acme", 1: b"X1", 2: b"3.4"})
    adapter = adapter_on(memory_transport({5: unknown}), units="4-6")
    (found,) = await found_by(adapter)
    assert (found.profile, found.name, found.manufacturer, found.model) == (None, "Acme X1 unit 5", "Acme", "X1")
    assert found.identity.key == "place:plant/bus/unit-5/unknown"
    child = admitted(found)
    assert adapter.poll_groups(child) == {}
    assert await read(adapter, child) == []


async def test_an_address_can_be_identified_alone(memory_transport, meter, adapter_on):
    transport = memory_transport({7: meter.device})
    adapter = adapter_on(transport)
    assert (await adapter.identify("7")).identity.key == "sn:eastron/20654321"
    assert {unit for unit, _ in transport.asked} == {7}
    with pytest.raises(DeviceUnreachable, match=r"^unit 8: no answer$"):
        await adapter.identify("8")


async def test_only_the_groups_that_are_due_are_read(memory_transport, meter, adapter_on, admitted):
    adapter = adapter_on(memory_transport({1: meter.device}), units=1)
    child = admitted(await adapter.identify("1"))
    assert adapter.poll_groups(child) == {"fast": timedelta(seconds=5), "slow": timedelta(seconds=60)}
    slow = {reading.metric.name for block in await read(adapter, child, "slow") for reading in block}
    assert slow == {point.metric for point in PROFILE_FILES.load()["eastron-sdm630"].points if "energy" in point.metric}


async def test_the_readings_of_a_transaction_are_yielded_after_it(memory_transport, meter, adapter_on, admitted):
    transport = memory_transport({1: meter.device})
    adapter = adapter_on(transport, units=1)
    child = admitted(await adapter.identify("1"))
    transport.asked.clear()
    async for block in adapter.read(child, frozenset({"fast", "slow"})):
        assert len({reading.at for reading in block}) == 1
        assert block[0].at.tzinfo is UTC
        assert {reading.child for reading in block} == {child.key}
        transport.asked.append((0, ReadRequest(Table.COIL, 0, 1)))
    assert [unit for unit, _ in transport.asked] == [1, 0, 1, 0, 1, 0]


async def test_of_a_block_that_is_refused_all_but_the_illegal_point_is_read(
    memory_transport, memory_unit, meter, adapter_on, admitted
):
    tables = {table: dict(found) for table, found in meter.device.tables.items()}
    del tables[Table.INPUT][0x0046]
    transport = memory_transport({1: memory_unit(tables=tables)})
    adapter = adapter_on(transport, units=1)
    child = admitted(await adapter.identify("1"))
    asked = []
    for _ in range(3):
        transport.asked.clear()
        names = [reading.metric.name for block in await read(adapter, child) for reading in block]
        assert sorted(names) == sorted(meter.readings.keys() - {"frequency"}), "each once"
        asked.append(len(transport.asked))
    assert asked[0] <= asked[1] + 10
    assert asked[1] == asked[2], "the illegal address is not asked for again"


async def test_a_unit_that_is_busy_loses_no_point_for_good(memory_transport, meter, adapter_on, admitted):
    class Busy(type(meter.device)):
        def answer(self, request):
            raise ExceptionResponse(0x06)

    transport = memory_transport({1: meter.device})
    adapter = adapter_on(transport, units=1)
    child = admitted(await adapter.identify("1"))
    transport.units = {1: Busy()}
    assert [list(block) for block in await read(adapter, child) if block] == []
    transport.units = {1: meter.device}
    names = {reading.metric.name for block in await read(adapter, child) for reading in block}
    assert names == meter.readings.keys()


async def test_a_probe_of_a_dead_unit_costs_one_request(memory_transport, meter, adapter_on):
    transport = memory_transport({1: meter.device})
    adapter = adapter_on(transport, units=1)
    await adapter.identify("1")
    transport.units = {}
    transport.asked.clear()
    for _ in range(3):
        with pytest.raises(DeviceUnreachable):
            await adapter.identify("1")
    assert len(transport.asked) == 3
    restarted = adapter_on(transport, units=1)
    restarted.memory = adapter.memory
    with pytest.raises(DeviceUnreachable):
        await restarted.identify("1")
    assert len(transport.asked) == 4, "also after a restart"


async def test_a_scan_asks_an_absent_unit_one_request(memory_transport, meter, adapter_on):
    transport = memory_transport({5: meter.device})
    await found_by(adapter_on(transport, units="1-50"))
    assert [sum(unit == one for unit, _ in transport.asked) for one in range(1, 51) if one != 5] == [1] * 49


async def test_a_scan_that_was_broken_off_goes_on_where_it_was(memory_transport, meter, adapter_on):
    transport = memory_transport({5: meter.device})
    adapter = adapter_on(transport, units="1-9")
    async with aclosing(adapter.discover()) as discovery:
        async for step in discovery:
            if isinstance(step, Found):
                break
    restarted = adapter_on(transport, units="1-9")
    restarted.memory = adapter.memory
    transport.asked.clear()
    assert [found.address for found in await found_by(restarted)] == ["5"], "and all of it is scanned in the end"
    assert list(dict.fromkeys(unit for unit, _ in transport.asked)) == [250, 5, 6, 7, 8, 9, 1, 2, 3, 4]
    transport.asked.clear()
    await found_by(restarted)
    assert list(dict.fromkeys(unit for unit, _ in transport.asked)) == [250, *range(1, 10)]


async def test_a_discovery_never_writes(memory_transport, meter, adapter_on):
    transport = memory_transport(dict.fromkeys(range(1, 10), meter.device))
    await found_by(adapter_on(transport, units="1-20"))
    assert not [request for _, request in transport.asked if isinstance(request, WriteRequest)]


async def test_a_device_that_says_what_it_is_is_certain_and_one_that_a_person_named_is_possible(
    memory_transport, memory_unit, adapter_on, read_case
):
    reported = read_case(CASES / "moxa-iologik-e1210" / next(iter((CASES / "moxa-iologik-e1210").iterdir())).name)
    devices = [{"unit": 9, "profile": "omron-e5cc"}]
    adapter = adapter_on(memory_transport({1: reported.device, 9: memory_unit()}, None), units="1", devices=devices)
    confidence = {found.address: found.confidence for found in await found_by(adapter)}
    assert confidence["9"] is Confidence.POSSIBLE
    assert confidence["1"] in {Confidence.CERTAIN, Confidence.LIKELY}


async def test_a_silent_child_is_unreachable(memory_transport, meter, adapter_on, admitted):
    transport = memory_transport({1: meter.device})
    adapter = adapter_on(transport, units=1)
    child = admitted(await adapter.identify("1"))
    transport.units = {}
    with pytest.raises(DeviceUnreachable):
        await read(adapter, child)


async def test_a_sunspec_child_is_read_after_a_restart_without_a_discovery(memory_transport, read_case, adapter_on, admitted):
    case = read_case(CASES / "solaredge-inverter/model-103")
    child = admitted(await adapter_on(memory_transport({1: case.device})).identify("1"))
    fresh = adapter_on(memory_transport({1: case.device}))
    assert {reading.metric.name: reading.value for block in await read(fresh, child) for reading in block} == case.readings


async def test_plans_follow_a_sunspec_device_whose_models_moved(memory_transport, read_case, adapter_on, admitted):
    before = read_case(CASES / "sunspec-inverter/unknown-maker-at-base-50000")
    after = read_case(CASES / "solaredge-inverter/model-103")
    transport = memory_transport({1: before.device})
    adapter = adapter_on(transport)
    child = admitted(await adapter.identify("1"))
    await read(adapter, child)
    transport.units = {1: after.device}
    await adapter.identify("1")
    assert {reading.metric.name: reading.value for block in await read(adapter, child) for reading in block} == after.readings


async def test_nothing_is_ever_written(memory_transport, meter, adapter_on, admitted):
    transport = memory_transport({1: meter.device})
    adapter = adapter_on(transport, units="1-2")
    (found,) = await found_by(adapter)
    await read(adapter, admitted(found))
    assert {type(request).__name__ for _, request in transport.asked} <= {
        "ReadRequest",
        "ReadDeviceIdentification",
        "ReportServerId",
    }


async def test_the_plan_of_a_line_tells_what_each_poll_group_costs(settings):
    given = settings(
        lines=[{"port": "/dev/ttyUSB0", "baudrate": 9600, "parity": "N"}],
        devices=[{"unit": 5, "profile": "eastron-sdm120", "name": "Meter 5"}],
    )
    adapter = ModbusAdapter(given, given.all_buses[0])
    planned = {read.group: read for read in adapter.planned_reads([])}
    assert {read.name for read in planned.values()} == {"Meter 5"}
    assert all(0.02 < read.seconds < 1 and read.transactions >= 1 for read in planned.values())
    twice = ModbusAdapter(settings(lines=[{"port": "/dev/ttyUSB0", "baudrate": 19200}], devices=given.devices), None)
    assert all(read.seconds < planned[read.group].seconds for read in twice.planned_reads([]))


def test_hosts_and_ports_are_claimed_by_their_entry(settings):
    given = settings(hosts=["Plant.example", "10.0.0.1:1502"], lines=[{"port": "/dev/null"}])
    assert sorted(given.claims()) == ["host 10.0.0.1 port 1502", "host plant.example port 502", "port /dev/null"]


def test_a_refusal_has_a_name():
    assert str(ExceptionResponse(6)) == "exception 06 device busy"
    assert str(ReadDeviceIdentification()) == "identification (43/14)"


@pytest.mark.parametrize(("units", "text"), [([2, 3, 4, 9], "2-4, 9"), ([5], "5"), ([3, 1], "1, 3"), ([], "")])
def test_unit_ids_are_reported_as_a_person_writes_them(units, text):
    assert ranges(units) == text


def test_a_maker_becomes_part_of_a_key():
    assert slug("Schneider Electric") == "schneider-electric"
    assert slug("???") == "unknown"
