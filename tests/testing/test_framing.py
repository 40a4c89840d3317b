"""Requests cut out of streams of bytes, whole, in pieces and among noise."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.testing.modbus import Ascii, Frame, Mbap, NotModbus, Rtu, crc16

READ = bytes.fromhex("03 006b 0003")
REQUESTS = [
    pytest.param(bytes.fromhex(pdu), id=pdu[:2])
    for pdu in [
        "01 0000 0001",
        "06 0001 0003",
        "0f 0013 000a 02 cd01",
        "10 0001 0001 02 000a",
        "11",
        "2b 0e 01 00",
        "17 0000 0001 0000 0001 02 0001",
    ]
]


def test_the_checksum_of_the_specification():
    """Modbus over Serial Line V1.02, section 6.2.2: the frame 02 07 41 12."""
    assert Rtu().bytes_of(Frame(2, b"\x07")) == bytes.fromhex("02 07 41 12")
    assert crc16(bytes.fromhex("02 07 41 12")) == 0


@pytest.mark.parametrize("framing", [Mbap(), Rtu(), Ascii()])
@pytest.mark.parametrize("pdu", REQUESTS)
def test_a_request_is_known_at_its_last_byte_and_no_sooner(framing, pdu):
    buffer, sent = bytearray(), framing.bytes_of(Frame(17, pdu))
    if isinstance(framing, Ascii):
        sent = sent[:-1]  # it is known at its CR, whatever delimiter follows
    for byte in sent[:-1]:
        buffer.append(byte)
        assert not list(framing.take(buffer))
    buffer.append(sent[-1])
    assert list(framing.take(buffer)) == [Frame(17, pdu)]
    assert not buffer


@pytest.mark.parametrize("framing", [Mbap(), Rtu(), Ascii()])
def test_requests_in_a_row_are_all_cut_and_the_rest_is_kept(framing):
    sent = framing.bytes_of(Frame(1, READ))
    buffer = bytearray(sent * 3 + sent[:5])
    assert list(framing.take(buffer)) == [Frame(1, READ)] * 3
    assert buffer == sent[:5]


@pytest.mark.parametrize("header", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 00ff 01"])
def test_what_cannot_begin_a_tcp_request_is_told(header):
    with pytest.raises(NotModbus):
        list(Mbap().take(bytearray.fromhex(header)))


def test_the_transaction_is_kept():
    assert list(Mbap().take(bytearray.fromhex("beef 0000 0006 01 03 006b 0003"))) == [Frame(1, READ, 0xBEEF)]


def test_a_frame_with_a_wrong_checksum_is_no_request():
    buffer = bytearray(Rtu().bytes_of(Frame(1, READ), wrong_crc=True))
    assert not list(Rtu().take(buffer))
    assert not list(Rtu().take(buffer, after_silence=True))
    assert not buffer


def test_an_unknown_function_is_known_by_the_silence_after_it():
    buffer = bytearray(Rtu().bytes_of(Frame(1, b"\x63\x01\x02\x03")))
    assert not list(Rtu().take(buffer))
    assert list(Rtu().take(buffer, after_silence=True)) == [Frame(1, b"\x63\x01\x02\x03")]


@given(noise=st.binary(max_size=40), unit_id=st.integers(1, 247))
def test_a_request_after_noise_is_found_by_the_next_silence_at_the_latest(noise, unit_id):
    assume(not noise or crc16(noise) != crc16(b""))  # else noise and request together are one frame, by its check sum
    buffer = bytearray(noise + Rtu().bytes_of(Frame(unit_id, READ)))
    found = [*Rtu().take(buffer), *Rtu().take(buffer, after_silence=True)]
    assert found[-1:] == [Frame(unit_id, READ)]
    assert not buffer


def test_endless_noise_does_not_fill_the_memory():
    buffer = bytearray()
    for _ in range(100):
        buffer += b"\x01\x10\xff\xff\xff\xff\xff" * 10
        assert not list(Rtu().take(buffer))
        assert len(buffer) < 512
