"""Bytes to frames: protocols as they are published, and whatever else comes over a line."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from adapters.serial.framing.delimited import FRAMES_TO_FORGET_CHECKSUMS
from adapters.serial.framing.formats import Framing
from adapters.serial.framing.framer import DiscardReason, Framer, framer_for

FRAMING: TypeAdapter[Framing] = TypeAdapter(Framing)

LINES = {"kind": "delimiter", "end": "\r"}
NEC = {
    "kind": "delimiter",
    "start": "\x01",
    "end": "\x03",
    "tail": "\r",
    "checksum": {"name": "xor", "place": "after-end", "with_end": True},
}
NMEA = {
    "kind": "delimiter",
    "start": "$",
    "end": "\r\n",
    "checksum": {"name": "xor", "written": "hex", "separator": "*", "optional": True},
}
MDC = {"kind": "length", "sync": "AA", "at": 3, "uncounted": 5, "checksum": {"name": "sum8"}}
STX_BCC = {"kind": "stx-etx", "checksum": {"name": "xor", "place": "after-end", "with_end": True}}
STX_BEFORE = {"kind": "stx-etx", "checksum": {"name": "crc16-xmodem", "written": "big", "with_start": True}}
HDLC = {
    "kind": "delimiter",
    "end": "\x7e",
    "escape": "\x7d",
    "escape_xor": 0x20,
    "checksum": {"name": "crc16-x25", "written": "little"},
}
DLE = {
    "kind": "delimiter",
    "start": "\x10\x02",
    "end": "\x10\x03",
    "escape": "\x10",
    "checksum": {"name": "crc16-kermit", "written": "big"},
}
FIXED = {"kind": "fixed", "length": 9, "sync": "55 AA", "checksum": {"name": "crc16-modbus", "written": "little"}}
UNSYNCED = {"kind": "fixed", "length": 8, "checksum": {"name": "crc16-modbus", "written": "little"}}
PREFIXED = {
    "kind": "length",
    "sync": "AA 55",
    "at": 3,
    "width": 2,
    "byte_order": "little",
    "uncounted": 7,
    "checksum": {"name": "crc16-modbus", "written": "big", "with_start": True},
}
MBUS = {"kind": "length", "sync": "68", "at": 1, "uncounted": 6, "checksum": {"name": "sum8", "skip": 3}, "end": "16"}

TELEGRAM = (  # made and summed up by an independent implementation of the P1 port
    b"/ISK5\\2MT382-1000\r\n0-0:1.0.0(260813120000W)\r\n1-0:1.7.0(002.345*kW)\r\n"
    b"1-0:1.8.1(000671.578*kWh)\r\n1-0:32.7.0(230.4*V)\r\n!5091\r\n"
)


PATIENTLY = settings(max_examples=50, deadline=None)


def framing(said) -> Framing:
    return FRAMING.validate_python(said)


def framer(said, **how) -> Framer:
    return framer_for(framing(said), **how)


def payloads(said, *pieces: bytes):
    cutter = framer(said)
    return [frame.payload for piece in pieces for frame in cutter.feed(piece)]


@pytest.mark.parametrize(
    ("said", "raw", "payload"),
    [
        ({"kind": "delimiter", "end": "x"}, b"a 01 OK01x", b"a 01 OK01"),  # LG: the answer to "ka 01 01"
        (LINES, b"%1POWR=0\r", b"%1POWR=0"),  # PJLink class 1, 4.2
        ({"kind": "delimiter", "end": "\r\n"}, b"In3 All\r\n", b"In3 All"),  # Extron SIS
        ({"kind": "delimiter", "end": "\r\n"}, b"S S     100.00 g\r\n", b"S S     100.00 g"),  # MT-SICS level 0
        ({"kind": "delimiter", "end": "\n"}, b"Maker,Model,123,1.0\n", b"Maker,Model,123,1.0"),  # SCPI
        ({"kind": "delimiter", "end": r"\xff"}, bytes.fromhex("9050 02 FF"), bytes.fromhex("9050 02")),  # Sony VISCA: power is on
        (NEC, b"\x010A0A0C\x02C203D60001\x03s\r", b"0A0A0C\x02C203D60001"),  # NEC, power on
        (NEC, b"\x0100AB0E\x0200C203D60001\x03v\r", b"00AB0E\x0200C203D60001"),  # and its reply
        (
            NMEA,
            b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n",
            b"GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,",
        ),
        (MDC, bytes.fromhex("AA 11 FF 01 01 12"), bytes.fromhex("11 FF 01")),  # Samsung MDC, manual: power on, id 0
        (MDC, bytes.fromhex("AA FF 01 03 41 11 01 56"), bytes.fromhex("FF 01 41 11 01")),  # and an acknowledgement
        (STX_BCC, b"\x02M101  150.0\x03\x54", b"M101  150.0"),  # RKC communication manual IMSRM04
        ({**STX_BCC, "start": "\x01"}, b"\x01P0\x02()\x03\x60", b"P0\x02()"),  # IEC 62056-21, password request
        ({**STX_BCC, "start": "\x01"}, b"\x01B0\x03\x71", b"B0"),  # IEC 62056-21, break
        ({"kind": "delimiter", "start": "/", "end": "\r\n"}, b"/ABC5Meter\r\n", b"ABC5Meter"),  # IEC 62056-21, sign-on
        (HDLC, bytes.fromhex("A0 07 03 21 93 0F 01 7E"), bytes.fromhex("A0 07 03 21 93")),  # DLMS, SNRM
        (
            MBUS,
            bytes.fromhex("68 03 03 68 53 FE BD 0E 16"),
            bytes.fromhex("03 68 53 FE BD"),
        ),  # M-Bus: a long frame with three bytes
        ({"kind": "telegram"}, TELEGRAM, TELEGRAM[1:-7]),
        ({"kind": "json-lines"}, b'{"t": 21.5}\n', b'{"t": 21.5}'),
    ],
)
def test_published_frames_come_out_and_are_made_again(said, raw, payload):
    cutter = framer(said)
    (frame,) = cutter.feed(raw)
    assert frame.payload == payload
    assert raw.startswith(frame.raw)
    assert framing(said).wrap(payload) == raw
    assert not cutter.discards.by_reason
    assert not cutter.feed(b"")


# What holds for every kind. Bytes that a frame begins and ends with are drawn often, so that they stand where they hurt.

MEAN = b'\x01\x02\x03\x10\x16\x55\x68\xaa\x7d\x7e\r\n$*!/{}"0F\x00\xff'
ANY_BYTES = st.lists(st.one_of(st.sampled_from(list(MEAN)), st.integers(0, 255)), max_size=40).map(bytes)
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="$*!/"), min_size=1, max_size=40)
LINE_TEXTS = TEXTS.map(str.encode)

KINDS = {
    "lines": (LINES, LINE_TEXTS),
    "lines with any end": ({"kind": "delimiter", "end": ["\r", "\n"]}, LINE_TEXTS),
    "NEC": (NEC, LINE_TEXTS),
    "NMEA": (NMEA, LINE_TEXTS),
    "STX and BCC": (STX_BCC, LINE_TEXTS),
    "STX and CRC": (STX_BEFORE, LINE_TEXTS),
    "STX alone": ({"kind": "stx-etx"}, LINE_TEXTS),
    "HDLC": (HDLC, ANY_BYTES),
    "DLE": (DLE, ANY_BYTES),
    "telegram": ({"kind": "telegram"}, LINE_TEXTS),
    "JSON": ({"kind": "json-lines"}, TEXTS.map(lambda text: b'{"told": %d}' % len(text))),
    "fixed": (FIXED, st.binary(min_size=5, max_size=5)),
    "fixed without sync": (UNSYNCED, st.binary(min_size=6, max_size=6)),
    "length": (PREFIXED, ANY_BYTES.map(lambda payload: b"\x01" + payload)),
    "M-Bus": (MBUS, ANY_BYTES.map(lambda payload: b"\x01\x68\x01" + payload)),
}
CHECKED = [name for name, (said, _) in KINDS.items() if "crc16" in str(said) or name == "telegram"]
MARKED = [name for name in KINDS if name not in {"lines", "lines with any end", "JSON", "fixed without sync"}]
BEGINNINGS = {"HDLC": b"\x7e", "DLE": b"\x10", "NMEA": b"$", "NEC": b"\x01", "telegram": b"/", "fixed": b"\x55", "M-Bus": b"\x68"}
BEGINNINGS |= {"length": b"\xaa", "STX and BCC": b"\x02", "STX and CRC": b"\x02", "STX alone": b"\x02"}


def some(kind: str, least: int = 1):
    return st.lists(KINDS[kind][1], min_size=least, max_size=8)


def cut(data, raw: bytes) -> list[bytes]:
    at = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    return [raw[start:stop] for start, stop in pairwise([0, *at, len(raw)])]


def all_of(cutter: Framer, pieces) -> list[bytes]:
    """Feed it all, and then let time go by."""
    frames = [frame for piece in pieces for frame in cutter.feed(piece)]
    return [frame.payload for frame in [*frames, *cutter.expire(1000.0)]]


def is_part_of(some_payloads, payloads) -> bool:
    rest = iter(payloads)
    return all(payload in rest for payload in some_payloads)


@pytest.mark.parametrize("kind", KINDS)
@PATIENTLY
@given(data=st.data())
def test_frames_are_found_in_arbitrary_pieces_of_the_stream(kind, data):
    said, sent = KINDS[kind][0], data.draw(some(kind))
    raw = b"".join(map(framing(said).wrap, sent))
    for pieces in ([raw], [bytes([byte]) for byte in raw], cut(data, raw)):
        cutter = framer(said)
        assert [frame.payload for piece in pieces for frame in cutter.feed(piece)] == sent
        assert not cutter.discards.by_reason


@pytest.mark.parametrize("kind", MARKED)
@PATIENTLY
@given(data=st.data())
def test_noise_between_frames_costs_no_frame(kind, data):
    said, sent = KINDS[kind][0], data.draw(some(kind))
    quiet = ANY_BYTES.map(lambda noise: noise.replace(BEGINNINGS[kind], b""))
    raw = b"".join(data.draw(quiet) + (b"\x7e" if kind == "HDLC" else b"") + framing(said).wrap(payload) for payload in sent)
    received = all_of(framer(said), cut(data, raw))
    assert is_part_of(sent, received) if kind == "HDLC" else received == sent


@pytest.mark.parametrize("kind", sorted({*CHECKED} - {"HDLC"}))
@PATIENTLY
@given(data=st.data())
def test_noise_that_looks_like_frames_costs_no_frame_with_a_checksum(kind, data):
    said, sent = KINDS[kind][0], data.draw(some(kind))
    raw = b"".join(data.draw(ANY_BYTES) + framing(said).wrap(payload) for payload in sent)
    assert is_part_of(sent, all_of(framer(said), cut(data, raw)))


@pytest.mark.parametrize("kind", [*CHECKED, "lines", "STX alone", "NMEA"])
@PATIENTLY
@given(data=st.data())
def test_lost_bytes_cost_the_damaged_frame_and_at_most_the_next_one(kind, data):
    said, sent = KINDS[kind][0], data.draw(some(kind, least=3))
    wrapped = [framing(said).wrap(payload) for payload in sent]
    damaged = data.draw(st.integers(0, len(sent) - 1))
    whole = wrapped[damaged]
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first + 1, len(whole)))
    wrapped[damaged] = whole[:first] + whole[last:]
    unharmed = sent[:damaged] + sent[damaged + 2 :]
    assert is_part_of(unharmed, all_of(framer(said), cut(data, b"".join(wrapped))))


@pytest.mark.parametrize("kind", KINDS)
@PATIENTLY
@given(data=st.data())
def test_arbitrary_bytes_give_the_same_frames_in_any_pieces_within_bounded_memory(kind, data):
    said = {**KINDS[kind][0], "longest": 24}
    pieces = data.draw(st.lists(st.one_of(ANY_BYTES, KINDS[kind][1].map(framing(said | {"longest": 1024}).wrap)), max_size=8))
    raw = b"".join(pieces)
    as_a_whole = payloads(said, raw)
    for split in ([bytes([byte]) for byte in raw], cut(data, raw)):
        cutter, received = framer(said), []
        for piece in split:
            received += [frame.payload for frame in cutter.feed(piece)]
            assert len(cutter.pending) <= 24 + 8
        assert received == as_a_whole
        cutter.expire(1000.0)
        assert said["kind"] in {"fixed", "length"} or cutter.deadline is None


def test_an_endless_line_is_discarded_and_counted_and_the_next_one_is_found():
    cutter = framer({"kind": "delimiter", "end": "\r\n", "longest": 16})
    assert cutter.feed(b"x" * 5000) == []
    assert len(cutter.pending) <= 16
    assert [frame.payload for frame in cutter.feed(b"xx\r\nOK\r\n")] == [b"OK"]
    count = cutter.discards.by_reason[DiscardReason.TOO_LONG]
    assert (count.times, count.size) == (1, 5003)
    assert str(cutter.discards) == f"1 x longer than a frame can be (last: {'x' * 48})"


def test_a_flood_of_start_marks_does_not_keep_the_gateway_busy():
    cutter = framer({"kind": "telegram"})
    cutter.feed(b"/" * 8000 + b"!0000\r\n")
    assert [frame.payload for frame in cutter.feed(TELEGRAM)] == [TELEGRAM[1:-7]]
    assert cutter.discards.by_reason[DiscardReason.CHECKSUM].times < 12


def test_a_checksum_that_looks_like_an_end_or_a_start_does_no_harm():
    said = {"kind": "stx-etx", "checksum": {"name": "sum8"}}
    for payload in (b"\x01" * 3, b"\x01\x01"):  # their sums are ETX and STX
        assert payloads(said, b"\x02" + payload + bytes([len(payload)]) + b"\x03") == [payload]
        assert payloads(said, *(bytes([byte]) for byte in b"\x02" + payload + bytes([len(payload)]) + b"\x03")) == [payload]


def test_a_meter_without_a_checksum_is_understood_and_a_wrong_checksum_is_not():
    old = b"/XYZ4 meter\r\n\r\n1-0:1.7.0(001.19*kW)\r\n!\r\n"
    assert payloads({"kind": "telegram"}, old, old) == [old[1:-3]] * 2
    assert payloads({"kind": "telegram"}, TELEGRAM.replace(b"!5091", b"!5092")) == []


def test_a_sentence_whose_checksum_lost_a_digit_is_not_taken_for_one_without_a_checksum():
    assert payloads(NMEA, b"$GPGLL,1,2*4\r\n$GPGLL,1,2\r\n") == [b"GPGLL,1,2"]


def test_the_rest_of_a_line_whose_beginning_was_missed_is_discarded():
    cutter = framer(LINES, starts_mid_frame=True)
    assert [frame.payload for frame in cutter.feed(b"2.5\r112.5\r", now=1000.0)] == [b"112.5"]
    assert cutter.discards.by_reason[DiscardReason.NOISE].size == 4


def test_a_prompt_stays_pending_until_it_is_cleared():
    cutter = framer({"kind": "delimiter", "end": "\r\n"})
    cutter.feed(b"login: ")
    assert cutter.pending == b"login: "
    assert cutter.deadline is None
    cutter.clear()
    assert [frame.payload for frame in cutter.feed(b"OK\r\n")] == [b"OK"]


def test_noise_that_promises_a_long_frame_holds_nothing_back_for_longer_than_a_pause():
    cutter = framer({**MDC, "pause": 0.2})
    answer = bytes.fromhex("AA FF 01 03 41 11 01 56")
    assert cutter.feed(bytes.fromhex("AA 00 00 F0") + answer, now=5.0) == []
    assert cutter.deadline == pytest.approx(5.2)
    assert cutter.expire(5.1) == []
    assert [frame.raw for frame in cutter.expire(5.2)] == [answer]
    assert cutter.deadline is None


def test_silence_ends_a_frame():
    said = {"kind": "silence", "characters": 10, "at_least": 0.0, "checksum": {"name": "crc16-modbus", "written": "little"}}
    cutter = framer(said, character_seconds=0.001)
    frame = framing(said).wrap(b"\x01\x03\x00")
    assert cutter.feed(frame[:2], now=1.0) == []
    assert cutter.feed(frame[2:], now=1.009) == []
    assert [got.payload for got in cutter.expire(1.02)] == [b"\x01\x03\x00"]
    assert [got.at for got in [*cutter.feed(frame, now=2.0), *cutter.feed(b"\x01\x02\x03", now=3.0)]] == [2.0]
    assert cutter.expire(4.0) == []
    assert cutter.discards.by_reason[DiscardReason.CHECKSUM].last == b"\x01\x02\x03"


def test_bytes_without_a_silence_are_discarded_until_there_is_one():
    cutter = framer({"kind": "silence", "longest": 8, "at_least": 0.1})
    for moment in range(100):
        assert cutter.feed(b"abc", now=1 + moment / 100) == []
        assert len(cutter.pending) <= 8
    assert [frame.payload for frame in [*cutter.feed(b"OK", now=3.0), *cutter.expire(4.0)]] == [b"OK"]


def test_lines_that_are_not_json_objects_are_discarded_and_counted():
    assert payloads({"kind": "json-lines"}, b'boot v1\n[1]\n{"a":1}\r\n' + b"[" * 5000 + b"\n") == [b'{"a":1}']
    cutter = framer({"kind": "json-lines"})
    cutter.feed(b"boot v1\n")
    assert str(cutter.discards) == "1 x not a JSON object (last: boot v1\\n)"


def nmea(payload):
    return framing(NMEA).wrap(payload)


LOST = b"$GPGGA,123519,4807.038,N,08415.8050,E,1,08,0.9,545.4,M,46.9,M,,\r\n"
"""A sentence whose `*hh` was lost, together with the right digit of its longitude."""


def test_on_a_line_with_checksums_a_frame_that_lost_its_own_is_discarded_and_counted():
    cutter = framer(NMEA)
    stream = nmea(b"GPRMC,1") + LOST + nmea(b"GPRMC,2")
    assert [frame.payload for frame in cutter.feed(stream)] == [b"GPRMC,1", b"GPRMC,2"]
    assert str(cutter.discards).startswith("1 x without a checksum, on a line whose frames have one (last: $GPGGA")


def test_on_a_line_without_checksums_all_frames_count():
    assert payloads(NMEA, LOST * 3) == [LOST[1:-2]] * 3


def test_a_telegram_that_lost_its_crc_is_discarded_on_a_line_with_crcs():
    whole = framing({"kind": "telegram"}).wrap(b"ISK5\r\n\r\n1-0:1.8.0(1)\r\n")
    lost = whole[:-6] + b"\r\n"
    cutter = framer({"kind": "telegram"})
    assert len(cutter.feed(lost + whole + lost + whole)) == 3
    assert cutter.discards.by_reason[DiscardReason.NO_CHECKSUM].times == 1


def test_another_device_without_checksums_on_the_same_line_is_understood_again():
    cutter = framer(NMEA)
    cutter.feed(nmea(b"GPRMC,1"))
    frames = cutter.feed(LOST * 30)
    assert len(frames) == 30 - FRAMES_TO_FORGET_CHECKSUMS + 1


@pytest.mark.parametrize("between", [nmea(b"GPRMC,1"), nmea(b"GPRMC,1").replace(b"RMC", b"RMD")], ids=["right", "wrong"])
def test_a_line_on_which_much_is_lost_still_requires_checksums(between):
    cutter = framer(NMEA)
    cutter.feed(nmea(b"GPRMC,1"))
    frames = cutter.feed((LOST * (FRAMES_TO_FORGET_CHECKSUMS - 1) + between) * 4)
    assert [frame.payload for frame in frames] == [b"GPRMC,1"] * (4 if between == nmea(b"GPRMC,1") else 0)


def test_a_damaged_frame_counts_once_together_with_the_garbage_after_it():
    cutter = framer(MDC)
    answer = bytes.fromhex("AA FF 01 03 41 11 01 56")
    cutter.feed(answer + answer[:3] + b"\0" + answer[4:] + answer)
    assert {reason: count.times for reason, count in cutter.discards.by_reason.items()} == {DiscardReason.CHECKSUM: 1}
    assert cutter.discards.by_reason[DiscardReason.CHECKSUM].size == 8


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"kind": "delimiter", "end": "0D 0A"}, "is read as text here; for the bytes of these hexadecimal digits write"),
        ({"kind": "delimiter", "end": r"\q"}, "is unknown; use"),
        ({"kind": "delimiter", "end": ["\r", "\r\n"]}, "the shorter one is enough"),
        ({"kind": "delimiter", "start": "~", "end": "~"}, "must not contain each other"),
        ({"kind": "delimiter", "end": "\x10", "escape": "\x10"}, "do not end with the escape"),
        ({"kind": "delimiter", "end": ""}, "at least 1 item"),
        ({"kind": "fixed", "length": 2, "sync": "AA BB"}, "more than 2"),
        ({"kind": "fixed", "length": 8, "sync": "A"}, "pairs of hexadecimal digits"),
        ({"kind": "length", "sync": "AA BB", "at": 1, "uncounted": 4}, "within the 2 sync bytes"),
        ({"kind": "stx-etx", "checksum": {"name": "crc99"}}, "there is no checksum 'crc99'"),
        ({"kind": "stx-etx", "checksum": {"name": "crc16-arc"}}, "crc16-arc has 2 bytes, so `written` is needed"),
        ({"kind": "delimiter", "end": "\r", "checksum": {"name": "xor", "optional": True}}, "recognized by its `separator`"),
        (
            {"kind": "delimiter", "end": "!", "checksum": {"name": "xor", "optional": True, "place": "after-end"}},
            "recognized by the `tail`",
        ),
        ({"kind": "packet"}, "does not match any of the expected tags"),
        ({"kind": "stx-etx", "ende": "\r"}, "Extra inputs"),
    ],
)
def test_an_impossible_framing_is_an_error_that_says_how_to_fix_it(said, why):
    with pytest.raises(ValidationError, match=why):
        framing(said)


def test_a_payload_that_would_be_split_is_not_wrapped():
    with pytest.raises(ValueError, match="contains a start or end mark"):
        framing(LINES).wrap(b"ka 01 01\rkb 01 01")
    with pytest.raises(ValueError, match="must have 5 bytes, not 6"):
        framing(FIXED).wrap(b"123456")
    with pytest.raises(ValueError, match="longer than"):
        framing(MDC).wrap(b"\x11\xff" + b"x" * 256)


@pytest.mark.parametrize(
    "pieces",
    [
        [b'{"jsonrpc": "2.0", "id": 1, "result": "a}\\"{b"}{"id":2}'],
        [b'{"jsonrpc": "2.0", "id"', b': 1, "result": "a}\\"', b'{b"}\r\n\0{"id"', b":2}"],
    ],
)
def test_json_objects_that_follow_one_another_are_found_by_their_braces(pieces):
    found = framer({"kind": "json"})
    frames = [frame for piece in pieces for frame in found.feed(piece)]
    assert [frame.payload for frame in frames] == [b'{"jsonrpc": "2.0", "id": 1, "result": "a}\\"{b"}', b'{"id":2}']
    assert not found.discards.by_reason
    assert found.pending == b""


def test_what_is_no_json_object_is_discarded_and_the_next_one_is_found():
    found = framer({"kind": "json", "longest": 64})
    assert [frame.payload for frame in found.feed(b'ERR {id: 1} {"a": x}{"id": 3}')] == [b'{"id": 3}']
    assert set(found.discards.by_reason) == {DiscardReason.NOISE, DiscardReason.NO_JSON}
    assert [frame.payload for frame in found.feed(b'{"text": "' + b"x" * 200 + b'{"id": 4}')] == [b'{"id": 4}']
    assert len(found.pending) <= 64
