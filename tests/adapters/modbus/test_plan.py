"""Blocks: no point is lost, split or read twice, and no block is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.pdu import MAX_BITS, MAX_REGISTERS, Read, Table
from adapters.modbus.plan import plan, silence_seconds, worthwhile_gap
from adapters.modbus.points import Encoding, PlacedPoint, ValueType
from gateway.adapter import Metric


def register(address: int, words: int = 1, table: Table = Table.HOLDING, scale_factor: int | None = None) -> PlacedPoint:
    encoding = Encoding(type=ValueType.STRING, words=words)
    return PlacedPoint(metric=Metric(f"m{address}"), table=table, address=address, encoding=encoding, scale_factor=scale_factor)


def bit(address: int, table: Table = Table.COIL) -> PlacedPoint:
    return PlacedPoint(metric=Metric(f"b{address}"), table=table, address=address, encoding=Encoding(type=ValueType.BOOL))


registers = st.builds(
    register,
    st.integers(0, 600),
    st.integers(1, 20),
    st.sampled_from([Table.HOLDING, Table.INPUT]),
    st.none() | st.integers(0, 0),
).map(
    lambda point: register(
        point.address, point.encoding.words, point.table, point.address + 30 if point.scale_factor == 0 else None
    )
)
bits = st.builds(bit, st.integers(0, 5000), st.sampled_from([Table.COIL, Table.DISCRETE]))
points = st.lists(registers | bits, max_size=60)
gaps = st.integers(0, 50)


@given(points, gaps, st.integers(50, MAX_REGISTERS))
def test_every_point_is_whole_and_in_exactly_one_block(wanted, gap, longest):
    blocks = plan(wanted, max_gap=gap, max_registers=longest)
    placed = [point for block in blocks for point in block.points]
    assert sorted(map(id, placed)) == sorted(map(id, wanted))
    for block in blocks:
        end = block.read.address + block.read.count
        assert all(point.table is block.read.table for point in block.points)
        assert all(block.read.address <= point.start and point.end <= end for point in block.points)


@given(points, gaps, st.integers(50, MAX_REGISTERS))
def test_no_block_is_longer_than_one_answer_can_be(wanted, gap, longest):
    for block in plan(wanted, max_gap=gap, max_registers=longest):
        assert 1 <= block.read.count <= (MAX_BITS if block.read.table.holds_bits else longest)


@given(points, gaps)
def test_no_hole_is_longer_than_allowed(wanted, gap):
    for block in plan(wanted, max_gap=gap):
        reach = block.read.address
        for point in sorted(block.points, key=lambda point: point.start):
            assert point.start <= reach + gap
            reach = max(reach, point.end)


def reads(*wanted: PlacedPoint, gap: int = 0, longest: int = MAX_REGISTERS) -> list[Read]:
    return [block.read for block in plan(wanted, max_gap=gap, max_registers=longest)]


def test_neighbours_share_a_block_and_a_hole_parts_them():
    assert reads(register(0, 2), register(2, 2), register(5, 2)) == [Read(Table.HOLDING, 0, 4), Read(Table.HOLDING, 5, 2)]


def test_a_hole_is_read_through_up_to_the_gap():
    assert reads(register(0, 2), register(5, 2), gap=3) == [Read(Table.HOLDING, 0, 7)]
    assert reads(register(0, 2), register(5, 2), gap=2) == [Read(Table.HOLDING, 0, 2), Read(Table.HOLDING, 5, 2)]


def test_a_point_is_never_parted_from_its_scale_factor():
    assert reads(register(10, 1, scale_factor=60), register(200)) == [Read(Table.HOLDING, 10, 51), Read(Table.HOLDING, 200, 1)]


def test_a_device_with_short_answers_gets_short_blocks():
    assert [read.count for read in reads(*(register(at) for at in range(100)), longest=40)] == [40, 40, 20]


def test_a_point_longer_than_the_limit_gets_a_block_of_its_own():
    assert reads(register(0), register(1, 20), longest=10) == [Read(Table.HOLDING, 0, 1), Read(Table.HOLDING, 1, 20)]


def test_nothing_to_read_is_no_block():
    assert plan([], max_gap=5) == ()


@pytest.mark.parametrize(
    ("baudrate", "turnaround", "gap"), [(9600, 0, 10), (9600, 0.005, 12), (9600, 0.020, 18), (115200, 0, 24), (115200, 0.005, 51)]
)
def test_the_gap_that_pays_on_a_line_is_computed_from_its_speed(baudrate, turnaround, gap):
    assert worthwhile_gap(baudrate, turnaround) == pytest.approx(gap, abs=1)


def test_the_silence_between_frames_is_fixed_above_19200_baud():
    assert silence_seconds(9600) == pytest.approx(0.00401, abs=1e-5)
    assert silence_seconds(115200) == 0.00175
