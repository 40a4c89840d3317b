"""The simulated serial devices speak as sold: frames checked against published examples, and by their own checksums."""

import re
from functools import reduce
from operator import xor

import pytest

from gateway.testing.serial import Display, Gps
from gateway.testing.serial.display import ERRORS, HDMI2, INPUT, MODEL, MUTE, POWER, SERIAL_NUMBER, STATUS, VOLUME


def mdc(command, value=b"", display_id=1):
    covered = bytes([command, display_id, len(value)]) + value
    return b"\xaa" + covered + bytes([sum(covered) & 0xFF])


@pytest.fixture
def display():
    return Display(1, clock=lambda: 0.0)


def test_power_is_answered_with_the_documented_bytes(display):
    assert mdc(POWER) == bytes.fromhex("AA 11 01 00 12")
    assert display.receive(mdc(POWER)) == [bytes.fromhex("AA FF 01 03 41 11 01 56")]


def test_an_order_is_carried_out_and_confirmed(display):
    assert display.receive(mdc(VOLUME, b"\x0a")) == [bytes.fromhex("AA FF 01 03 41 12 0A 60")]
    assert display.receive(mdc(INPUT, bytes([HDMI2])))[0][4:6] == bytes([0x41, INPUT])
    assert (display.volume, display.input) == (10, HDMI2)
    assert display.commands == [(VOLUME, b"\x0a"), (INPUT, bytes([HDMI2]))]


@pytest.mark.parametrize(("command", "value"), [(VOLUME, 101), (MUTE, 7), (POWER, 9), (INPUT, 0x01), (0x77, 1)])
def test_what_it_cannot_do_is_refused_and_changes_nothing(display, command, value):
    before = display.receive(mdc(STATUS))
    (answer,) = display.receive(mdc(command, bytes([value])))
    assert answer[4:6] == bytes([0x4E, command])
    assert display.receive(mdc(STATUS)) == before


def test_the_display_answers_with_its_identity(display):
    told = [display.receive(mdc(command))[0][6:-1] for command in (SERIAL_NUMBER, MODEL)]
    assert told == [b"Z1ABH4CT300057", b"QM55R"]


@pytest.mark.parametrize("frame", [mdc(POWER, display_id=2), mdc(POWER)[:-1] + b"\0", b"garbage", b""])
def test_only_whole_frames_with_the_own_id_are_answered(display, frame):
    assert display.receive(frame) == []


def test_everybody_is_obeyed_without_an_answer(display):
    assert display.receive(mdc(POWER, b"\0", display_id=0xFE)) == []
    assert not display.is_on


def test_a_frame_is_found_after_noise_and_in_arbitrary_pieces(display):
    answers = [answer for byte in b"noise\xaa" + mdc(POWER) + mdc(MUTE) for answer in display.receive(bytes([byte]))]
    assert [answer[5] for answer in answers] == [POWER, MUTE]


def test_every_sent_value_is_recorded(display):
    display.receive(mdc(STATUS) + mdc(ERRORS) + mdc(VOLUME, b"\x32") + mdc(VOLUME))
    assert display.sent["volume"] == {30, 50}
    assert display.sent["temperature"] == {38}
    assert display.sent["power"] == {1}


def test_a_gps_receiver_speaks_sentences_with_right_checksums():
    spoken = Gps(clock=lambda: 12.0).unsolicited()
    sentences = re.findall(rb"\$([^*]+)\*([0-9A-F]{2})\r\n", spoken)
    assert [sentence[:5] for sentence, _ in sentences] == [b"GPGGA", b"GPRMC"]
    assert all(reduce(xor, sentence) == int(told, 16) for sentence, told in sentences)


def test_a_gps_receiver_remembers_the_place_that_can_be_read_out_of_its_sentence():
    gps = Gps(clock=lambda: 12.0)
    fields = gps.unsolicited().split(b"\r\n")[0].split(b",")
    latitude = int(fields[2][:2]) + float(fields[2][2:]) / 60
    longitude = int(fields[4][:3]) + float(fields[4][3:]) / 60
    assert (fields[3], fields[5]) == (b"N", b"E")
    assert list(gps.sent["latitude"]) == [pytest.approx(latitude, abs=1e-9)]
    assert list(gps.sent["longitude"]) == [pytest.approx(longitude, abs=1e-9)]
