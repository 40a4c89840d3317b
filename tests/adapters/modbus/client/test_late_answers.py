"""What a unit still owes, and what may be asked of it meanwhile."""

from __future__ import annotations

import pytest

from adapters.modbus.client.late_answers import OWED_BOUND, Debt, Owed, fits
from adapters.modbus.client.pdu import Level, Read, ReadIdentification, ReportServerId, Table, Write

A = Read(Table.HOLDING, 0, 4)
SAME_SIZE = Read(Table.HOLDING, 100, 4)
OTHER_SIZE = Read(Table.HOLDING, 100, 5)
OTHER_TABLE = Read(Table.INPUT, 0, 4)
VALUES_OF_A = bytes([3, 8, *range(8)])
REFUSAL_OF_A = b"\x83\x02"


def owing(*questions, unit=1):
    owed = Owed()
    for second, question in enumerate(questions):
        owed.asked(unit, Debt(question, float(second), 10.0 + second))
    return owed


@pytest.mark.parametrize(
    ("question", "until"),
    [
        (A, 0.0),
        (SAME_SIZE, 10.0),
        (OTHER_SIZE, 10.0),
        (OTHER_TABLE, 0.0),
        (ReportServerId(), 0.0),
        (Write(Table.HOLDING, 0, (1,)), 0.0),
    ],
    ids=["the same, whose late answer is true", "its size", "it may be refused", "another table", "another function", "a write"],
)
def test_what_could_be_confused_with_an_answer_that_is_owed_is_held(question, until):
    assert owing(A).held_until(1, question, now=1.0) == until


def test_only_the_unit_that_owes_is_kept_from_questions():
    assert owing(A).held_until(2, SAME_SIZE, now=1.0) == 0.0


def test_nobody_waits_for_what_cannot_come_any_more():
    assert owing(A).held_until(1, SAME_SIZE, now=10.0) == 0.0


def test_a_question_asked_three_times_is_owed_three_answers():
    owed = owing(A, A, A)
    assert owed.came(1, VALUES_OF_A, began=2.1)
    assert owed.answered(1, A, began=2.5, with_value=True) == 1.5, "the second time it was asked is the first that is owed"
    assert owed.held_until(1, SAME_SIZE, now=3.0) == 12.0
    assert owed.came(1, VALUES_OF_A, began=3.0)
    assert owed.held_until(1, SAME_SIZE, now=3.0) == 0.0
    assert not owed.came(1, VALUES_OF_A, began=3.1)


@pytest.mark.parametrize(
    ("began", "took", "still_owed_until"),
    [(1.1, 0.1, 10.0), (1.14, 0.14, 10.0), (1.2, 1.2, 11.0), (1.02, 1.02, 11.0)],
    ids=["as ever", "nearly", "later than ever", "sooner than ever"],
)
def test_the_usual_turnaround_tells_which_of_two_requests_was_answered(began, took, still_owed_until):
    owed = owing(OTHER_TABLE)
    owed.answered(1, OTHER_TABLE, began=0.1, with_value=True)
    owed.asked(1, Debt(A, 0.0, 10.0))
    owed.asked(1, Debt(A, 1.0, 11.0))
    assert owed.answered(1, A, began=began, with_value=True) == pytest.approx(took)
    assert owed.held_until(1, SAME_SIZE, now=2.0) == still_owed_until


def test_a_late_answer_that_was_seen_tells_that_the_unit_has_become_slow():
    owed = owing(OTHER_TABLE)
    owed.answered(1, OTHER_TABLE, began=0.1, with_value=True)
    owed.asked(1, Debt(A, 0.0, 10.0))
    assert owed.came(1, VALUES_OF_A, began=0.8)
    owed.asked(1, Debt(A, 1.0, 11.0))
    owed.asked(1, Debt(A, 1.7, 11.7))
    assert owed.answered(1, A, began=1.8, with_value=True) == pytest.approx(0.8)


def test_an_answer_that_is_always_lost_is_not_inherited_by_each_question_after_it():
    owed = Owed()
    for second in range(100):
        owed.asked(1, Debt(A, float(second), second + 10.0))
        if second != 5:
            last = owed.answered(1, A, began=second + 0.005, with_value=True)
    assert last == pytest.approx(0.005)
    assert owed.held_until(1, SAME_SIZE, now=16.0) == 0.0


def test_what_was_answered_with_a_value_meanwhile_is_not_expected_to_be_refused():
    owed = owing(A, A)
    owed.answered(1, A, began=1.0, with_value=True)
    assert owed.held_until(1, OTHER_SIZE, now=2.0) == 0.0
    assert owed.held_until(1, SAME_SIZE, now=2.0) == 11.0


def test_a_late_refusal_settles_what_it_refuses():
    owed = owing(A)
    assert owed.came(1, REFUSAL_OF_A, began=0.5)
    assert owed.held_until(1, OTHER_SIZE, now=1.0) == 0.0


@pytest.mark.parametrize("pdu", [b"\x03\x06abcdef", b"\x03\x08abc", b"\x03", b"\x04\x08abcdefgh", b"\x84\x02"])
def test_a_frame_that_is_no_answer_to_it_settles_nothing(pdu):
    owed = owing(A)
    assert not owed.came(1, pdu, began=0.5)
    assert owed.held_until(1, SAME_SIZE, now=1.0) == 10.0


def test_a_question_that_never_arrived_is_owed_nothing():
    owed, debt = Owed(), Debt(A, 0.0, 10.0)
    owed.asked(1, debt)
    owed.forgive(1, debt)
    owed.forgive(1, debt)
    assert owed.held_until(1, SAME_SIZE, now=1.0) == 0.0


def test_a_malformed_answer_belongs_to_a_question_only_where_nothing_else_is_owed():
    assert owing(A, A).only(1, A)
    assert not owing(A, OTHER_SIZE).only(1, OTHER_SIZE)


def test_what_is_reckoned_with_is_bounded_and_the_oldest_is_dropped():
    owed = owing(*[A] * (OWED_BOUND + 5))
    assert owed.answered(1, A, began=50.0, with_value=True) == 45.0
    for _ in range(OWED_BOUND - 1):
        assert owed.came(1, VALUES_OF_A, began=50.0)
    assert not owed.came(1, VALUES_OF_A, began=50.0)


@pytest.mark.parametrize(
    ("question", "pdu", "does"),
    [
        (A, VALUES_OF_A, True),
        (A, REFUSAL_OF_A, True),
        (OTHER_SIZE, VALUES_OF_A, False),
        (Read(Table.COIL, 0, 9), b"\x01\x02\x05\x01", True),
        (Read(Table.COIL, 0, 17), b"\x01\x02\x05\x01", False),
        (Write(Table.COIL, 5, (1,)), b"\x05\x00\x05\xff\x00", True),
        (Write(Table.COIL, 5, (1,)), b"\x05\x00\x05\x00\x00", False),
        (Write(Table.HOLDING, 5, (1, 2)), b"\x10\x00\x05\x00\x02", True),
        (ReadIdentification(Level.ONE_OBJECT, 7), b"\x2b\x0e\x04", True),
        (ReportServerId(), b"\x2b\x0e\x04", False),
    ],
)
def test_an_answer_has_the_function_and_the_size_of_its_question(question, pdu, does):
    assert fits(question, pdu) is does
