"""Values to words and back, as the registers of a device hold them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing.modbus import Constant, Counter, Encoding, Signal, Sine, StepWave, Table


def signal(encoding: Encoding, **more) -> Signal:
    return Signal(
        **{"metric": "m", "table": Table.INPUT_REGISTERS, "address": 0, "encoding": encoding, "wave": Constant(0)} | more
    )


@pytest.mark.parametrize(
    ("encoding", "more", "value", "words"),
    [
        (Encoding.INT16, {}, -2, (0xFFFE,)),
        (Encoding.UINT16, {"scale": 0.1}, 230.04, (2300,)),
        (Encoding.INT32, {}, -1, (0xFFFF, 0xFFFF)),
        (Encoding.UINT32, {}, 0x12345678, (0x1234, 0x5678)),
        (Encoding.UINT32, {"word_order": "little"}, 0x12345678, (0x5678, 0x1234)),
        (Encoding.INT64, {}, -(2**40), (0xFFFF, 0xFF00, 0, 0)),
        (Encoding.UINT64, {}, 0x0123456789ABCDEF, (0x0123, 0x4567, 0x89AB, 0xCDEF)),
        (Encoding.FLOAT32, {}, 230.2, (0x4366, 0x3333)),
        (Encoding.FLOAT32, {"word_order": "little"}, 230.2, (0x3333, 0x4366)),
        (Encoding.STRING, {"length": 3}, "EM340", (0x454D, 0x3334, 0x3000)),
        (Encoding.BOOL, {"table": Table.COILS}, True, (1,)),
        (Encoding.BOOL, {"bit": 4}, True, (0x0010,)),
    ],
)
def test_each_encoding_stands_in_its_words(encoding, more, value, words):
    assert signal(encoding, **more).words(value) == words


@pytest.mark.parametrize(
    ("encoding", "value", "words"),
    [
        (Encoding.INT16, -40_000, (0x8000,)),
        (Encoding.INT16, 40_000, (0x7FFF,)),
        (Encoding.UINT16, -1, (0,)),
        (Encoding.UINT32, 2**40, (0xFFFF, 0xFFFF)),
    ],
)
def test_a_value_beyond_its_encoding_stops_at_the_limit(encoding, value, words):
    assert signal(encoding).words(value) == words


@given(st.integers(-(2**15), 2**15 - 1))
def test_a_client_reads_what_was_rounded_to_the_register(count):
    tenths = signal(Encoding.INT16, scale=0.1)
    assert tenths.value(tenths.words(count * 0.1 + 0.03)) == count / 10


@given(st.floats(width=32, allow_nan=False), st.sampled_from(["big", "little"]))
def test_a_float_is_read_back_exactly(value, word_order):
    measured = signal(Encoding.FLOAT32, word_order=word_order)
    assert measured.value(measured.words(value)) == value


def test_a_float_is_told_as_rounded_to_single_precision():
    assert (
        signal(Encoding.FLOAT32).value(signal(Encoding.FLOAT32).words(0.1))
        == struct.unpack(">f", struct.pack(">f", 0.1))[0]
        != 0.1
    )


@given(st.integers(0, 2**64 - 1))
def test_no_digit_of_a_64_bit_counter_is_lost(count):
    counter = signal(Encoding.UINT64)
    assert counter.value(counter.words(count)) == count


def test_a_string_too_long_for_its_registers_is_cut():
    label = signal(Encoding.STRING, length=2)
    assert label.value(label.words("PM5340")) == "PM53"


def test_a_bit_leaves_its_neighbours_in_the_register_alone():
    alarm = signal(Encoding.BOOL, bit=1)
    assert alarm.words(value=True, before=(0b1001,)) == (0b1011,)
    assert alarm.words(value=False, before=(0b1011,)) == (0b1001,)


def test_waves_move_as_they_are_named():
    assert Sine(230, 2, 60)(0) == 230
    assert Sine(230, 2, 60)(15) == pytest.approx(232)
    assert Counter(100, 0.5)(10) == 105
    assert [StepWave(("off", "on"), 10)(second) for second in (0, 9.9, 10, 20)] == ["off", "off", "on", "off"]


@pytest.mark.parametrize(
    ("encoding", "more"),
    [
        (Encoding.UINT16, {"table": Table.COILS}),
        (Encoding.UINT16, {"writable": True}),
        (Encoding.UINT32, {"address": 0xFFFF}),
        (Encoding.UINT16, {"address": -1}),
        (Encoding.STRING, {"length": 0}),
        (Encoding.BOOL, {"bit": 16}),
    ],
)
def test_a_signal_that_no_device_could_have_is_refused(encoding, more):
    with pytest.raises(ValueError, match="m:"):
        signal(encoding, **more)


def test_a_sine_stays_within_its_amplitude():
    assert all(228 <= Sine(230, 2, 7)(second / 10) <= 232 for second in range(100))
    assert not math.isclose(Sine(230, 2, 7)(1), Sine(230, 2, 7)(2))
