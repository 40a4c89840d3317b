"""Decoding: every type and order against an independent encoder."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.decode import BlockDecoder
from adapters.modbus.profile.points import Encoding, PlacedPoint, ValueType, decoded_numbers, raw_limits
from adapters.modbus.profile.values import decode_one
from gateway.adapter import Metric, Reading, Reduce

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CODES = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d"}


def on_the_wire(number: float, code: str, *, low_word_first: bool, low_byte_first: bool) -> bytes:
    """Lay a number into registers as a device with these orders does."""
    words = [struct.pack(f">{code}", number)[at : at + 2] for at in range(0, struct.calcsize(code), 2)]
    if low_word_first:
        words.reverse()
    return b"".join(word[::-1] if low_byte_first else word for word in words)


@st.composite
def numbers(draw):
    name = draw(st.sampled_from(sorted(CODES)))
    bits = 8 * struct.calcsize(CODES[name])
    if name.startswith("float"):
        return name, draw(st.floats(width=bits, allow_nan=False, allow_infinity=False))
    low = -(2 ** (bits - 1)) if name.startswith("int") else 0
    return name, draw(st.integers(low, low + 2**bits - 1))


def placed(encoding: Encoding, address: int, name: str = "m", table: Table = Table.HOLDING, **beside: int | None):
    return PlacedPoint(metric=Metric(name), table=table, address=address, encoding=encoding, **beside)


def values(points, payload: bytes, start: int = 0, table: Table = Table.HOLDING) -> list[object]:
    return [reading.value for reading in BlockDecoder(table, start, points).decode(payload, "child", AT)]


@given(st.lists(st.tuples(numbers(), st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
def test_every_number_type_in_every_order_comes_back(fields):
    points, payload, expected = [], b"", []
    for (name, number), low_word_first, low_byte_first, hole in fields:
        payload += b"\xaa\xbb" * hole
        encoding = Encoding(
            type=ValueType(name),
            words=struct.calcsize(CODES[name]) // 2,
            low_word_first=low_word_first,
            low_byte_first=low_byte_first,
        )
        points.append(placed(encoding, 100 + len(payload) // 2))
        payload += on_the_wire(number, CODES[name], low_word_first=low_word_first, low_byte_first=low_byte_first)
        expected.append(number)
    assert values(points, payload, start=100) == expected


@given(st.data(), st.sampled_from(sorted(set(CODES) - {"float32", "float64"})), st.booleans(), st.booleans())
def test_a_number_says_not_available_in_every_type_and_order_and_its_neighbours_are_values(data, name, words, octets):
    kind, size = ValueType(name), struct.calcsize(CODES[name])
    low, high = raw_limits(kind)
    around = st.lists(st.integers(low, high), min_size=1, max_size=6)
    found, missing = data.draw(around), data.draw(st.frozensets(st.integers(low, high), max_size=3))
    scale = data.draw(st.sampled_from([1.0, 0.1, 10.0]))
    raw = [one for number in [*found, *missing] for one in (number, min(number + 1, high))]
    as_words = frozenset(number % (1 << 8 * size) for number in missing)  # as a maker writes them: unsigned
    encoding = Encoding(
        type=kind,
        words=size // 2,
        low_word_first=words,
        low_byte_first=octets,
        scale=scale,
        not_available=decoded_numbers(kind, as_words),
    )
    payload = b"".join(on_the_wire(one, CODES[name], low_word_first=words, low_byte_first=octets) for one in raw)
    points = [placed(encoding, at * size // 2) for at in range(len(raw))]
    plain = [placed(replace(encoding, not_available=frozenset()), at * size // 2) for at in range(len(raw))]
    expected = [None if one in missing else value for one, value in zip(raw, values(plain, payload), strict=True)]
    assert values(points, payload) == expected


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(1, 16))
def test_a_bit_field_is_what_the_shifted_number_says(word, first, length):
    length = min(length, 16 - first)
    (value,) = values([placed(Encoding(type=ValueType.UINT16, bits=(first, length)), 0)], word.to_bytes(2))
    digits = f"{word:016b}"[::-1][first : first + length][::-1]
    assert value == int(digits, 2)
    assert isinstance(value, bool) == (length == 1)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.data())
def test_bits_of_a_bit_table_come_back_in_their_order(bits, data):
    start = data.draw(st.integers(0, 1000))
    payload = bytes(sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    points = [placed(Encoding(type=ValueType.BOOL), start + at, table=Table.COIL) for at in range(len(bits))]
    assert values(points, payload, start, Table.COIL) == bits


@given(st.integers(-32767, 32767), st.integers(-10, 10))
def test_a_scale_factor_is_a_power_of_ten(raw, power):
    point = placed(Encoding(type=ValueType.INT16), 5, scale_factor=6)
    (value,) = values([point], struct.pack(">hh", raw, power), start=5)
    assert value == pytest.approx(raw * 10.0**power, rel=1e-12)


@pytest.mark.parametrize("power", [-32768, 11, -11, 100])
def test_a_scale_factor_that_is_none_makes_no_value(power):
    point = placed(Encoding(type=ValueType.INT16), 5, scale_factor=6)
    assert values([point], struct.pack(">hh", 42, power), start=5) == [None]


@pytest.mark.parametrize("raw", [170, -170])
@pytest.mark.parametrize(("direction", "value"), [(1, -17.0), (0, 17.0), (2, 17.0), (0xFFFF, 17.0)])
def test_the_sign_of_an_amount_is_in_another_register(raw, direction, value):
    encoding = Encoding(type=ValueType.INT16, scale=0.1, negative=1)
    assert values([placed(encoding, 7, sign=9)], struct.pack(">hHH", raw, 0, direction), start=7) == [value]
    assert values([placed(encoding, 8, sign=7)], struct.pack(">Hh", direction, raw), start=7) == [value]


def test_an_amount_that_is_not_available_has_no_sign():
    encoding = Encoding(type=ValueType.INT16, negative=1, not_available=frozenset({0x7FFF}))
    assert values([placed(encoding, 7, sign=8)], struct.pack(">hH", 0x7FFF, 1), start=7) == [None]


@pytest.mark.parametrize(
    ("raw", "scale", "value"),
    [(3, 0.1, 0.3), (149, 0.00512, 0.76288), (2301, 0.1, 230.1), (70, 0.001, 0.07), (7, 10, 70), (-5, 0.5, -2.5)],
)
def test_scaling_makes_no_crooked_decimals(raw, scale, value):
    (scaled,) = values([placed(Encoding(type=ValueType.INT16, scale=scale), 0)], struct.pack(">h", raw))
    assert scaled == value


def test_an_offset_is_added_after_scaling():
    encoding = Encoding(type=ValueType.UINT16, scale=0.1, offset=-40)
    assert values([placed(encoding, 0)], struct.pack(">H", 655)) == [25.5]


@pytest.mark.parametrize(("raw", "value"), [(1412, 41.2), (1007, 0.7), (965, -3.5), (0, -100.0)])
def test_an_offset_adds_no_digits_of_a_binary_fraction(raw, value):
    encoding = Encoding(type=ValueType.UINT16, scale=0.1, offset=-100)
    assert values([placed(encoding, 0)], struct.pack(">H", raw)) == [value]


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000, 0xFFFFFFFF])
def test_a_float_that_is_no_number_is_no_value(bits):
    assert values([placed(Encoding(type=ValueType.FLOAT32, words=2), 0)], bits.to_bytes(4)) == [None]


def test_a_number_that_says_not_available_is_no_value_before_it_is_scaled():
    encoding = Encoding(type=ValueType.INT16, scale=0.1, not_available=frozenset({-32768}))
    assert values([placed(encoding, 0), placed(encoding, 1)], struct.pack(">hh", -32768, 5)) == [None, 0.5]


def test_bits_of_a_word_that_says_not_available_are_none():
    encoding = Encoding(type=ValueType.UINT16, bits=(4, 1), not_available=frozenset({0xFFFF}))
    assert values([placed(encoding, 0)], b"\xff\xff") == [None]
    assert values([placed(encoding, 0)], b"\xff\xfe") == [True]


def test_decimal_digits_can_say_not_available():
    encoding = Encoding(type=ValueType.BCD, words=1, not_available=frozenset({9999}))
    assert [values([placed(encoding, 0)], raw)[0] for raw in (b"\x99\x99", b"\x99\x98", b"\xff\xff")] == [None, 9998, None]


@pytest.mark.parametrize(("raw", "value"), [(b"\x03\xe8", 100.0), (b"\x03\xe9", None), (b"\x00\x00", 0.0), (b"\xff\xff", None)])
def test_a_raw_number_outside_of_the_valid_ones_is_no_value(raw, value):
    encoding = Encoding(type=ValueType.INT16, scale=0.1, valid=(0, 1000))
    assert values([placed(encoding, 0)], raw) == [value]


def test_a_float_can_have_a_number_that_says_not_available_and_a_valid_range():
    missing = Encoding(type=ValueType.FLOAT32, words=2, not_available=frozenset({-9999}))
    valid = Encoding(type=ValueType.FLOAT32, words=2, valid=(0, 3e38))
    raw = struct.pack(">ff", -9999.0, 3.4e38)
    assert values([placed(missing, 0), placed(valid, 2)], raw) == [None, None]
    assert values([placed(missing, 2), placed(missing, 0), placed(valid, 4)], raw + raw, start=0)[1:] == [None, None]


def test_a_number_has_its_meaning_and_an_unknown_one_is_reported_as_its_digits():
    encoding = Encoding(type=ValueType.UINT16, values={1: "off", 4: "mppt"}, not_available=frozenset({0xFFFF}))
    points = [placed(encoding, address) for address in range(3)]
    assert values(points, struct.pack(">HHH", 4, 9, 0xFFFF)) == ["mppt", "9", None]


def test_a_coil_can_have_words_for_its_states():
    encoding = Encoding(type=ValueType.BOOL, values={0: "open", 1: "closed"})
    points = [placed(encoding, address, table=Table.COIL) for address in (3, 4)]
    assert values(points, b"\x10", 0, Table.COIL) == ["open", "closed"]


@pytest.mark.parametrize(
    ("encoding", "raw", "value"),
    [
        (Encoding(type=ValueType.STRING, words=4), b"SDM630\0X", "SDM630"),
        (Encoding(type=ValueType.STRING, words=3), b"  E5  ", "E5"),
        (Encoding(type=ValueType.STRING, words=2), b"\0\0\0\0", None),
        (Encoding(type=ValueType.STRING, words=2, low_byte_first=True), b"PSME", "SPEM"),
        (Encoding(type=ValueType.WIDE_STRING, words=4), b"\0M\0R\x006\0C", "MR6C"),
        (Encoding(type=ValueType.WIDE_STRING, words=4), b"\0M\0R\0\0\0X", "MR"),
        (Encoding(type=ValueType.WIDE_STRING, words=3), b"\x006\xff\xff\0C", "6"),
        (Encoding(type=ValueType.WIDE_STRING, words=2), b"\0\0\0\0", None),
        (Encoding(type=ValueType.WIDE_STRING, words=3), b"\xd8\x00\0A\0B", "AB"),
        (Encoding(type=ValueType.HEX, words=3), bytes.fromhex("0090e83e18cc"), "0090e83e18cc"),
        (Encoding(type=ValueType.DOTTED, words=2), b"\x01\x02\x0b\x00", "1.2.11.0"),
        (Encoding(type=ValueType.BCD, words=2), bytes.fromhex("00123456"), 123456),
        (Encoding(type=ValueType.BCD, words=2, low_word_first=True), bytes.fromhex("34560012"), 123456),
        (Encoding(type=ValueType.BCD, words=1), b"\x1a\x00", None),
    ],
)
def test_texts_and_decimal_digits(encoding, raw, value):
    assert decode_one(encoding, raw) == value


def test_two_points_may_read_the_same_register_in_two_ways():
    points = [
        placed(Encoding(type=ValueType.UINT32, words=2), 0, "both"),
        placed(Encoding(type=ValueType.UINT16, bits=(0, 4)), 1, "low"),
        placed(Encoding(type=ValueType.UINT16, bits=(4, 4)), 1, "next"),
    ]
    assert values(points, bytes.fromhex("00010057")) == [0x00010057, 7, 5]


def test_a_reading_has_the_shared_metric_the_child_and_the_time_of_its_block():
    metric = Metric("power", "W", urgent=True, reduce=Reduce.MEAN)
    point = PlacedPoint(metric=metric, table=Table.INPUT, address=7, encoding=Encoding(type=ValueType.FLOAT32, words=2))
    (reading,) = BlockDecoder(Table.INPUT, 7, [point]).decode(struct.pack(">f", 1.5), "sn:eastron/1", AT)
    assert reading == Reading("sn:eastron/1", metric, 1.5, AT)
    assert reading.metric is metric


def test_floats_keep_all_their_digits():
    (value,) = values([placed(Encoding(type=ValueType.FLOAT32, words=2), 0)], struct.pack(">f", 16777215.0))
    assert value == 16777215.0
    assert not math.isnan(value)
