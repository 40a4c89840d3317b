"""Templates of questions and answers: protocols as they are published, and back and forth for all values."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.serial.profile.template import Template

PATIENTLY = settings(max_examples=100, deadline=None)


def text(written: str, **how) -> Template:
    return Template.parse(written, "text", **how)


def binary(written: str) -> Template:
    return Template.parse(written, "binary")


@pytest.mark.parametrize(
    ("written", "values", "raw"),
    [
        ("ka {id:hex2} {power:hex2}\r", {"id": 1, "power": 1}, b"ka 01 01\r"),  # LG: power on
        ("a {id:hex2} OK{power:hex2}x", {"id": 1, "power": 1}, b"a 01 OK01x"),
        ("f {id:hex2} NG{code:hex2}x", {"id": 16, "code": 1}, b"f 10 NG01x"),
        ("%1POWR {power}\r", {"power": "1"}, b"%1POWR 1\r"),  # PJLink
        ("%1POWR={power:d}", {"power": 0}, b"%1POWR=0"),
        ("%1LAMP={hours:d} {is_on:d}", {"hours": 2024, "is_on": 1}, b"%1LAMP=2024 1"),
        ("%1NAME={name}", {"name": "Saal Zürich"}, "%1NAME=Saal Zürich".encode()),
        ("In{input:d} All", {"input": 3}, b"In3 All"),  # Extron SIS
        ("{firmware:/[0-9]+\\.[0-9]{2}/}", {"firmware": "1.23"}, b"1.23"),
        ("{input:d}*{output:d}!", {"input": 3, "output": 12}, b"3*12!"),
        ("S S {weight:10f} {unit}", {"weight": 100.5, "unit": "g"}, b"S S      100.5 g"),  # MT-SICS
        ("S S {weight:10.2f} {unit}", {"weight": 100.0, "unit": "g"}, b"S S     100.00 g"),
        ('I4 A "{serial}"', {"serial": "1234567890"}, b'I4 A "1234567890"'),
        ("{maker},{model},{serial},{firmware}", {"maker": "A", "model": "B 1", "serial": "7", "firmware": "1,2"}, b"A,B 1,7,1,2"),
        (
            r"C203D6{power:hex4}",  # NEC
            {"power": 1},
            b"C203D60001",
        ),
        (
            "GP{_:/GGA/?}",
            {},
            b"GP",
        ),
        ("t={t:f};h={h:f?};", {"t": -1.5, "h": None}, b"t=-1.5;h=;"),
        ("V{volume:03d}", {"volume": 7}, b"V007"),
        ("V{level:6.1f}|", {"level": -7.25}, b"V  -7.2|"),
        ('{{"set": {value:d}}}', {"value": 5}, b'{"set": 5}'),
        (r"\x02{what}\x03{checksum:xor[1:]}", {"what": "0A"}, b"\x020A\x0372"),
    ],
)
def test_text_templates_encode_and_decode_published_examples(written, values, raw):
    assert text(written).encode(values) == raw
    told = text(written).match(raw)
    assert told is not None
    assert set(told) == set(values)
    assert all(told[name] == pytest.approx(value, abs=0.05) for name, value in values.items() if value is not None)


@pytest.mark.parametrize(
    ("written", "values", "raw"),
    [
        ("AA 11 {id:u8} 01 {power:u8} {checksum:sum8[1:]}", {"id": 255, "power": 1}, "AA11FF010112"),  # Samsung MDC
        ("FF {id:u8} 'A' 0B {serial:ascii*}", {"id": 1, "serial": "Z7"}, "FF01410B5A37"),
        ("80 01 04 00 FF", {}, "80010400FF"),  # VISCA: power inquiry
        ("90 50 {p:/x/} FF", {}, None),
        ("9050 {_:4b,a:4b} {_:4b,b:4b}", {"a": 5, "b": 6}, "90500506"),  # VISCA: a position in half bytes
        ("{on:flag,mode:3b,level:12b}", {"on": True, "mode": 5, "level": 0x123}, "D123"),
        ("{v:i16le} {w:i16be} {x:u24le} {y:u32be}", {"v": -2, "w": -2, "x": 0x123456, "y": 1}, "FEFFFFFE56341200000001"),
        ("{v:f32be} {w:f32le} {x:f64be}", {"v": 23.0, "w": 23.0, "x": -1.5}, "41B800000000B841BFF8000000000000"),
        ("{v:bcd2} {w:bcd2le}", {"v": 1234, "w": 1234}, "12343412"),
        ("{name:ascii6} 00", {"name": "AB"}, "41420000000000"),
        ("{id:bytes4} {rest:bytes*}", {"id": "0011aaff", "rest": "01"}, "0011AAFF01"),
        ("01 03 0000 {n:u16be} {checksum:crc16-modbus:le}", {"n": 10}, "01030000000AC5CD"),  # Modbus RTU, ten registers
    ],
)
def test_binary_templates_encode_and_decode_published_examples(written, values, raw):
    if raw is None:
        with pytest.raises(ValueError, match="there is no format"):
            binary(written)
        return
    assert binary(written).encode(values) == bytes.fromhex(raw)
    assert binary(written).match(bytes.fromhex(raw)) == values


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        (text("V{volume:d}"), b"V"),
        (text("V{volume:d}"), b"V1 "),
        (text("V{volume:d}"), b"V1_0"),
        (text("V{volume:03d}"), b"V 07"),
        (text("V{volume:3d}"), b"V0x1"),
        (text("V{volume:d}"), b"V" + b"9" * 5000),
        (text("{t:f}"), b"nan"),
        (text("{t:f}"), b"."),
        (text("{t:f}"), b"1,5"),
        (text("{a},{b}"), b"a,"),
        (text("ka"), b"KA"),
        (text("{a:d} {a:d}"), b"1 2"),
        (text("{a}{checksum:xor}"), b"0A72"),
        (binary("{v:bcd1}"), b"\x1f"),
        (binary("01 {v:u8}"), b"\x01"),
        (binary("01 {v:u8}"), b"\x01\x02\x03"),
        (binary("AA {v:u8} {checksum:sum8}"), b"\xaa\x01\x00"),
    ],
)
def test_other_payloads_do_not_match(template, payload):
    assert template.match(payload) is None


def test_arbitrary_parts_can_be_matched_but_not_sent():
    for template, payload in (
        (binary("FF ?? 41"), b"\xff\x00A"),
        (binary("FF {_:u8} 41"), b"\xff\x00A"),
        (text("{_}=1"), b"x=1"),
    ):
        assert template.match(payload) == {}
        assert not template.can_be_sent
        with pytest.raises(ValueError, match="can be matched, but not sent"):
            template.encode({})


def test_literal_letters_match_in_either_case_if_the_profile_says_so():
    answer = text("a {id:hex2} OK{value}x", ignore_case=True)
    assert answer.match(b"A 0f ok7Fx") == {"id": 15, "value": "7F"}
    assert answer.match(b"A 0f ok7fX") == {"id": 15, "value": "7f"}
    assert answer.encode({"id": 15, "value": "7F"}) == b"a 0F OK7Fx"


def test_a_field_may_be_empty_if_its_format_says_so():
    sentence = text("GPGGA,{time:/[0-9.]+/?},{latitude:f?},{side:?},{rest:*}")
    assert sentence.match(b"GPGGA,,,,") == {"time": None, "latitude": None, "side": None, "rest": None}
    assert sentence.match(b"GPGGA,123519,4807.038,N,1,2") == {"time": "123519", "latitude": 4807.038, "side": "N", "rest": "1,2"}
    assert sentence.encode({}) == b"GPGGA,,,,"


def test_nan_and_infinity_are_not_available():
    assert binary("{v:f32be}").match(bytes.fromhex("7FC00000")) == {"v": None}
    assert text("{v:f}").match(b"9.9E+999") == {"v": None}
    assert text("{v:f}").match(b"+1.23E-02") == {"v": 0.0123}


def test_texts_are_decoded_as_utf_8_or_else_as_latin_1():
    assert text("{name}").match(b"Z\xfcrich") == {"name": "Zürich"}
    assert text("{name}").match("Zürich".encode()) == {"name": "Zürich"}


@pytest.mark.parametrize(
    ("template", "values", "why"),
    [
        (text("V{volume:d}"), {}, "volume: is missing"),
        (text("V{volume:d}"), {"volume": 1.5}, "volume: 1.5 is not a whole number"),
        (text("V{volume:d}"), {"volume": True}, "volume: True is not a number"),
        (text("V{volume:d}"), {"volume": "1"}, "volume: '1' is not a number"),
        (text("V{volume:f}"), {"volume": math.nan}, "is not a number"),
        (text("V{volume:f}"), {"volume": 1e-60}, "volume: 1e-60 would take 62 characters"),
        (text("V{volume:03d}"), {"volume": 1000}, "volume: '1000' does not fit into 3 characters"),
        (text("V{volume:hex2}"), {"volume": 256}, "volume: 256 is not between 0 and 255"),
        (text("{name}\r"), {"name": "x\rka 01 00"}, "contains control characters"),
        (text("{name},{x}"), {"name": "a,b", "x": "c"}, "name: 'a,b' has ',' in it, which would end the field"),
        (text("{name}"), {"name": ""}, "name: '' is not a text"),
        (text("{name:4s}"), {"name": "abcde"}, "does not fit into 4 characters"),
        (text("{name:/[a-z]+/}"), {"name": "A1"}, r"name: 'A1' does not match \[a-z\]\+"),
        (binary("{v:i8}"), {"v": 128}, "v: 128 is not between -128 and 127"),
        (binary("{v:u16le}"), {"v": -1}, "v: -1 is not between 0 and 65535"),
        (binary("{v:f32le}"), {"v": 1e300}, "does not fit into 4 bytes"),
        (binary("{v:bcd1}"), {"v": 100}, "between 0 and 99"),
        (binary("{v:bytes2}"), {"v": "0g"}, "is not a text of hexadecimal digits"),
        (binary("{v:bytes2}"), {"v": "00"}, "does not have the digits of 2 bytes"),
        (binary("{a:4b,_:4b}"), {"a": 16}, "a: 16 is not between 0 and 15"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_that_says_why(template, values, why):
    with pytest.raises(ValueError, match=why):
        template.encode(values)


@pytest.mark.parametrize(
    ("kind", "written", "why", "column"),
    [
        ("text", "V{volume:u8}", "there is no format 'u8' in a text template; there are d, 03d", 1),
        ("text", "V{volume", "'{' is out of place here", 1),
        ("text", "V}", "'}' is out of place here", 1),
        ("text", "{1st}", "'1st' is not a field name", 0),
        ("text", "{a}{b}", "two fields side by side have no fixed length", 3),
        ("text", "{a:/(b/}", "is not a regular expression", 0),
        ("text", "{a:/(b)/}", "must be written as", 0),
        ("text", r"ab\q", "is unknown; use", 0),
        ("text", "\r{a:x}", "there is no format", 2),
        ("text", "a{checksum:crc17}", "there is no checksum 'crc17'", 1),
        ("binary", "AA {id:u9} 01", "there is no format 'u9' in a binary template; there are u8", 3),
        ("binary", "AA {id:u16} 01", "u16le for the low byte first, u16be for the high byte first", 3),
        ("binary", "AA 1 02", "pairs of hexadecimal digits", 3),
        ("binary", "AA xx", "'x' is out of place here", 3),
        ("binary", "{a:3b,b:4b}", "whole bytes, at most four, but these are 7 bits", 0),
        ("binary", "{a:3,b:5}", "bits are written as `flag`", 0),
        ("binary", "{0b10000,a:2b}", "whole bytes, at most four, but these are 7 bits", 0),
        ("binary", "{0b12,a:6b}", "'0b12' is not a field name", 0),
        ("binary", "{a:ascii*} 00 {b:*}", "two fields in one frame have no fixed length", 14),
        ("binary", "01 {checksum:crc16-arc}", "crc16-arc has 2 bytes: add their order", 3),
        ("binary", "01 {checksum:}", "a checksum is written as", 3),
    ],
)
def test_an_invalid_template_is_an_error_that_points_to_the_position(kind, written, why, column):
    with pytest.raises(ValueError, match=re.escape(why)) as refusal:
        Template.parse(written, kind)
    assert str(refusal.value).splitlines()[-1] == f"    {' ' * column}^"


NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters=","), min_size=1, max_size=20)


THOUSANDTHS = st.integers(-(10**9), 10**9).map(lambda number: number / 1000)


@PATIENTLY
@given(st.integers(-999, 9999), st.integers(0, 255), NAMES, THOUSANDTHS, st.none() | st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_encoded_text_is_decoded_to_the_same_values(number, byte, name, level, maybe):
    template = text("#{number:4d}{byte:hex2}{name},{level:f}/{maybe:d?}")
    values = {"number": number, "byte": byte, "name": name, "level": level, "maybe": maybe}
    assert template.match(template.encode(values)) == values


@PATIENTLY
@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**24 - 1),
    st.integers(0, 9999),
    st.booleans(),
    st.integers(0, 127),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.binary(max_size=20),
)
def test_every_encoded_frame_is_decoded_to_the_same_values(signed, unsigned, digits, flag, level, number, rest):
    template = binary("AA {a:i32le} {b:u24be} {c:bcd2} {d:flag,e:7b} {f:f32be} {g:bytes*} {checksum:crc16-kermit:le}")
    values = {"a": signed, "b": unsigned, "c": digits, "d": flag, "e": level, "f": number, "g": rest.hex()}
    raw = template.encode(values)
    assert template.match(raw) == values
    assert template.match(raw[:-1] + bytes([raw[-1] ^ 1])) is None


@PATIENTLY
@given(st.binary(max_size=60))
def test_matching_does_not_raise_for_arbitrary_bytes(payload):
    for template in (
        text("{a},{b:f} {c:10f}{d:hex2}{e:*}"),
        text("{a:d}:{b:?}"),
        binary("{a:bcd2} {b:f32le} {c:ascii*}"),
        binary("{a:flag,b:7b} {c:bytes*} {checksum:sum8}"),
    ):
        told = template.match(payload)
        assert told is None or tuple(told) == template.fields


def test_templates_with_the_same_text_are_equal():
    assert text("V{a:d}") == text("V{a:d}")
    assert len({text("V{a:d}"), text("V{a:d}"), text("V{a:d}", ignore_case=True)}) == 2
    assert repr(binary("AA")) == "Template('AA', 'binary')"
    assert binary("AA {id:u8} {_:u8} {v:1b,_:7b} {id:u8}").fields == ("id", "v")


@pytest.mark.parametrize(
    ("written", "values", "raw"),
    [
        ("{0b10000,id:3b} 09 04 00", {"id": 1}, "81 09 04 00"),  # VISCA: from the controller to camera 1
        ("{0b1,id:3b,0b0000} 50 {power:u8}", {"id": 7, "power": 3}, "f0 50 03"),
        ("50 {zoom:nibbles4}", {"zoom": 0x1234}, "50 01 02 03 04"),
        ("50 {pan:inibbles4} {tilt:inibbles5}", {"pan": -2448, "tilt": -1}, "50 0f 06 07 00 0f 0f 0f 0f 0f"),
        ("{pan:inibbles2}", {"pan": 127}, "07 0f"),
    ],
)
def test_constant_bits_and_numbers_in_nibbles_are_written_and_read(written, values, raw):
    assert binary(written).encode(values) == bytes.fromhex(raw)
    assert binary(written).match(bytes.fromhex(raw)) == values


@pytest.mark.parametrize(
    ("written", "raw"),
    [("{0b10000,id:3b} 09", "91 09"), ("{0b1,id:3b,0b0000} 50", "91 50"), ("{zoom:nibbles4}", "01 02 13 04")],
)
def test_other_constant_bits_and_full_bytes_in_the_place_of_nibbles_do_not_match(written, raw):
    assert binary(written).match(bytes.fromhex(raw)) is None


def test_a_number_that_does_not_fit_into_its_nibbles_is_refused():
    with pytest.raises(ValueError, match="zoom: 65536 is not between 0 and 65535"):
        binary("{zoom:nibbles4}").encode({"zoom": 65536})
