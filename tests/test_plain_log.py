"""A record of the log is bounded, whatever an error from outside has as its text or its traceback."""

import json
import logging

import pytest

from gateway.cli.logs import _JsonLines
from gateway.plain_log import MOST_CHARACTERS, MOST_LINES, PlainFormatter, shortened


def endless(depth):
    return elsewhere(depth + 1)


def elsewhere(depth):
    return endless(depth + 1)


def caught(act):
    try:
        act()
    except (ValueError, RecursionError) as error:
        return logging.LogRecord("x", logging.ERROR, "x.py", 1, "a bug", (), (type(error), error, error.__traceback__))


def raise_text(text):
    raise ValueError(text)


@pytest.mark.parametrize(
    "act",
    [lambda: endless(0), lambda: raise_text("x\n" * 1_000_000), lambda: raise_text("x" * 5_000_000)],
    ids=["a deep recursion", "a million lines", "5 MB"],
)
def test_a_record_with_a_huge_error_is_written_in_part(act):
    record = caught(act)
    lines = PlainFormatter("%(message)s").format(record).split("\n")
    assert lines[0] == "a bug"
    assert len(lines) <= MOST_LINES + 1
    assert max(map(len, lines)) <= MOST_CHARACTERS + 10
    written = json.loads(_JsonLines().format(caught(act)))["traceback"].split("\n")
    assert len(written) <= MOST_LINES + 1


def test_a_usual_record_is_written_whole():
    text = "\n".join(f"line {number}" for number in range(MOST_LINES))
    assert shortened(text) == text
