"""What is confirmed of a model is stored as a text, and read back; what is damaged is ignored."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.polling.bisection import LengthLimit
from adapters.modbus.polling.refusal_facts import facts_as_text, facts_from_text
from adapters.modbus.polling.refusals import (
    ASKED_AGAIN_AFTER,
    CONFIRMED_BY_ONE,
    MOST_TEMPORARY_SECONDS,
    TEMPORARY_CODES,
    Refusal,
    is_about_addresses,
    seconds_until_asked_again,
)
from adapters.modbus.polling.unit_refusals import Facts, KnownLimit

SINCE = datetime(2026, 11, 29, 18, tzinfo=UTC)


def refusal(address=70, count=2, code=2):
    return Refusal(ReadRequest(Table.INPUT, address, count), code, SINCE, next_at=0.0, times=CONFIRMED_BY_ONE)


@pytest.mark.parametrize("code", [None, 0x00, 0x02, 0xFF], ids=str)
def test_facts_are_read_back_as_they_were(code):
    facts = Facts(
        {"frequency": refusal(code=code), "power": refusal(7, 1)},
        {(Table.INPUT, 72): refusal(0, 100)},
        KnownLimit(LengthLimit(3, 4), refusal(0, 4, None)),
    )
    assert facts_from_text(facts_as_text(facts)) == facts


GOOD = json.loads(
    facts_as_text(Facts({"m": refusal()}, {(Table.INPUT, 72): refusal()}, KnownLimit(LengthLimit(1, 2), refusal())))
)
DAMAGED = {
    "no object": [],
    "points are a list": {**GOOD, "points": []},
    "a point without a time": {**GOOD, "points": {"m": ["input 7", 2]}},
    "a code out of range": {**GOOD, "points": {"m": ["input 7", 256, SINCE.isoformat()]}},
    "a time without a zone": {**GOOD, "points": {"m": ["input 7", 2, "2026-11-29T18:00:00"]}},
    "no read": {**GOOD, "points": {"m": ["input -1", 2, SINCE.isoformat()]}},
    "another table": {**GOOD, "boundaries": [["disk", 1, "input 7", 2, SINCE.isoformat()]]},
    "an address beyond the last": {**GOOD, "points": {"m": ["input 65536", 2, SINCE.isoformat()]}},
    "an address of many digits": {**GOOD, "points": {"m": ["input " + 5000 * "9", 2, SINCE.isoformat()]}},
    "an infinite boundary": {**GOOD, "boundaries": [["input", math.inf, "input 7", 2, SINCE.isoformat()]]},
    "a limit upside down": {**GOOD, "limit": [4, 3, "input 7", 2, SINCE.isoformat()]},
    "a limit of zero": {**GOOD, "limit": [0, 3, "input 7", 2, SINCE.isoformat()]},
    "an earlier version": {"refused": ["m"], "places": ["input 7"], "seams": [], "until": SINCE.isoformat()},
}


@pytest.mark.parametrize("stored", DAMAGED.values(), ids=DAMAGED)
def test_damaged_facts_are_none(stored):
    assert facts_from_text(json.dumps(stored)) == Facts()


def test_facts_that_are_nested_too_deep_are_none():
    assert facts_from_text(100_000 * "[") == Facts()


@given(st.text(max_size=60))
def test_any_other_text_holds_no_facts(text):
    assert facts_from_text(text) == Facts()


@given(st.integers(1, 40), st.one_of(st.none(), st.integers(0, 255)))
def test_the_intervals_grow_to_a_day_and_for_temporary_codes_to_ten_minutes(times, code):
    now, later = seconds_until_asked_again(times, code), seconds_until_asked_again(times + 1, code)
    assert ASKED_AGAIN_AFTER[0] <= now <= later <= 86400
    if code in TEMPORARY_CODES:
        assert later <= MOST_TEMPORARY_SECONDS


@given(st.integers(0, 255))
def test_all_codes_but_those_of_busy_units_and_gateways_are_about_addresses(code):
    assert is_about_addresses(code) == (code not in {0x05, 0x06, 0x0A, 0x0B})
