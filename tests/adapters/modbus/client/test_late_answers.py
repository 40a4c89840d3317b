"""Late answers: which request they belong to, and which requests have to wait for them."""

from __future__ import annotations

import pytest

from adapters.modbus.client.late_answers import LATE_ANSWERS_BOUND, LateAnswers, UnansweredRequest, fits
from adapters.modbus.client.pdu import (
    IdentificationLevel,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Table,
    WriteRequest,
)

A = ReadRequest(Table.HOLDING, 0, 4)
SAME_SIZE = ReadRequest(Table.HOLDING, 100, 4)
OTHER_SIZE = ReadRequest(Table.HOLDING, 100, 5)
OTHER_TABLE = ReadRequest(Table.INPUT, 0, 4)
VALUES_OF_A = bytes([3, 8, *range(8)])
EXCEPTION_FOR_A = b"\x83\x02"


def waiting_for(*requests, unit=1):
    late = LateAnswers()
    for second, request in enumerate(requests):
        late.add(unit, UnansweredRequest(request, float(second), 10.0 + second))
    return late


@pytest.mark.parametrize(
    ("asked", "until"),
    [
        (A, 0.0),
        (SAME_SIZE, 10.0),
        (OTHER_SIZE, 10.0),
        (OTHER_TABLE, 0.0),
        (ReportServerId(), 0.0),
        (WriteRequest(Table.HOLDING, 0, (1,)), 0.0),
    ],
    ids=["the same, whose late answer is true", "its size", "it may be refused", "another table", "another function", "a write"],
)
def test_a_request_whose_answer_could_be_confused_with_a_late_one_has_to_wait(asked, until):
    assert waiting_for(A).blocked_until(1, asked, now=1.0) == until


def test_a_request_waits_for_the_last_of_several_late_answers():
    assert waiting_for(A, OTHER_SIZE).blocked_until(1, SAME_SIZE, now=1.0) == 11.0


def test_writes_whose_confirmations_are_equal_have_to_wait_for_each_other_and_others_do_not():
    two_words, other_words = WriteRequest(Table.HOLDING, 0, (1, 2)), WriteRequest(Table.HOLDING, 0, (3, 4))
    late = waiting_for(two_words, two_words)
    late.answered(1, two_words, began=1.0, with_value=True)
    assert late.blocked_until(1, other_words, now=2.0) == 11.0, "function 16 confirms address and count only"
    assert late.blocked_until(1, WriteRequest(Table.HOLDING, 5, (3, 4)), now=2.0) == 0.0


def test_only_the_unit_with_a_late_answer_has_to_wait():
    assert waiting_for(A).blocked_until(2, SAME_SIZE, now=1.0) == 0.0


def test_no_request_waits_for_an_answer_that_cannot_arrive_any_more():
    assert waiting_for(A).blocked_until(1, SAME_SIZE, now=10.0) == 0.0


def test_a_request_sent_three_times_may_be_answered_three_times():
    late = waiting_for(A, A, A)
    assert late.take_late(1, VALUES_OF_A, began=2.1)
    assert late.answered(1, A, began=2.5, with_value=True) == 1.5, "the second request is the first without an answer"
    assert late.blocked_until(1, SAME_SIZE, now=3.0) == 12.0
    assert late.take_late(1, VALUES_OF_A, began=3.0)
    assert late.blocked_until(1, SAME_SIZE, now=3.0) == 0.0
    assert not late.take_late(1, VALUES_OF_A, began=3.1)


@pytest.mark.parametrize(
    ("began", "took", "blocked_until"),
    [(1.1, 0.1, 10.0), (1.14, 0.14, 10.0), (1.2, 1.2, 11.0), (1.02, 1.02, 11.0)],
    ids=["as ever", "nearly", "later than ever", "sooner than ever"],
)
def test_the_usual_turnaround_decides_which_of_two_requests_was_answered(began, took, blocked_until):
    late = waiting_for(OTHER_TABLE)
    late.answered(1, OTHER_TABLE, began=0.1, with_value=True)
    late.add(1, UnansweredRequest(A, 0.0, 10.0))
    late.add(1, UnansweredRequest(A, 1.0, 11.0))
    assert late.answered(1, A, began=began, with_value=True) == pytest.approx(took)
    assert late.blocked_until(1, SAME_SIZE, now=2.0) == blocked_until


