"""Simulated units refuse reads for a time or for good, and do not return more registers than they can."""

from __future__ import annotations

import pytest

from gateway.testing.modbus import Faults, LongReads, RefusedAddresses, SimulatedUnit, Table


class Hands:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def unit(clock=lambda: 0.0, **faults):
    registers = {table: {address: address for address in range(40)} for table in (Table.HOLDING_REGISTERS, Table.INPUT_REGISTERS)}
    made = SimulatedUnit(1, registers=registers, clock=clock)
    made.faults = Faults(**faults)
    return made


def asked(one, start, count, function=3):
    answer = one.answer(bytes([function]) + start.to_bytes(2) + count.to_bytes(2))
    return None if answer is None else answer.hex()


@pytest.mark.parametrize("code", [0x00, 0x02, 0x04, 0x20, 0xFF], ids="{:02X}".format)
def test_it_refuses_a_read_of_these_addresses_with_any_code(code):
    one = unit(refused=(RefusedAddresses(addresses=range(5, 7), code=code),))
    for start, count in [(5, 1), (6, 1), (0, 6), (6, 30), (0, 40)]:
        assert asked(one, start, count) == f"83{code:02x}"
    assert asked(one, 0, 5) == "030a00000001000200030004"
    assert asked(one, 7, 1) == "03020007"


def test_it_refuses_them_so_many_times_and_then_answers():
    one = unit(refused=(RefusedAddresses(addresses=range(5, 6), code=4, times=2),))
    assert [asked(one, 5, 1) for _ in range(3)] == ["8304", "8304", "03020005"]


def test_it_refuses_them_for_a_time_by_its_clock():
    clock = Hands()
    one = unit(clock, refused=(RefusedAddresses(addresses=range(5, 6), from_seconds=10, until_seconds=20),))
    answers = []
    for clock.now in (9, 10, 19, 20):
        answers.append(asked(one, 5, 1))
    assert answers == ["03020005", "8302", "8302", "03020005"]


def test_it_refuses_them_in_one_table_only():
    one = unit(refused=(RefusedAddresses(addresses=range(5, 6), table=Table.INPUT_REGISTERS),))
    assert (asked(one, 5, 1, function=3), asked(one, 5, 1, function=4)) == ("03020005", "8402")


def test_it_is_silent_to_a_read_of_these_addresses():
    one = unit(refused=(RefusedAddresses(addresses=range(5, 6), code=None),))
    assert (asked(one, 5, 1), asked(one, 6, 1)) == (None, "03020006")


@pytest.mark.parametrize(("then", "answer"), [("silent", None), ("short", "030400000001"), (3, "8303"), (0x20, "8320")], ids=str)
def test_it_does_not_return_more_registers_than_it_can(then, answer):
    one = unit(long_reads=LongReads(registers=2, then=then))
    assert asked(one, 0, 3) == answer
    assert asked(one, 0, 2) == "030400000001"


@pytest.mark.parametrize("code", [0x00, 0x07, 0x20, 0xFF], ids="{:02X}".format)
def test_it_answers_everything_with_any_exception_code(code):
    assert asked(unit(exception=code), 0, 1) == f"83{code:02x}"


def test_a_value_that_was_not_returned_is_not_recorded_as_served():
    one = unit(long_reads=LongReads(registers=1))
    asked(one, 0, 2)
    assert not one.history
