"""Test how answers are put together from notifications, whole, cut, damaged and mixed with others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.ble.profile.answer_frames import MOST_BYTES, Answer, AnswerAssembler, AnswerRule, ChecksumRule
from adapters.ble.profile.library import PROFILE_FILES

STATE = bytes.fromhex("dd03001d0618000001f201f400002c7c00000000000080640304030b8b0b8a0b84fa8d77")
"""Captured of a JBD battery monitor by syssi/esphome-jbd-bms."""
CELLS = bytes.fromhex("dd0400080f450f3d0f370f3dfec677")
JBD = PROFILE_FILES.load()["jbd-bms"].request_named("state").answer
RULES = [request.answer for profile in PROFILE_FILES.load().values() for request in profile.requests]


def fed(rule: AnswerRule, *notifications: bytes) -> list[Answer]:
    assembler = AnswerAssembler(rule)
    return [answer for one in notifications if (answer := assembler.feed(one)) is not None]


def pieces(frame: bytes, size: int) -> list[bytes]:
    return [frame[at : at + size] for at in range(0, len(frame), size)]


@pytest.mark.parametrize("size", range(1, len(STATE) + 1))
def test_an_answer_is_found_however_it_is_cut(size):
    assert fed(JBD, *pieces(STATE, size)) == [Answer(STATE[:-3])]


@pytest.mark.parametrize(
    "around",
    [
        (b"AT\r\n", b""),
        (CELLS, b""),
        (b"\xdd", b""),
        (b"\xdd\x03", b""),
        (STATE[:20], b""),
        (b"", CELLS[:5]),
        (STATE[:-1] + b"\x00", b""),
    ],
)
def test_what_stands_around_an_answer_is_skipped(around):
    before, behind = around
    assert Answer(STATE[:-3]) in fed(JBD, *pieces(before + STATE + behind, 20)) + fed(JBD, before, STATE, behind, STATE)


def test_a_damaged_answer_is_none_and_the_next_one_is_found():
    damaged = bytearray(STATE)
    damaged[10] ^= 0x40
    assembler = AnswerAssembler(JBD)
    assert assembler.feed(bytes(damaged)) is None
    assert assembler.damaged == 1
    assert assembler.feed(STATE) == Answer(STATE[:-3])


def test_an_answer_without_one_of_its_notifications_is_none_and_the_next_one_is_found():
    first, _, *rest = pieces(STATE, 8)
    assert fed(JBD, first, *rest, *pieces(STATE, 8)) == [Answer(STATE[:-3])]


def test_a_refusal_is_told_with_its_meaning():
    refused = bytes.fromhex("dd03800000807700")
    assert fed(JBD, refused[:2], refused[2:]) == [Answer(refused, "it does not know this request")]


def test_without_a_length_each_notification_is_an_answer():
    rule = AnswerRule(starts_with=b"\x50", refused={"ff": "busy"})
    assert fed(rule, b"\x51\x00", b"\x50\x01", b"\xff") == [Answer(b"\x50\x01"), Answer(b"\xff", "busy")]


@pytest.mark.parametrize(
    ("kind", "covers", "frame"),
    [
        ("sum8", (0, -1), "010203" + "06"),
        ("sum8", (1, -1), "ff0203" + "05"),
        ("negative-sum16", (2, -3), "dd04" + "00080f450f3d0f370f3d" + "fec6" + "77"),
        ("crc16-modbus", (0, -2), "ff030e00640085000010" + "10007a00000000" + "3168"),
    ],
)
def test_checksums_are_those_of_captured_frames(kind, covers, frame):
    rule, whole = ChecksumRule(kind=kind, covers=covers), bytes.fromhex(frame)
    assert rule.is_right(whole)
    assert not rule.is_right(whole[:-1] + bytes([whole[-1] ^ 1]) if covers[1] != -3 else whole[:-2] + b"\x00" + whole[-1:])
    assert not rule.is_right(b"")


@given(st.sampled_from(RULES), st.lists(st.binary(max_size=244), max_size=30))
@settings(max_examples=200, deadline=None)
def test_nothing_that_a_device_sends_ends_the_search(rule, notifications):
    assembler = AnswerAssembler(rule)
    for one in notifications:
        answer = assembler.feed(one)
        assert answer is None or answer.refusal or answer.content.startswith(rule.starts_with)


@given(
    st.lists(st.sampled_from([STATE[:4], b"\xdd", b"\xdd\x03\x00\xff", STATE[:20], CELLS]) | st.binary(max_size=60), max_size=8)
)
@settings(max_examples=200, deadline=None)
def test_whatever_came_before_an_answer_that_is_sent_again_and_again_is_found(notifications):
    assert Answer(STATE[:-3]) in fed(JBD, *notifications, *pieces(STATE * 20, 20))


def test_what_completes_no_answer_is_not_kept_for_ever():
    assembler = AnswerAssembler(AnswerRule(starts_with=b"\x01", length=MOST_BYTES))
    for _ in range(1000):
        assembler.feed(b"\x01" + bytes(243))
    assert len(assembler._buffer) <= MOST_BYTES


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"length": 5}, "an answer with a `length` is found by its first bytes"),
        ({"starts_with": "01", "length": 0}, "`length` is a number of bytes"),
        ({"starts_with": "0"}, "pairs of hexadecimal digits"),
        ({"refused": {"zz": "no"}}, "pairs of hexadecimal digits"),
        ({"checksum": {"kind": "crc64"}}, "there is no checksum 'crc64'; there are sum8, negative-sum16, crc16-modbus"),
        ({"checksum": {"kind": "crc16-modbus", "covers": [0, -1]}}, "an end of -2 or less"),
    ],
)
def test_a_wrong_rule_is_told_with_what_would_be_right(said, told):
    with pytest.raises(ValidationError, match=told):
        AnswerRule.model_validate(said)
