"""Test decoding and encoding of values."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from bumble.profiles.heart_rate_service import HeartRateService
from hypothesis import given
from hypothesis import strategies as st

from adapters.ble.advertisements.formats import (
    FLOATS,
    INTEGERS,
    MEDFLOATS,
    NUMBERS,
    Encoding,
    Format,
    decode,
    encode,
    scaled,
    size_of,
)
from adapters.ble.advertisements.special_formats import FLOAT, SFLOAT, NotInPayload, PayloadTooShort


def read(number: str, digits: str, **said):
    return decode(Encoding(format=Format(number), **said), bytes.fromhex(digits))


@pytest.mark.parametrize(
    ("number", "digits", "value"),
    [
        ("uint8", "ff", 255),
        ("sint8", "ff", -1),
        ("uint16", "3412", 0x1234),
        ("sint16", "0080", -32768),
        ("uint24", "563412", 0x123456),
        ("sint24", "feffff", -2),
        ("uint32", "78563412", 0x12345678),
        ("sint32", "ffffffff", -1),
        ("uint48", "bc9a78563412", 0x123456789ABC),
        ("sint48", "ffffffffffff", -1),
        ("uint64", "ffffffffffffffff", 2**64 - 1),
        ("sint64", "ffffffffffffffff", -1),
        ("float32", "0000b841", 23.0),
        ("float64", "000000000000f8bf", -1.5),
        ("bool", "00", False),
        ("bool", "02", True),
        ("utf8", "54483120000000", "TH1"),
        ("utf8", "2020", None),
        ("hex", "00aaff", "00aaff"),
        ("dotted", "020a00", "2.10.0"),
        ("date-time", "ea07020e0a1e00", "2026-02-14T10:30:00"),
        ("date-time", "0000020e0a1e00", None),
        ("date-time", "ea07021f0a1e00", None),
        ("sint8.hundredths", "ff32", -0.5),
        ("sint32.hundredths", "f203000011", 1010.17),
        ("tenths.whole", "0399", 25.3),
        ("tenths.whole", "f319", -25.3),
        ("tenths.whole", "0080", 0.0),
        ("tenths.whole", "0000", None),
        ("opt3001", "ff3f", 327.6),
        ("opt3001", "ffbf", 83865.6),
    ],
)
def test_each_format_is_decoded_as_specified(number, digits, value):
    told = read(number, digits)
    assert told == value
    assert type(told) is type(value)


@pytest.mark.parametrize(
    ("number", "digits", "value"),
    [
        ("medfloat16", "6df1", 36.5),  # 365 x 10^-1
        ("medfloat16", "0100", 1.0),
        ("medfloat16", "fe0f", -2.0),
        ("medfloat16", "0520", 500.0),
        ("medfloat16", "fd07", 2045.0),
        ("medfloat16", "ff17", 20470.0),  # the number of NaN, but with a power: a value
        ("medfloat32", "6c0100ff", 36.4),  # the supplement's example of a body temperature
        ("medfloat32", "feffff00", -2.0),
        ("medfloat16", "ff07", None),
        ("medfloat16", "0008", None),
        ("medfloat16", "fe07", None),
        ("medfloat16", "0208", None),
        ("medfloat16", "0108", None),
        ("medfloat32", "ffff7f00", None),
        ("medfloat32", "00008000", None),
        ("medfloat32", "feff7f00", None),
        ("medfloat32", "02008000", None),
        ("float32", "0000c07f", None),
        ("float32", "0000807f", None),
    ],
)
def test_a_float_that_is_no_number_is_not_available(number, digits, value):
    assert read(number, digits) == value


@pytest.mark.parametrize(
    ("said", "digits", "value"),
    [
        ({"format": "uint16", "big_endian": True}, "1234", 0x1234),
        ({"format": "float32", "big_endian": True}, "41b80000", 23.0),
        ({"format": "uint16", "at": 1}, "ff3412", 0x1234),
        ({"format": "utf8", "at": 1, "length": 2}, "41424344", "BC"),
        ({"format": "sint16", "scale": 0.01}, "eafb", -10.46),
        ({"format": "uint8", "scale": 0.1}, "03", 0.3),
        ({"format": "uint8", "scale": 100}, "03", 300),
        ({"format": "uint16", "scale": 0.0025177001953125, "offset": -40}, "0060", 21.875),
        ({"format": "medfloat16", "scale": 1e9}, "7b80", 1230.0),  # 123 x 10^-8 kg are 1230 µg, and no digits behind
        ({"format": "uint48", "scale": 0.1}, "ffffffffffff", 28147497671065.5),
        ({"format": "uint48", "scale": 10}, "ffffffffffff", 2814749767106550),
        ({"format": "uint16", "scale": 0.001, "offset": -0.3}, "2d01", 0.001),
        ({"format": "uint8", "bits": (1, 3)}, "0a", 5),
        ({"format": "uint8", "bits": (3, 1)}, "08", True),
        ({"format": "uint8", "bits": (4, 2), "values": {1: "low", 2: "high"}}, "20", "high"),
        ({"format": "uint8", "values": {1: "on"}}, "01", "on"),
        ({"format": "uint8", "values": {1: "on"}}, "07", "7"),
        ({"format": "sint16", "not_available": frozenset({-32768})}, "0080", None),
        ({"format": "uint8", "valid": (0, 100)}, "65", None),
        ({"format": "uint8", "valid": (0, 100)}, "64", 100),
        ({"format": "uint8", "at": 1, "starts_with": b"\x01"}, "0163", 99),
    ],
)
def test_the_options_of_a_point_are_applied(said, digits, value):
    told = read(said.pop("format"), digits, **said)
    assert told == value
    assert type(told) is type(value)


@pytest.mark.parametrize("number", [Format(number) for number in Format])
def test_a_short_payload_is_one_clear_error_and_never_a_value(number):
    with pytest.raises(PayloadTooShort, match=r"left|ends"):
        decode(Encoding(format=number, at=3), b"\x00\x00\x00")


def test_a_payload_with_other_first_bytes_does_not_contain_the_value():
    with pytest.raises(NotInPayload, match="does not begin with 01"):
        read("uint8", "0263", at=1, starts_with=b"\x01")


@given(st.data(), st.sampled_from(sorted(INTEGERS)), st.booleans())
def test_whole_numbers_come_back_as_they_were_written(data, number, big_endian):
    size, has_sign = INTEGERS[number]
    low, high = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if has_sign else (0, (1 << 8 * size) - 1)
    value = data.draw(st.integers(low, high))
    encoding = Encoding(format=number, big_endian=big_endian)
    assert decode(encoding, encode(encoding, value)) == value
    for beyond in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"does not fit into {number}"):
            encode(encoding, beyond)


@given(st.sampled_from([0.1, 0.01, 0.5, 0.05, 2, 100]), st.sampled_from([0, -40, 7.5]), st.integers(-32768, 32767))
def test_scaled_numbers_come_back_as_they_were_read(scale, offset, raw):
    encoding = Encoding(format=Format.SINT16, scale=scale, offset=offset)
    payload = raw.to_bytes(2, "little", signed=True)
    assert encode(encoding, decode(encoding, payload)) == payload


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.booleans())
def test_floats_come_back_as_they_were_written(value, big_endian):
    for number in FLOATS:
        encoding = Encoding(format=number, big_endian=big_endian)
        assert decode(encoding, encode(encoding, value)) == value


@given(st.floats(-2e10, 2e10))
def test_an_sfloat_holds_three_digits_of_any_number(value):
    encoding = Encoding(format=Format.MEDFLOAT16)
    shown = decode(encoding, encode(encoding, value))
    assert shown == pytest.approx(value, rel=1e-2 if abs(value) > 1e-6 else None, abs=1e-8)


@given(st.floats(-8e6, 8e6))
def test_a_float_of_eleven_thousand_seventy_three_holds_six_digits_of_any_number(value):
    encoding = Encoding(format=Format.MEDFLOAT32)
    assert decode(encoding, encode(encoding, value)) == pytest.approx(value, rel=1e-6)


@given(st.sampled_from(sorted(MEDFLOATS)), st.data())
def test_a_decimal_float_is_encoded_to_the_same_value(number, data):
    encoding = Encoding(format=number)
    value = decode(encoding, data.draw(st.binary(min_size=size_of(number), max_size=size_of(number))))
    if value is not None and abs(value) <= MEDFLOATS[number].largest * 10.0 ** (7 if number is Format.MEDFLOAT16 else 127):
        assert decode(encoding, encode(encoding, value)) == pytest.approx(value, rel=2e-3)


def test_a_decimal_float_is_written_as_short_as_it_can_be():
    assert encode(Encoding(format=Format.MEDFLOAT16), 36.5).hex() == "6df1"
    assert encode(Encoding(format=Format.MEDFLOAT32), 36.4).hex() == "6c0100ff"
    assert encode(Encoding(format=Format.MEDFLOAT16), 0).hex() == "0000"


@pytest.mark.parametrize(("kind", "value"), [(SFLOAT, 2.1e10), (FLOAT, 1e135)])
def test_a_number_that_no_decimal_float_holds_is_refused(kind, value):
    with pytest.raises(ValueError, match="is larger than"):
        kind.encode(value)


@pytest.mark.parametrize(
    ("said", "value", "says"),
    [
        ({"format": "uint8"}, "loud", "is not a number"),
        ({"format": "uint8"}, True, "is not a number"),
        ({"format": "float32"}, math.inf, "is not a number"),
        ({"format": "float32"}, 1e39, "does not fit"),
        ({"format": "bool"}, 1, "neither true nor false"),
        ({"format": "uint8", "values": {0: "off", 1: "on"}}, "maybe", "none of off, on"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_reason(said, value, says):
    with pytest.raises(ValueError, match=says):
        encode(Encoding(format=Format(said.pop("format")), **said), value)


@given(st.sampled_from(list(Format)), st.binary(max_size=24), st.integers(0, 8))
def test_any_bytes_are_a_plain_finite_value_or_the_one_error(number, payload, at):
    try:
        value = decode(Encoding(format=number, at=at), payload)
    except NotInPayload:
        return
    assert value is None or type(value) in {bool, int, float, str}
    assert not isinstance(value, float) or math.isfinite(value)


@given(
    st.integers(0, 0xFFFF),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 0xFFFF),
    st.none() | st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=6),
)
def test_a_heart_rate_is_read_as_an_independent_sensor_writes_it(rate, contact, energy, intervals):
    payload = bytes(
        HeartRateService.HeartRateMeasurement(rate, contact, energy, [one / 1024 for one in intervals] if intervals else None)
    )
    told = {}
    for number in (Format.HEART_RATE, Format.SKIN_CONTACT, Format.ENERGY_EXPENDED, Format.RR_INTERVAL):
        try:
            told[number] = decode(Encoding(format=number), payload)
        except NotInPayload:
            told[number] = None
    mean = sum(intervals) / len(intervals) / 1024 if intervals else None
    assert told[Format.HEART_RATE] == rate
    assert told[Format.SKIN_CONTACT] is contact
    assert told[Format.ENERGY_EXPENDED] == energy
    assert told[Format.RR_INTERVAL] == (None if mean is None else pytest.approx(mean, abs=1e-4))


def test_flags_for_missing_bytes_mean_a_short_payload():
    for number, digits in [(Format.HEART_RATE, "0148"), (Format.ENERGY_EXPENDED, "084801"), (Format.RR_INTERVAL, "1848010005")]:
        with pytest.raises(PayloadTooShort):
            read(number, digits)


@given(st.datetimes())
def test_a_date_is_decoded_as_it_was_set(when):
    when = when.replace(microsecond=0)
    payload = struct.pack("<HBBBBB", *when.timetuple()[:6])
    assert decode(Encoding(format=Format.DATE_TIME), payload) == when.isoformat()


def test_numbers_have_sizes_and_texts_have_none():
    assert {size_of(number) for number in NUMBERS} == {1, 2, 3, 4, 6, 8}
    assert size_of(Format.UTF8) is None


def test_a_text_of_a_device_holds_nothing_that_cannot_be_shown():
    raw = "1.0\x1b[2J\n\u202ebeta".encode()
    assert decode(Encoding(format=Format.UTF8), raw) == "1.0[2Jbeta"
    assert decode(Encoding(format=Format.UTF8), b"\n\r") is None


@given(
    raw=st.integers(-(2**63), 2**64),
    scale=st.decimals("0.00001", "1000", places=8).filter(bool),
    offset=st.decimals("-500", "500", places=4),
)
def test_a_whole_number_is_scaled_as_its_decimal_numbers_say(raw, scale, offset):
    exact = raw * Fraction(scale) + Fraction(offset)
    assert float(scaled(raw, float(scale), float(offset))) == float(exact)


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "value"),
    [(149, 0.00512, 0, 0.76288), (27314, 0.01, -273.15, -0.01), (3997313922942369144, 0.001, 0, 3997313922942369.144)],
)
def test_scaling_adds_no_digits_and_takes_none(raw, scale, offset, value):
    assert scaled(raw, scale, offset) == value
