"""Check that failed transactions are counted by what failed, with the numbers as detail, and bounded."""

import pytest

from gateway.causes import Cause, Reason
from gateway.status.failure_counts import MAX_KINDS_OF_UNKNOWN_CAUSE, OTHER_REASONS, FailureCounts, kind_of


def test_time_outs_of_four_lengths_are_one_row_with_the_last_limit_as_detail():
    counts = FailureCounts()
    for limit in ("0.04 s", "0.08 s", "0.32 s", "0.5 s"):
        for _ in range(3):
            counts.count(Reason(f"no answer within {limit}", Cause.NO_ANSWER))

    (row,) = counts.counts()

    assert (row.kind, row.cause, row.times) == ("no answer", Cause.NO_ANSWER, 12)
    assert row.last_text == "no answer within 0.5 s"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("no answer within 0.04 s", "no answer within … s"),
        ("unit 17 refuses registers 40-59 with 0x02", "unit … refuses registers …-… with …"),
        ("192.168.1.20:502 closed it after 3 bytes", "… closed it after … bytes"),
        ("RS485 of m3 is upside down", "RS485 of m3 is upside down"),
    ],
)
def test_without_a_cause_the_numbers_make_no_further_kind(text, kind):
    assert kind_of(Reason(text)) == kind


def test_a_stranger_who_writes_another_text_each_time_fills_no_memory():
    counts = FailureCounts()
    for number in range(500):
        counts.count(Reason("x" * (number + 1)))
    for cause in Cause:
        counts.count(Reason("seen", cause))

    rows = counts.counts()

    assert len(rows) <= MAX_KINDS_OF_UNKNOWN_CAUSE + 1 + len(Cause)
    assert (rows[0].kind, rows[0].times) == (OTHER_REASONS, 500 - MAX_KINDS_OF_UNKNOWN_CAUSE + 1)


def test_the_most_frequent_kind_comes_first():
    counts = FailureCounts()
    counts.count(Reason("a", Cause.WRONG_ANSWER))
    for _ in range(2):
        counts.count(Reason("b", Cause.NO_ANSWER))

    assert [row.cause for row in counts.counts()] == [Cause.NO_ANSWER, Cause.WRONG_ANSWER]
