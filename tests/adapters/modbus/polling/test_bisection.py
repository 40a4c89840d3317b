"""Bisection: every legal point is read, regardless of illegal addresses around it, and the cost is bounded."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.polling.bisection import FRUITLESS_BOUND, TOO_LONG_BOUND, Bisection, LengthLimit
from adapters.modbus.polling.plan import ReadBlock, TransactionCost, plan_blocks
from adapters.modbus.polling.unit_refusals import UnitRefusals
from adapters.modbus.profile.points import Encoding, PlacedPoint, ValueType
from gateway.adapter import Metric

TODAY = datetime(2026, 1, 1, tzinfo=UTC)
COST = TransactionCost()


def register(address: int, words: int = 1) -> PlacedPoint:
    encoding = Encoding(type=ValueType.STRING, words=words)
    return PlacedPoint(metric=Metric(f"m{address}-{words}"), table=Table.HOLDING, address=address, encoding=encoding)


def is_legal(read: ReadRequest, illegal: set[int], most: int) -> bool:
    return read.count <= most and not illegal & set(range(read.address, read.address + read.count))


def take(bisection, *, is_read, code=2):
    """Report the outcome of a part."""
    if is_read:
        bisection.was_read()
    else:
        bisection.failed(code)


def read_all(points, illegal, *, most=125, gap=10, code=2):
    """Read by plan and bisect until nothing is refused; return the points of each round, the refusals and the cost."""
    known, rounds, cost = UnitRefusals(), [], 0
    for _ in range(30):
        left_out = known.exclusions(0.0)
        wanted = [point for point in points if point.metric.name not in dict(left_out.points)]
        delivered, is_complete = [], True
        limit = left_out.works or 125
        for block in plan_blocks(wanted, COST, read_through=gap, boundaries=left_out.boundaries, max_registers=limit):
            cost += 1
            if is_legal(block.read, illegal, most) or (block.read.count > limit and not illegal & set(addresses(block.read))):
                known.was_read(block.read, [], at_once=min(block.read.count, limit), now=0.0)
                delivered += block.points
                continue
            is_complete, bisection = False, Bisection(block, code)
            while (part := bisection.next()) is not None:
                cost += 1
                at_once = ReadRequest(part.block.read.table, part.block.read.address, part.longest)
                is_read = is_legal(at_once, illegal, most) and not illegal & set(addresses(part.block.read))
                take(bisection, is_read=is_read, code=code)
                if is_read:
                    known.was_read(part.block.read, [], at_once=part.longest, now=0.0)
                    delivered += part.block.points
            known.learn(bisection, now=0.0, today=TODAY)
        rounds.append(delivered)
        if is_complete:
            return rounds, known, cost
    raise AssertionError("it never comes to an end")


def addresses(read: ReadRequest) -> range:
    return range(read.address, read.address + read.count)


points = st.lists(st.builds(register, st.integers(0, 150), st.integers(1, 4)), max_size=40, unique_by=lambda point: point.address)


@given(points, st.sets(st.integers(0, 155), max_size=12), st.integers(4, 125))
@example([register(0, 2), register(1, 4), register(5, 1), register(7, 2), register(8, 4)], set(), 4)
def test_no_point_is_lost_by_bisecting_and_each_comes_once(wanted, illegal, most):
    legal = [
        point for point in wanted if is_legal(ReadRequest(Table.HOLDING, point.start, point.end - point.start), illegal, most)
    ]
    rounds, known, _ = read_all(wanted, illegal, most=most)
    for delivered in rounds:
        assert sorted(point.metric.name for point in delivered) == sorted(point.metric.name for point in legal)
    assert set(known.points) == {point.metric.name for point in wanted} - {point.metric.name for point in legal}


@given(st.integers(0, 124))
def test_one_illegal_address_among_125_is_found_with_few_requests(illegal):
    wanted = [register(address) for address in range(125)]
    _, known, cost = read_all(wanted, {illegal})
    assert set(known.points) == {f"m{illegal}-1"}
    assert cost <= 1 + 2 * math.ceil(math.log2(125)) + 2, "and the block in two at the next reading"


def test_a_hole_that_cannot_be_read_through_costs_a_block_and_no_point():
    rounds, known, _ = read_all([register(0, 2), register(5, 2)], {3})
    assert not known.points
    assert len(rounds) == 2
    assert set(known.boundaries) == {(Table.HOLDING, 5)}


def test_a_boundary_within_a_point_that_overlaps_others_is_not_asked_for_at_each_poll():
    rounds, known, _ = read_all([register(0, 2), register(1, 4)], set(), most=4)
    assert len(rounds) == 2
    assert set(known.boundaries) == {(Table.HOLDING, 1)}


def test_a_device_that_gives_fewer_registers_than_it_may_gets_shorter_blocks():
    rounds, known, _ = read_all([register(address) for address in range(100)], set(), most=30)
    assert not known.points
    assert {len(delivered) for delivered in rounds} == {100}


def test_points_in_one_register_are_refused_together():
    bits = [register(7), register(7), register(8)]
    bisection = Bisection(plan_blocks(bits, COST)[0], 2)
    asked = []
    while (part := bisection.next()) is not None:
        asked.append(part.block.read)
        take(bisection, is_read=part.block.read.address != 7)
    assert [one.point.address for one in bisection.refused] == [7, 7]
    assert asked.count(ReadRequest(Table.HOLDING, 7, 1)) == 1


def bisected(block, *, refused=()):
    """Return the bisection of a block after all its parts without these addresses were read, and the parts in order."""
    bisection, parts = Bisection(block, 2), []
    while (part := bisection.next()) is not None:
        parts.append([point.address for point in part.block.points])
        take(bisection, is_read=not set(refused) & set(parts[-1]))
    return bisection, parts


def block_of(*addresses):
    points = tuple(register(address) for address in addresses)
    return ReadBlock(ReadRequest(Table.HOLDING, addresses[0], addresses[-1] + 1 - addresses[0]), points)


def test_a_block_is_halved_at_the_hole_nearest_to_its_middle():
    _, parts = bisected(block_of(0, 1, 2, 10, 11, 12, 13, 14))
    assert parts == [[0, 1, 2], [10, 11, 12, 13, 14]]


def test_a_block_without_a_hole_near_its_middle_is_halved_there():
    _, parts = bisected(block_of(0, 10, 11, 12, 13, 14, 15, 16))
    assert parts == [[0, 10, 11, 12], [13, 14, 15, 16]]


def test_the_parts_of_a_block_are_read_in_the_order_of_their_addresses():
    _, parts = bisected(block_of(0, 1, 2, 3), refused={2})
    assert parts == [[0, 1], [2, 3], [2], [3]]


def test_no_block_spans_a_refused_point_again():
    bisection, _ = bisected(block_of(0, 1, 2, 3), refused={2})
    known = UnitRefusals()
    known.learn(bisection, now=0.0, today=TODAY)
    assert known.exclusions(0.0).boundaries == {(Table.HOLDING, 3)}
    assert [str(refusal.read) for refusal in known.points.values()] == ["holding 2"]


def test_a_block_whose_halves_can_be_read_apart_gets_a_boundary_and_no_refused_point():
    bisection, parts = bisected(block_of(0, 1, 5, 6))
    assert parts == [[0, 1], [5, 6]]
    assert (bisection.boundaries, bisection.refused) == ([(Table.HOLDING, 5)], [])


def test_a_part_keeps_the_scale_factors_of_its_block():
    factors = (ReadRequest(Table.HOLDING, 90, 2),)
    block = ReadBlock(ReadRequest(Table.HOLDING, 0, 2), (register(0), register(1)), factors)
    part = Bisection(block, 2).next().block
    assert (part.read, part.factors) == (ReadRequest(Table.HOLDING, 0, 1), factors)


@settings(max_examples=50)
@given(st.integers(2, 125), st.integers(1, 124), st.sampled_from([None, 3]))
def test_the_most_registers_at_once_are_found_for_a_device_that_is_silent_to_more_or_refuses_them_with_03(count, most, code):
    wanted = [register(address) for address in range(count)]
    rounds, known, _ = read_all(wanted, set(), most=most, code=code)
    assert not known.points
    assert all(len(delivered) == count for delivered in rounds)
    if most < count:
        assert known.limit.length.works <= most < known.limit.length.fails
        assert not known.boundaries


@settings(max_examples=50)
@given(st.lists(st.integers(1, 16), min_size=1, max_size=12), st.integers(1, 16))
def test_a_value_that_is_longer_than_a_device_returns_at_once_is_read_in_parts(lengths, most):
    wanted = [register(20 * number, words) for number, words in enumerate(lengths)]
    rounds, known, _ = read_all(wanted, set(), most=most, gap=0, code=None)
    assert not known.points
    assert all(len(delivered) == len(lengths) for delivered in rounds)


@settings(max_examples=50)
@given(points, st.sets(st.integers(0, 155), max_size=6), st.integers(1, 40))
def test_no_readable_point_is_lost_with_a_short_limit_and_illegal_addresses(wanted, illegal, most):
    legal = {point.metric.name for point in wanted if not illegal & set(range(point.start, point.end))}
    rounds, known, _ = read_all(wanted, illegal, most=most, code=3)
    assert {point.metric.name for point in rounds[-1]} == legal
    assert set(known.points) == {point.metric.name for point in wanted} - legal


def failed_parts(block, code, *, is_complete=False):
    """Return how many parts are asked of a block of which each fails, and the bisection."""
    bisection, asked = Bisection(block, code, is_complete), 0
    while bisection.next() is not None:
        asked += 1
        bisection.failed(code)
    return asked, bisection


def test_a_block_of_which_nothing_can_be_read_is_left_after_few_requests():
    asked, bisection = failed_parts(block_of(*range(100)), 2)
    assert asked == FRUITLESS_BOUND
    assert not bisection.refused
    assert len(bisection.unresolved) == 100


def test_a_block_of_which_nothing_can_be_read_is_halved_to_the_end_when_that_is_wanted():
    asked, bisection = failed_parts(block_of(*range(32)), 2, is_complete=True)
    assert asked == 62
    assert len(bisection.refused) == 32


@pytest.mark.parametrize("is_complete", [True, False])
def test_silence_costs_a_bounded_number_of_time_outs(is_complete):
    asked, bisection = failed_parts(block_of(*range(125)), None, is_complete=is_complete)
    assert asked <= TOO_LONG_BOUND
    assert len(bisection.refused) + len(bisection.unresolved) == 125


def test_one_register_at_a_time_is_found_with_one_silence_for_each_halving():
    bisection, silences = Bisection(block_of(*range(64)), None), 0
    while (part := bisection.next()) is not None:
        if part.longest > 1:
            silences += 1
            bisection.failed(None)
        else:
            bisection.was_read()
    assert silences == 5
    assert bisection.limit == LengthLimit(1, 2)


def test_a_single_silent_address_is_no_limit():
    bisection, _ = Bisection(block_of(*range(8)), None), []
    while (part := bisection.next()) is not None:
        addresses_ = [point.address for point in part.block.points]
        take(bisection, is_read=5 not in addresses_, code=None)
    assert [one.point.address for one in bisection.refused] == [5]
    assert bisection.limit is None
