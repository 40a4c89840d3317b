"""Blocks: no point is lost, split or read twice, and no block is too long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import MAX_BITS, MAX_REGISTERS, ReadRequest, Table
from adapters.modbus.client.timing import silence_seconds
from adapters.modbus.polling.plan import MAX_BLOCK_SECONDS, TransactionCost, plan_blocks
from adapters.modbus.profile.points import NEAR_REGISTERS, Encoding, PlacedPoint, ValueType
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
    st.none() | st.sampled_from([30, 60, 200]),
).map(
    lambda point: register(
        *(point.address, point.encoding.words, point.table),
        None if point.scale_factor is None else point.address + point.scale_factor,
    )
)
bits = st.builds(bit, st.integers(0, 5000), st.sampled_from([Table.COIL, Table.DISCRETE]))
points = st.lists(registers | bits, max_size=60)
gaps = st.integers(0, 50)
costs = st.builds(
    TransactionCost.of_line, st.sampled_from([1200, 9600, 19200, 115200]), turnaround_seconds=st.sampled_from([0, 0.005, 0.05])
) | st.just(TransactionCost())
boundaries = st.lists(st.tuples(st.sampled_from(list(Table)), st.integers(0, 600)), max_size=5)


def place(point: PlacedPoint):
    return point.metric, point.table, point.address, point.encoding, point.scale_factor


@given(points, costs, gaps, st.integers(50, MAX_REGISTERS), boundaries)
def test_every_point_is_whole_and_in_exactly_one_block(wanted, cost, gap, longest, boundaries):
    blocks = plan_blocks(wanted, cost, read_through=gap, max_registers=longest, boundaries=boundaries)
    placed = [point for block in blocks for point in block.points]
    assert sorted(map(place, placed), key=repr) == sorted(map(place, wanted), key=repr)
    for block in blocks:
        end = block.read.address + block.read.count
        assert all(point.table is block.read.table for point in block.points)
        assert all(block.read.address <= point.start and point.end <= end for point in block.points)


@given(points, costs, gaps, st.integers(50, MAX_REGISTERS))
def test_no_block_is_longer_than_one_answer_can_be(wanted, cost, gap, longest):
    for block in plan_blocks(wanted, cost, read_through=gap, max_registers=longest):
        assert 1 <= block.read.count <= (MAX_BITS if block.read.table.holds_bits else longest)


@given(points, costs, gaps)
def test_no_block_takes_longer_than_a_slice_unless_it_is_a_single_point(wanted, cost, gap):
    for block in plan_blocks(wanted, cost, read_through=gap):
        assert len(block.points) == 1 or cost.seconds(block.read) <= MAX_BLOCK_SECONDS


@given(points, costs, gaps, st.integers(50, MAX_REGISTERS))
def test_every_scale_factor_is_read_with_its_value_or_once_for_all_that_need_it(wanted, cost, gap, longest):
    blocks = plan_blocks(wanted, cost, read_through=gap, max_registers=longest)
    for block in blocks:
        covered = [address for read in block.factors for address in range(read.address, read.address + read.count)]
        apart = {point.scale_factor for point in block.points if point.is_apart}
        assert apart <= set(covered)
        assert len(covered) == len(set(covered))
        assert all(read.count <= NEAR_REGISTERS and read.table is block.read.table for read in block.factors)
        assert all(apart & set(range(read.address, read.address + read.count)) for read in block.factors)
        near = [point for point in block.points if point.scale_factor is not None and not point.is_apart]
        assert all(block.read.address <= point.scale_factor < block.read.address + block.read.count for point in near)
    by_table = {(block.read.table, read) for block in blocks for read in block.factors}
    assert all(one == other or not overlap(one[1], other[1]) for one, other in combinations(by_table, 2) if one[0] is other[0])


def overlap(one: ReadRequest, other: ReadRequest) -> bool:
    return one.address < other.address + other.count and other.address < one.address + one.count


@given(st.integers(1, 30), st.integers(1, 20), st.sampled_from([TransactionCost(), TransactionCost.of_line(9600)]), st.data())
def test_a_value_is_the_same_whether_its_scale_factor_is_read_apart_or_not(repetitions, words, cost, data):
    wanted = [
        PlacedPoint(
            metric=Metric(f"m{number}"),
            table=Table.HOLDING,
            address=10 + number * words,
            encoding=Encoding(type=ValueType.INT16),
            scale_factor=data.draw(st.sampled_from([2, 3])),
        )
        for number in range(repetitions)
    ]
    word = st.integers(-0x8000, 0x7FFF)
    memory = {
        **{address: data.draw(word) for address in range(10, 10 + repetitions * words)},
        2: -1,
        3: 1,
        **dict.fromkeys(range(4, 10), 0),
    }
    payload = {}
    decoded = {}
    for block in plan_blocks(wanted, cost, read_through=20):
        for read in (block.read, *block.factors):
            cells = range(read.address, read.address + read.count)
            payload[read] = b"".join((memory[at] & 0xFFFF).to_bytes(2) for at in cells)
        raw = block.with_factors(payload[block.read], payload)
        decoded |= {one.metric.name: one.value for one in block.decoder().decode(raw, "child", datetime.now(UTC))}
    expected = {
        point.metric.name: memory[point.address] / 10 if point.scale_factor == 2 else memory[point.address] * 10
        for point in wanted
    }
    assert decoded == expected


@given(points, costs, gaps)
def test_no_hole_is_longer_than_allowed(wanted, cost, gap):
    for block in plan_blocks(wanted, cost, read_through=gap):
        reach = block.read.address
        for point in sorted(block.points, key=lambda point: point.start):
            assert point.start <= reach + gap
            reach = max(reach, point.end)


@given(points, costs, boundaries)
def test_no_block_of_several_points_spans_a_boundary(wanted, cost, boundaries):
    for block in plan_blocks(wanted, cost, read_through=50, boundaries=boundaries):
        first, end = block.read.address, block.read.address + block.read.count
        inside = [at for table, at in boundaries if table is block.read.table and first < at < end]
        assert len(block.points) == 1 or not inside


@given(st.lists(st.integers(0, 60), min_size=1, max_size=7, unique=True), costs)
def test_no_other_way_to_cut_the_points_takes_less_time(addresses, cost):
    wanted = [register(address) for address in sorted(addresses)]
    best = min(
        sum(
            cost.seconds(ReadRequest(Table.HOLDING, part[0].start, part[-1].end - part[0].start))
            for part in (wanted[first:last] for first, last in pairwise((0, *cuts, len(wanted))))
        )
        for size in range(len(wanted))
        for cuts in combinations(range(1, len(wanted)), size)
        if all(
            len(part) == 1
            or cost.seconds(ReadRequest(Table.HOLDING, part[0].start, part[-1].end - part[0].start)) <= MAX_BLOCK_SECONDS
            for part in (wanted[first:last] for first, last in pairwise((0, *cuts, len(wanted))))
        )
    )
    ours = sum(cost.seconds(block.read) for block in plan_blocks(wanted, cost, read_through=60))
    assert ours == pytest.approx(best)


def reads(*wanted: PlacedPoint, gap: int = 0, longest: int = MAX_REGISTERS) -> list[ReadRequest]:
    return [block.read for block in plan_blocks(wanted, TransactionCost(), read_through=gap, max_registers=longest)]


def test_adjacent_points_share_a_block_and_a_hole_parts_them():
    assert reads(register(0, 2), register(2, 2), register(5, 2)) == [
        ReadRequest(Table.HOLDING, 0, 4),
        ReadRequest(Table.HOLDING, 5, 2),
    ]


def test_a_hole_is_read_through_up_to_the_gap():
    assert reads(register(0, 2), register(5, 2), gap=3) == [ReadRequest(Table.HOLDING, 0, 7)]
    assert reads(register(0, 2), register(5, 2), gap=2) == [ReadRequest(Table.HOLDING, 0, 2), ReadRequest(Table.HOLDING, 5, 2)]


def test_a_point_is_never_parted_from_its_scale_factor():
    assert reads(register(10, 1, scale_factor=60), register(200)) == [
        ReadRequest(Table.HOLDING, 10, 51),
        ReadRequest(Table.HOLDING, 200, 1),
    ]


SLOW = TransactionCost.of_line(1200)
"""A line so slow that no block holds more than one point, unless a scale factor is near."""


def test_a_scale_factor_within_32_registers_is_always_read_with_its_value():
    (near,) = plan_blocks([register(10, scale_factor=41)], SLOW)
    assert (near.read, near.factors) == (ReadRequest(Table.HOLDING, 10, 32), ())
    (far,) = plan_blocks([register(10, scale_factor=42)], SLOW)
    assert (far.read, far.factors) == (ReadRequest(Table.HOLDING, 10, 1), (ReadRequest(Table.HOLDING, 42, 1),))


@pytest.mark.parametrize(("sign", "read"), [(41, (10, 32)), (5, (5, 6)), (11, (10, 2))])
def test_a_value_is_read_with_the_register_of_its_sign(sign, read):
    (block,) = plan_blocks([replace(register(10), sign=sign)], SLOW)
    assert (block.read, block.factors) == (ReadRequest(Table.HOLDING, *read), ())


@pytest.mark.parametrize(
    ("addresses", "gap", "expected"),
    [
        ((200, 210), 9, [(200, 11)]),
        ((200, 210), 8, [(200, 1), (210, 1)]),
        ((200, 201, 202), 0, [(200, 3)]),
        ((200, 210, 231), 50, [(200, 32)]),
        ((200, 210, 232), 50, [(200, 11), (232, 1)]),
        ((200, 231, 240, 260), 50, [(200, 32), (240, 21)]),
    ],
)
def test_separate_scale_factors_share_a_read_up_to_the_gap_and_to_32_registers(addresses, gap, expected):
    wanted = [register(at, scale_factor=factor) for at, factor in enumerate(addresses)]
    blocks = plan_blocks(wanted, SLOW, read_through=gap)
    reads = sorted({read for block in blocks for read in block.factors}, key=lambda read: read.address)
    assert [(read.address, read.count) for read in reads] == expected


def test_a_block_names_only_the_reads_of_its_own_separate_scale_factors():
    wanted = [register(10, scale_factor=12), register(100, scale_factor=300), register(110, scale_factor=400)]
    blocks = plan_blocks(wanted, SLOW)
    assert [block.factors for block in blocks] == [
        (),
        (ReadRequest(Table.HOLDING, 300, 1),),
        (ReadRequest(Table.HOLDING, 400, 1),),
    ]


def test_a_scale_factor_that_is_read_with_its_value_is_not_read_with_the_separate_ones():
    _, far = plan_blocks([register(10, scale_factor=12), register(100, scale_factor=13)], SLOW)
    assert far.factors == (ReadRequest(Table.HOLDING, 13, 1),)


def test_a_block_takes_at_most_a_tenth_of_a_second():
    blocks = plan_blocks([register(at) for at in range(100)], TransactionCost.of_line(9600, turnaround_seconds=0))
    cost = TransactionCost.of_line(9600, turnaround_seconds=0)
    assert 0.09 < max(cost.seconds(block.read) for block in blocks) <= 0.1


def test_a_boundary_parts_points_even_where_one_read_would_be_cheaper():
    at_5 = plan_blocks([register(4), register(5)], TransactionCost(), boundaries=[(Table.HOLDING, 5)])
    assert [(block.read.address, block.read.count) for block in at_5] == [(4, 1), (5, 1)]
    elsewhere = plan_blocks([register(4), register(5)], TransactionCost(), boundaries=[(Table.INPUT, 5), (Table.HOLDING, 4)])
    assert [(block.read.address, block.read.count) for block in elsewhere] == [(4, 2)]


def test_a_device_with_short_answers_gets_short_blocks():
    assert sorted(read.count for read in reads(*(register(at) for at in range(100)), longest=40)) == [20, 40, 40]


def test_a_point_longer_than_the_limit_gets_a_block_of_its_own():
    assert reads(register(0), register(1, 20), longest=10) == [
        ReadRequest(Table.HOLDING, 0, 1),
        ReadRequest(Table.HOLDING, 1, 20),
    ]


def test_nothing_to_read_is_no_block():
    assert plan_blocks([], TransactionCost()) == ()


@pytest.mark.parametrize(
    ("baudrate", "turnaround", "gap"),
    [(9600, 0, 10), (9600, 0.005, 12), (9600, 0.020, 18), (115200, 0, 24), (115200, 0.005, 51)],
)
def test_a_hole_is_read_through_where_that_is_cheaper_than_another_request(baudrate, turnaround, gap):
    cost = TransactionCost.of_line(baudrate, turnaround_seconds=turnaround)
    through = plan_blocks([register(0), register(gap)], cost, read_through=125)
    assert [block.read.count for block in through] == [gap + 1]
    apart = plan_blocks([register(0), register(gap + 4)], cost, read_through=125)
    assert [block.read.count for block in apart] == [1, 1]


@pytest.mark.parametrize(
    ("baudrate", "count", "milliseconds"),
    [(9600, 1, 25.21), (9600, 125, 309.4), (19200, 10, 22.92), (38400, 50, 35.87), (115200, 125, 28.61)],
)
def test_a_read_takes_what_the_specification_makes_it_take(baudrate, count, milliseconds):
    seconds = TransactionCost.of_line(baudrate, turnaround_seconds=0).seconds(ReadRequest(Table.HOLDING, 0, count))
    assert 1000 * seconds == pytest.approx(milliseconds, rel=1e-3)


@pytest.mark.parametrize(("baudrate", "longest"), [(9600, 33), (19200, 77), (38400, 125), (115200, 125)])
def test_a_block_on_a_line_is_as_long_as_a_slice_allows(baudrate, longest):
    blocks = plan_blocks([register(at) for at in range(250)], TransactionCost.of_line(baudrate, turnaround_seconds=0))
    assert max(block.read.count for block in blocks) in {longest, longest - 1}


def test_two_thousand_points_are_planned_in_no_time():
    assert len(plan_blocks([register(2 * at) for at in range(2000)], TransactionCost.of_line(115200), read_through=3)) >= 32


def test_the_silence_between_frames_is_fixed_above_19200_baud():
    assert silence_seconds(9600) == pytest.approx(0.00401, abs=1e-5)
    assert silence_seconds(115200) == 0.00175


@pytest.mark.parametrize(
    "slow", [{"turnaround_seconds": 0.15}, {"pause_seconds": 0.35}, {"turnaround_seconds": 0.2, "pause_seconds": 1.0}]
)
@pytest.mark.parametrize("character_seconds", [0.0, 11 / 9600])
def test_a_unit_that_is_slow_or_needs_a_pause_is_read_in_blocks_and_not_point_by_point(slow, character_seconds):
    cost = TransactionCost(character_seconds=character_seconds, **slow)
    points = [register(address, 2) for address in range(0, 60, 2)]
    blocks = plan_blocks(points, cost, read_through=8)
    assert len(blocks) <= 3
    assert cost.seconds(blocks[0].read) >= sum(slow.values()), "the plan counts the pause"
