"""Bisection: every legal point is read, regardless of illegal addresses around it, and the cost is bounded."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.polling.illegal_addresses import EXCLUDED_BRIEFLY_FOR, EXCLUDED_FOR, Bisection, IllegalAddresses
from adapters.modbus.polling.plan import ReadBlock, TransactionCost, plan_blocks
from adapters.modbus.profile.points import Encoding, PlacedPoint, ValueType
from gateway.adapter import Metric

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COST = TransactionCost()


def register(address: int, words: int = 1) -> PlacedPoint:
    encoding = Encoding(type=ValueType.STRING, words=words)
    return PlacedPoint(metric=Metric(f"m{address}-{words}"), table=Table.HOLDING, address=address, encoding=encoding)


def is_legal(read: ReadRequest, illegal: set[int], most: int) -> bool:
    return read.count <= most and not illegal & set(range(read.address, read.address + read.count))


def read_all(points, illegal, *, most=125, gap=10):
    """Read by plan and bisect until nothing is refused; return the points of each round, the illegal addresses and the cost."""
    known, rounds, cost = IllegalAddresses(), [], 0
    for _ in range(30):
        wanted = [point for point in points if point.metric.name not in known.refused]
        delivered, is_complete = [], True
        for block in plan_blocks(wanted, COST, read_through=gap, boundaries=known.boundaries):
            cost += 1
            if is_legal(block.read, illegal, most):
                delivered += block.points
                continue
            is_complete, bisection = False, Bisection(block)
            while (part := bisection.next()) is not None:
                cost += 1
                if is_legal(part.read, illegal, most):
                    bisection.was_read()
                    delivered += part.points
                else:
                    bisection.was_refused()
            known = known.with_bisection(bisection, 0x02, NOW)
        rounds.append(delivered)
        if is_complete:
            return rounds, known, cost
    raise AssertionError("it never comes to an end")


points = st.lists(st.builds(register, st.integers(0, 150), st.integers(1, 4)), max_size=40, unique_by=lambda point: point.address)


@given(points, st.sets(st.integers(0, 155), max_size=12), st.integers(4, 125))
def test_no_point_is_lost_by_bisecting_and_each_comes_once(wanted, illegal, most):
    legal = [
        point for point in wanted if is_legal(ReadRequest(Table.HOLDING, point.start, point.end - point.start), illegal, most)
    ]
    rounds, known, _ = read_all(wanted, illegal, most=most)
    for delivered in rounds:
        assert sorted(point.metric.name for point in delivered) == sorted(point.metric.name for point in legal)
    assert known.refused == {point.metric.name for point in wanted} - {point.metric.name for point in legal}


@given(st.integers(0, 124))
def test_one_illegal_address_among_125_is_found_with_few_requests(illegal):
    wanted = [register(address) for address in range(125)]
    _, known, cost = read_all(wanted, {illegal})
    assert known.refused == {f"m{illegal}-1"}
    assert cost <= 1 + 2 * math.ceil(math.log2(125)) + 2, "and the block in two at the next reading"


def test_a_hole_that_cannot_be_read_through_costs_a_block_and_no_point():
    rounds, known, _ = read_all([register(0, 2), register(5, 2)], {3})
    assert not known.refused
    assert len(rounds) == 2
    assert known.boundaries == {(Table.HOLDING, 5)}


def test_a_device_that_gives_fewer_registers_than_it_may_gets_shorter_blocks():
    rounds, known, _ = read_all([register(address) for address in range(100)], set(), most=30)
    assert not known.refused
    assert {len(delivered) for delivered in rounds} == {100}


def test_points_in_one_register_are_refused_together():
    bits = [register(7), register(7), register(8)]
    bisection = Bisection(plan_blocks(bits, COST)[0])
    asked = []
    while (part := bisection.next()) is not None:
        asked.append(part.read)
        (bisection.was_refused if part.read.address == 7 else bisection.was_read)()
    assert [point.address for point in bisection.refused] == [7, 7]
    assert asked.count(ReadRequest(Table.HOLDING, 7, 1)) == 1


def test_illegal_addresses_are_stored_and_expire():
    bisection = Bisection(plan_blocks([register(1)], COST)[0])
    known = IllegalAddresses().with_bisection(bisection, 0x02, NOW)
    again = IllegalAddresses.from_text(known.as_text(), NOW + timedelta(hours=1))
    assert (again.refused, tuple(again.places), again.boundaries) == (known.refused, tuple(known.places), known.boundaries)
    assert IllegalAddresses.from_text(known.as_text(), NOW + EXCLUDED_FOR) == IllegalAddresses()


@pytest.mark.parametrize(("code", "excluded"), [(0x02, EXCLUDED_FOR), (0x04, EXCLUDED_BRIEFLY_FOR), (0x01, EXCLUDED_BRIEFLY_FOR)])
def test_a_device_that_refuses_everything_for_another_reason_is_soon_tried_again(code, excluded):
    bisection = Bisection(plan_blocks([register(1), register(2)], COST)[0])
    while bisection.next() is not None:
        bisection.was_refused()
    assert IllegalAddresses().with_bisection(bisection, code, NOW).until == NOW + excluded


def bisected(block, *, refused=()):
    """Return the bisection of a block after all its parts without these addresses were read, and the parts in order."""
    bisection, parts = Bisection(block), []
    while (part := bisection.next()) is not None:
        parts.append([point.address for point in part.points])
        (bisection.was_refused if set(refused) & set(parts[-1]) else bisection.was_read)()
    return bisection, parts


def block_of(*addresses):
    points = tuple(register(address) for address in addresses)
    return ReadBlock(ReadRequest(Table.HOLDING, addresses[0], addresses[-1] + 1 - addresses[0]), points)


def test_a_refused_point_is_left_out_for_a_day_where_the_rest_could_be_read_or_the_code_is_02():
    some, _ = bisected(block_of(1, 2), refused={2})
    assert IllegalAddresses().with_bisection(some, 0x04, NOW).until == NOW + timedelta(days=1)
    nothing, _ = bisected(block_of(1, 2), refused={1, 2})
    assert IllegalAddresses().with_bisection(nothing, 0x02, NOW).until == NOW + timedelta(days=1)
    assert IllegalAddresses().with_bisection(nothing, 0x04, NOW).until == NOW + timedelta(minutes=10)


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
    known = IllegalAddresses().with_bisection(bisection, 0x02, NOW)
    assert known.boundaries == {(Table.HOLDING, 3)}
    assert known.places == ["holding 2"]


def test_a_block_whose_halves_can_be_read_apart_gets_a_boundary_and_no_refused_point():
    bisection, parts = bisected(block_of(0, 1, 5, 6))
    assert parts == [[0, 1], [5, 6]]
    assert (bisection.boundaries, bisection.refused) == ([(Table.HOLDING, 5)], [])


def test_a_part_keeps_the_scale_factors_of_its_block():
    factors = (ReadRequest(Table.HOLDING, 90, 2),)
    block = ReadBlock(ReadRequest(Table.HOLDING, 0, 2), (register(0), register(1)), factors)
    part = Bisection(block).next()
    assert (part.read, part.factors) == (ReadRequest(Table.HOLDING, 0, 1), factors)


def test_what_was_found_out_earlier_stays_known_and_expires_first():
    first, _ = bisected(block_of(1, 2), refused={2})
    later, _ = bisected(block_of(7, 8), refused={7})
    known = IllegalAddresses().with_bisection(first, 0x02, NOW).with_bisection(later, 0x02, NOW + timedelta(hours=1))
    assert known.refused == {"m2-1", "m7-1"}
    assert known.places == ["holding 2", "holding 7"]
    assert known.boundaries == {(Table.HOLDING, 3), (Table.HOLDING, 8)}
    assert known.until == NOW + timedelta(days=1)


@pytest.mark.parametrize("text", [None, "", "nonsense", "[]", "{}", '{"refused": 5, "until": "2030-01-01T00:00:00+00:00"}'])
def test_an_invalid_stored_text_is_ignored(text):
    assert IllegalAddresses.from_text(text, NOW) == IllegalAddresses()
