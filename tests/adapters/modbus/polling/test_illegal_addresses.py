"""Bisection: every legal point is read, regardless of illegal addresses around it, and the cost is bounded."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.polling.illegal_addresses import EXCLUDED_BRIEFLY_FOR, EXCLUDED_FOR, Bisection, IllegalAddresses
from adapters.modbus.polling.plan import TransactionCost, plan_blocks
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


@pytest.mark.parametrize("text", [None, "", "nonsense", "[]", "{}", '{"refused": 5, "until": "2030-01-01T00:00:00+00:00"}'])
def test_an_invalid_stored_text_is_ignored(text):
    assert IllegalAddresses.from_text(text, NOW) == IllegalAddresses()
