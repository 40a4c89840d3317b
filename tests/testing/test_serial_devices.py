"""The simulated serial devices speak as sold: frames checked against published examples, and by their own checksums."""

import re
from functools import reduce
from operator import xor

import pytest

from gateway.testing.serial import Display, Gps, NoFix, PowerSupply, TextSensor
from gateway.testing.serial.display import ERRORS, HDMI2, INPUT, MODEL, MUTE, POWER, SERIAL_NUMBER, STATUS, VOLUME
from gateway.testing.serial.instrument import INFINITE, NOT_A_NUMBER


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
    assert [sentence[:5] for sentence, _ in sentences] == [b"GPGGA", b"GPRMC", b"GPGLL", b"GPVTG"]
    assert all(reduce(xor, sentence) == int(told, 16) for sentence, told in sentences)


@pytest.mark.parametrize(
    ("no_fix", "place"),
    [(NoFix.EMPTY, ",,,"), (NoFix.ZEROS, "0000.0000,N,00000.0000,E"), (NoFix.LAST, "5222.6568,N,00454.7389,E")],
)
def test_a_gps_receiver_without_a_fix_says_so_in_each_sentence_and_sends_what_its_maker_decided(no_fix, place):
    gps = Gps(clock=lambda: 12.0)
    gps.no_fix = no_fix
    gga, rmc, gll, vtg, _ = gps.unsolicited().decode().split("\r\n")
    assert f",{place},0,00,99.9," in gga
    assert f",V,{place}," in rmc
    assert gll.startswith(f"$GPGLL,{place},")
    assert [sentence.split("*")[0][-2:] for sentence in (rmc, gll, vtg)] == [",N"] * 3
    assert gps.sent == {"fix": {0}, "satellites": {0}}


def test_a_gps_receiver_loses_the_checksum_and_a_digit_of_every_nth_sentence():
    gps = Gps(clock=lambda: 12.0)
    whole = gps.unsolicited().split(b"\r\n")
    gps.lost_checksum_every = 3
    damaged = gps.unsolicited().split(b"\r\n")
    assert [b"*" in sentence for sentence in damaged] == [True, False, True, True, False]
    assert len(damaged[1]) == len(whole[1]) - 3
    assert damaged[1] != whole[1][:-3]
    gps.lost_checksum_every, gps.checksums = None, False
    assert b"*" not in gps.unsolicited()


def test_a_power_supply_answers_its_queries_and_obeys():
    supply = PowerSupply()
    assert supply.receive(b"*IDN?\nMEAS:VOLT?\n") == [b"GW-INSTEK,PSU-20-76,TW123456,01.00.20110101\n", b"+12.000\n"]
    assert supply.receive(b"VOLT 5.25\nVOLT?\nOUTP OFF\nOUTP?\nMEAS:CU") == [b"+5.250\n", b"0\n"]
    assert supply.receive(b"RR?\nBEEP\n") == [b"+0.000\n"]


@pytest.mark.parametrize("overload", [NOT_A_NUMBER, f"-{INFINITE}", "OL"])
def test_a_power_supply_sends_an_overload_in_the_place_of_what_it_measures(overload):
    supply = PowerSupply()
    supply.overload = overload
    assert supply.receive(b"MEAS:VOLT?\nMEAS:CURR?\nVOLT?\n") == [f"{overload}\n".encode()] * 2 + [b"+12.000\n"]
    assert "current" not in supply.sent


def test_a_text_sensor_prints_what_its_library_prints_when_the_sensor_fails():
    sensor = TextSensor(clock=lambda: 0.0)
    assert sensor.unsolicited() == b"temp=21.5,hum=41.2\r\n"
    sensor.failed = "nan"
    assert sensor.unsolicited() == b"temp=21.5,hum=nan\r\n"
    sensor.style = "json"
    assert sensor.unsolicited() == b'{"temp":21.5,"hum":nan}\r\n'
    assert sensor.sent["hum"] == {41.2}


def test_a_gps_receiver_remembers_the_place_that_can_be_read_out_of_its_sentence():
    gps = Gps(clock=lambda: 12.0)
    fields = gps.unsolicited().split(b"\r\n")[0].split(b",")
    latitude = int(fields[2][:2]) + float(fields[2][2:]) / 60
    longitude = int(fields[4][:3]) + float(fields[4][3:]) / 60
    assert (fields[3], fields[5]) == (b"N", b"E")
    assert list(gps.sent["latitude"]) == [pytest.approx(latitude, abs=1e-9)]
    assert list(gps.sent["longitude"]) == [pytest.approx(longitude, abs=1e-9)]
