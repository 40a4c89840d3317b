"""Function 43/14 and function 17, byte by byte."""

from __future__ import annotations

import pytest

from gateway.testing.modbus import Conformity, Firmware, Identification, ServerId, SimulatedUnit

OBJECTS = {0: b"Company identification", 1: b"Product code XX", 2: b"V2.11", 5: b"Model", 0x80: b"PRIVATE"}


def ask(identification: Identification, code: int, number: int = 0) -> bytes:
    answer = SimulatedUnit(1, firmware=Firmware(identification=identification)).answer(bytes([0x2B, 0x0E, code, number]))
    assert answer is not None
    return answer


def numbers_in(answer: bytes) -> list[int]:
    """The objects of an answer, walked as a client walks them."""
    numbers, at = [], 7
    for _ in range(answer[6]):
        numbers.append(answer[at])
        at += 2 + answer[at + 1]
    assert at == len(answer)
    return numbers


def test_the_example_of_the_specification():
    told = ask(Identification({number: OBJECTS[number] for number in (0, 1, 2)}, conformity=Conformity.BASIC_STREAM), 1)
    listed = b"\x00\x16Company identification" + b"\x01\x0fProduct code XX" + b"\x02\x05V2.11"
    assert told == bytes.fromhex("2b 0e 01 01 00 00 03") + listed


@pytest.mark.parametrize(
    ("conformity", "code", "numbers"),
    [
        (Conformity.EXTENDED, 1, [0, 1, 2]),
        (Conformity.EXTENDED, 2, [0, 1, 2, 5]),
        (Conformity.EXTENDED, 3, [0, 1, 2, 5, 0x80]),
        (Conformity.BASIC, 3, [0, 1, 2]),
        (Conformity.REGULAR_STREAM, 3, [0, 1, 2, 5]),
    ],
)
def test_a_stream_holds_the_level_asked_for_up_to_the_one_known(conformity, code, numbers):
    told = ask(Identification(OBJECTS, conformity=conformity), code)
    assert told[3] == conformity
    assert numbers_in(told) == numbers


def test_more_than_one_answer_holds_is_paged():
    many = Identification({0: b"a" * 100, 1: b"b" * 100, 2: b"c" * 100, 3: b"d" * 140, 6: b"e"}, conformity=Conformity.REGULAR)
    first, second, third = ask(many, 2), ask(many, 2, 2), ask(many, 2, 6)
    assert (first[4:6], numbers_in(first)) == (b"\xff\x02", [0, 1])
    assert (second[4:6], numbers_in(second)) == (b"\xff\x06", [2, 3])
    assert (third[4:6], numbers_in(third)) == (b"\x00\x00", [6])
    assert max(map(len, (first, second, third))) <= 253


def test_a_device_may_page_earlier_than_it_must():
    early = Identification({0: b"a" * 20, 1: b"b" * 20, 2: b"c"}, page_bytes=40)
    assert numbers_in(ask(early, 1)) == [0]
    assert numbers_in(ask(early, 1, 1)) == [1, 2]


def test_a_stream_from_an_unknown_object_starts_at_the_beginning():
    assert numbers_in(ask(Identification(OBJECTS), 2, 4)) == [0, 1, 2, 5]


def test_a_single_object_is_given_where_the_conformity_says_so():
    assert ask(Identification(OBJECTS), 4, 2) == bytes.fromhex("2b 0e 04 82 00 00 01 02 05") + b"V2.11"
    assert ask(Identification(OBJECTS, conformity=Conformity.REGULAR_STREAM), 4, 2) == bytes.fromhex("ab 03")


@pytest.mark.parametrize(("code", "number", "exception"), [(4, 3, 2), (0, 0, 3), (5, 0, 3)])
def test_a_bad_question_is_refused(code, number, exception):
    assert ask(Identification(OBJECTS), code, number) == bytes([0xAB, exception])


def test_a_question_of_the_wrong_length_is_refused():
    assert SimulatedUnit(1, firmware=Firmware(identification=Identification(OBJECTS))).answer(
        bytes.fromhex("2b 0e 01")
    ) == bytes.fromhex("ab 03")


@pytest.mark.parametrize("objects", [{0: b"a", 1: b"b"}, {0: b"a", 1: b"b", 2: b"c" * 245}])
def test_an_identification_that_cannot_be_told_is_refused(objects):
    with pytest.raises(ValueError, match=r"mandatory|does not fit"):
        Identification(objects)


def test_report_server_id_tells_id_state_and_the_rest():
    unit = SimulatedUnit(1, firmware=Firmware(server_id=ServerId(b"\x10\x20", is_running=False, additional=b"xy")))
    assert unit.answer(b"\x11") == b"\x11\x05\x10\x20\x00xy"
    assert unit.answer(b"\x11\x00") == b"\x91\x03"
