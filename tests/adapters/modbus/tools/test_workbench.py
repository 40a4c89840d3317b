"""The workbench on a bus: dumps, profiles tried on a device, and tools that need a bus."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Table
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.tools.dump import InvalidRange, dump_registers, fewest_reads, parse_range
from adapters.modbus.tools.workbench import ModbusWorkbench
from gateway.adapter import DeviceUnreachable, Dump, NotOffered, ProfileProblems


@pytest.fixture
def bench_on(settings):
    def make(transport, **given):
        made = settings(**given)
        return ModbusWorkbench(made, made.all_buses[0], transport)

    return make


async def dumped(bench, address, *where):
    steps = [step async for step in bench.take_dump(address, where)]
    assert isinstance(steps[-1], Dump)
    return steps[-1].cells


async def test_a_dump_holds_every_register_that_can_be_read(memory_transport, memory_unit, bench_on):
    tables = {Table.HOLDING: {address: address for address in (0, 1, 2, 57, 300, 301)}, Table.INPUT: {7: 7}}
    cells = await dumped(bench_on(memory_transport({3: memory_unit(tables=tables)})), "3")
    assert cells == {"holding": tables[Table.HOLDING], "input": {7: 7}}


async def test_a_dump_of_a_range_reads_nothing_else(memory_transport, memory_unit, bench_on):
    transport = memory_transport({3: memory_unit(tables={Table.HOLDING: dict.fromkeys(range(1000), 1)})})
    cells = await dumped(bench_on(transport), "3", "holding 0x10-0x1f")
    assert list(cells["holding"]) == list(range(16, 32))
    assert [request for _, request in transport.asked] == [ReadRequest(Table.HOLDING, 16, 16)]


async def test_a_device_that_is_silent_is_not_dumped_for_hours(memory_transport, bench_on):
    transport = memory_transport({})
    with pytest.raises(DeviceUnreachable, match="unit 3 does not answer"):
        await dumped(bench_on(transport), "3")
    assert len(transport.asked) <= 10


@pytest.mark.parametrize("address", ["00000000000000000256", "248", "256", "-1", "three", "", "\u00b2"])
async def test_what_is_no_unit_id_is_reported(memory_transport, bench_on, address):
    with pytest.raises(DeviceUnreachable, match="is not a unit id"):
        await dumped(bench_on(memory_transport({})), address)


@pytest.mark.parametrize("text", ["", "holding", "coil 0-9", "holding 9-0", "input 0-65536", "holding 1-2-3", "holding x"])
async def test_what_is_no_range_is_reported_with_what_one_looks_like(memory_transport, bench_on, text):
    with pytest.raises(InvalidRange):
        parse_range(text)
    with pytest.raises(NotOffered):
        await dumped(bench_on(memory_transport({})), "1", text)


@given(st.sets(st.integers(0, 400), max_size=60))
def test_every_legal_register_is_in_the_dump_and_no_other(legal):
    taking = dump_registers(["holding 0-400"])
    read = next(taking)
    cells = None
    while cells is None:
        places = range(read.address, read.address + read.count)
        legal_block = all(place in legal for place in places)
        try:
            read = taking.send(b"".join(place.to_bytes(2) for place in places) if legal_block else ExceptionResponse(2))
        except StopIteration as end:
            cells = end.value.get("holding", {})
    assert cells == {place: place for place in legal}
    assert fewest_reads(["holding 0-400"]) == 5


async def test_a_profile_is_tried_on_a_device_and_what_it_refuses_is_left_out(
    memory_transport, memory_unit, bench_on, read_case, request
):
    case = read_case(request.path.parents[1] / "cases" / "eastron-sdm630" / "three-phases")
    tables = {table: dict(found) for table, found in case.device.tables.items()}
    del tables[Table.INPUT][0x0046]
    bench = bench_on(memory_transport({1: memory_unit(tables=tables)}))
    readings = [one async for block in bench.try_profile(PROFILE_FILES.folder / "eastron-sdm630.toml", "1") for one in block]
    assert {one.metric.name for one in readings} == case.readings.keys() - {"frequency"}
    with pytest.raises(DeviceUnreachable):
        [one async for one in bench.try_profile(PROFILE_FILES.folder / "eastron-sdm630.toml", "2")]


def test_a_profile_is_checked_without_a_bus_for_9600_baud(tmp_path):
    checked = ModbusWorkbench().check_profile(PROFILE_FILES.folder / "eastron-sdm630.toml")
    metrics = [metric for block in checked.blocks for metric in block.metrics]
    assert len(metrics) == len(set(metrics)) == len(PROFILE_FILES.load()["eastron-sdm630"].points)
    assert all(0.02 < block.seconds < 0.11 for block in checked.blocks)


@pytest.mark.parametrize("content", ["name = ", 'name = "other"', "", "\xff"])
def test_a_profile_with_mistakes_names_its_file(tmp_path, content):
    file = tmp_path / "mine.toml"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(ProfileProblems, match=r"mine\.toml"):
        ModbusWorkbench().check_profile(file)
    with pytest.raises(ProfileProblems, match="cannot be read"):
        ModbusWorkbench().check_profile(tmp_path / "missing.toml")


def test_our_profiles_are_known():
    known = {one.name: one for one in ModbusWorkbench().profiles()}
    assert known.keys() == {file.stem for file in PROFILE_FILES.folder.glob("*.toml")}
    assert known["waveshare-relay-b"].commands == 8
    assert not known["waveshare-relay-b"].is_found


async def test_tools_that_need_a_bus_say_so():
    with pytest.raises(NotOffered):
        [step async for step in ModbusWorkbench().detect_line()]
    with pytest.raises(NotOffered):
        await dumped(ModbusWorkbench(), "1")


async def test_the_value_on_a_display_is_found_on_a_bus(memory_transport, memory_unit, bench_on):
    unit = memory_unit(tables={Table.HOLDING: {0: 5, 1: 2301, 2: 2298, 3: 2311}})
    bench = bench_on(memory_transport({1: unit}))
    cells = Dump(cells=await dumped(bench, "1", "holding 0-3"))
    assert bench.explain([(cells, Decimal("230.1"))], tolerance=0)[0].where == "holding 1, uint16, x 0.1"


class OneAtATime:
    """A unit that is silent to reads of more than one register."""

    def __init__(self, unit):
        self.unit, self.silences = unit, 0

    def answer(self, request):
        if isinstance(request, ReadRequest) and request.count > 1:
            self.silences += 1
            raise DeviceUnreachable("no answer")
        return self.unit.answer(request)


async def test_a_device_that_returns_one_register_at_a_time_is_dumped_with_few_time_outs(memory_transport, memory_unit, bench_on):
    unit = OneAtATime(memory_unit(tables={Table.HOLDING: {address: address for address in range(200)}}))
    cells = await dumped(bench_on(memory_transport({3: unit})), "3", "holding 0-199")
    assert cells["holding"] == {address: address for address in range(200)}
    assert unit.silences <= 8


async def test_a_profile_is_tried_on_a_device_that_returns_one_register_at_a_time(
    memory_transport, memory_unit, bench_on, read_case, request
):
    case = read_case(request.path.parents[1] / "cases" / "eastron-sdm630" / "three-phases")
    bench = bench_on(memory_transport({1: OneAtATime(case.device)}))
    file = PROFILE_FILES.folder / "eastron-sdm630.toml"
    readings = [one async for block in bench.try_profile(file, "1") for one in block]
    assert {one.metric.name: one.value for one in readings} == case.readings