def test_a_late_answer_shows_that_the_unit_has_become_slow():
    late = waiting_for(OTHER_TABLE)
    late.answered(1, OTHER_TABLE, began=0.1, with_value=True)
    late.add(1, UnansweredRequest(A, 0.0, 10.0))
    assert late.take_late(1, VALUES_OF_A, began=0.8)
    late.add(1, UnansweredRequest(A, 1.0, 11.0))
    late.add(1, UnansweredRequest(A, 1.7, 11.7))
    assert late.answered(1, A, began=1.8, with_value=True) == pytest.approx(0.8)


def test_the_turnaround_of_a_late_answer_is_the_usual_one_from_then_on():
    late = LateAnswers()
    late.add(1, UnansweredRequest(A, 1.0, 10.0))
    assert late.take_late(1, VALUES_OF_A, began=1.8)
    late.add(1, UnansweredRequest(A, 3.0, 13.0))
    late.add(1, UnansweredRequest(A, 3.5, 13.5))
    assert late.answered(1, A, began=4.3, with_value=True) == pytest.approx(0.8), "it belongs to the second request"


def test_a_lost_answer_does_not_shift_the_answers_of_all_later_requests():
    late = LateAnswers()
    for second in range(100):
        late.add(1, UnansweredRequest(A, float(second), second + 10.0))
        if second != 5:
            last = late.answered(1, A, began=second + 0.005, with_value=True)
    assert last == pytest.approx(0.005)
    assert late.blocked_until(1, SAME_SIZE, now=16.0) == 0.0


def test_a_request_that_was_answered_with_a_value_is_not_expected_to_be_refused():
    late = waiting_for(A, A)
    late.answered(1, A, began=1.0, with_value=True)
    assert late.blocked_until(1, OTHER_SIZE, now=2.0) == 0.0
    assert late.blocked_until(1, SAME_SIZE, now=2.0) == 11.0


def test_a_late_exception_ends_the_wait_for_its_request():
    late = waiting_for(A)
    assert late.take_late(1, EXCEPTION_FOR_A, began=0.5)
    assert late.blocked_until(1, OTHER_SIZE, now=1.0) == 0.0


@pytest.mark.parametrize("pdu", [b"\x03\x06abcdef", b"\x03\x08abc", b"\x03", b"\x04\x08abcdefgh", b"\x84\x02"])
def test_a_frame_that_is_no_answer_to_it_ends_no_wait(pdu):
    late = waiting_for(A)
    assert not late.take_late(1, pdu, began=0.5)
    assert late.blocked_until(1, SAME_SIZE, now=1.0) == 10.0


def test_a_request_that_was_never_sent_has_no_late_answer():
    late, unanswered = LateAnswers(), UnansweredRequest(A, 0.0, 10.0)
    late.add(1, unanswered)
    late.discard(1, unanswered)
    late.discard(1, unanswered)
    assert late.blocked_until(1, SAME_SIZE, now=1.0) == 0.0


def test_a_malformed_answer_belongs_to_a_request_only_where_no_other_is_unanswered():
    assert waiting_for(A, A).only(1, A)
    assert not waiting_for(A, OTHER_SIZE).only(1, OTHER_SIZE)


def test_the_unanswered_requests_are_bounded_and_the_oldest_is_dropped():
    late = waiting_for(*[A] * (LATE_ANSWERS_BOUND + 5))
    assert late.answered(1, A, began=50.0, with_value=True) == 45.0
    for _ in range(LATE_ANSWERS_BOUND - 1):
        assert late.take_late(1, VALUES_OF_A, began=50.0)
    assert not late.take_late(1, VALUES_OF_A, began=50.0)


@pytest.mark.parametrize(
    ("asked", "pdu", "does"),
    [
        (A, VALUES_OF_A, True),
        (A, EXCEPTION_FOR_A, True),
        (OTHER_SIZE, VALUES_OF_A, False),
        (ReadRequest(Table.COIL, 0, 9), b"\x01\x02\x05\x01", True),
        (ReadRequest(Table.COIL, 0, 17), b"\x01\x02\x05\x01", False),
        (WriteRequest(Table.COIL, 5, (1,)), b"\x05\x00\x05\xff\x00", True),
        (WriteRequest(Table.COIL, 5, (1,)), b"\x05\x00\x05\x00\x00", False),
        (WriteRequest(Table.HOLDING, 5, (1, 2)), b"\x10\x00\x05\x00\x02", True),
        (ReadDeviceIdentification(IdentificationLevel.ONE_OBJECT, 7), b"\x2b\x0e\x04", True),
        (ReportServerId(), b"\x2b\x0e\x04", False),
    ],
)
def test_an_answer_has_the_function_and_the_size_of_its_request(asked, pdu, does):
    assert fits(asked, pdu) is does
