"""Telegrams of P1 ports: connected meters, placeholders, numbers of meters, and encryption."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.serial.codec import DecryptionKeys
from adapters.serial.codecs.obis import NEEDS_KEY, ObisCodec
from adapters.serial.framing.ciphered import TelegramFramer
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.frames import DiscardReason
from adapters.serial.profile.library import PROFILE_FILES
from gateway.testing.serial import ChannelState, MeterChannel, P1Meter
from gateway.testing.serial.meter import GAS, HEAT, WATER

PROFILE = PROFILE_FILES.load()["dsmr-p1"]
KEY = bytes.fromhex("5B9E0F33C2D6A8174E6B0D1FA29C7738")
KEYS = DecryptionKeys.parse(SecretStr(KEY.hex()))
NOT_IN_USE, EPOCH, REAL = "(632525252525S)(00000.000)", "(700101010000W)(00000000)", "(191108145505W)(00241.773*m3)"
NUMBER = "4730303533303987654321373431393137"


def decoded(*lines, keys=None):
    return ObisCodec(keys).read("\r\n".join(("ISK5\\2M550T-1012", "", *lines, "")).encode())


def named(*lines):
    """Return the fields of a telegram that are no codes."""
    return {name: value for name, value in decoded(*lines).values.items() if ":" not in name and name[:4] not in {"iden", "seri"}}


def channel(number, reading, *, kind=3, code="24.2.1", identification=None):
    lines = [f"0-{number}:24.1.0({kind:03d})", f"0-{number}:{code}{reading}"]
    return lines if identification is None else [*lines, f"0-{number}:96.1.0({identification})"]


@pytest.mark.parametrize("reading", [NOT_IN_USE, "(632525252525W)(00000.000*m3)", EPOCH, "(700101000000W)(00000.000*m3)"])
@pytest.mark.parametrize("identification", [None, "", "0000000000", NUMBER])
@pytest.mark.parametrize("code", ["24.2.1", "24.2.3"])
def test_a_channel_that_was_never_read_is_not_available(reading, identification, code):
    assert named(*channel(1, reading, identification=identification, code=code)) == {"gas": None}
    telegram = decoded(*channel(1, reading, identification=identification, code=code))
    assert telegram.values[f"0-1:{code}"] is None


@pytest.mark.parametrize("placeholder", [(EPOCH, None), (EPOCH, ""), (EPOCH, NUMBER), (NOT_IN_USE, ""), (NOT_IN_USE, "00000000")])
@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (3, 4)])
def test_a_channel_without_a_meter_never_takes_the_name_of_a_real_one(placeholder, first, second):
    lines = [*channel(first, placeholder[0], identification=placeholder[1]), *channel(second, REAL, identification=NUMBER)]
    assert named(*lines) == {"gas": 241.773}


def test_a_meter_that_is_not_received_for_a_while_keeps_its_name_beside_another_one():
    first, second = channel(1, REAL, identification=NUMBER), channel(2, "(191108145505W)(00009.000*m3)", identification=NUMBER)
    assert named(*first, *second) == {"gas": 241.773, "gas_2": 9.0}
    away = channel(1, NOT_IN_USE, identification=NUMBER)
    assert named(*away, *second) == {"gas": None, "gas_2": 9.0}


@pytest.mark.parametrize(("kind", "unit"), [(3, "m3"), (7, "m3"), (12, "GJ"), (2, "kWh")])
def test_a_placeholder_has_the_unit_of_its_kind(kind, unit):
    (name,) = named(*channel(1, EPOCH, kind=kind))
    assert decoded(*channel(1, EPOCH, kind=kind)).units[name] == unit
    assert decoded(*channel(1, "(260301110000W)(00012.345*MWh)", kind=kind)).units[name] == "MWh"


def test_a_new_meter_that_has_counted_nothing_tells_zero():
    assert named(*channel(1, "(231003134001S)(00000.000*m3)")) == {"gas": 0.0}


def test_a_counter_with_an_impossible_time_is_still_a_counter():
    assert named(*channel(1, "(632525252525S)(00001.287*m3)")) == {"gas": 1.287}


def test_meters_of_different_kinds_are_counted_by_kind():
    lines = [*channel(1, REAL, kind=7), *channel(2, REAL), *channel(3, REAL, kind=7), *channel(4, REAL, kind=12)]
    assert named(*lines) == {"water": 241.773, "gas": 241.773, "water_2": 241.773, "heat": 241.773}


@pytest.mark.parametrize("lines", [["0-1:24.1.0(003)"], ["0-1:24.2.1(191108145505W)(00241.773*m3)"], channel(1, REAL, kind=99)])
def test_a_channel_without_a_reading_or_a_known_kind_is_no_meter(lines):
    assert named(*lines, "1-0:1.8.0(1.5*kWh)") == {}


@pytest.mark.parametrize(
    "lines",
    [
        ["0-1:24.3.0(161107190000)(00)(60)(1)(0-1:24.2.1)(m3)", "(00001.001)"],
        ["0-1:24.3.0(161107190000)(00)(60)(1)(0-1:24.2.1)(m3)(00001.001)"],  # some readers join the lines
    ],
)
def test_the_gas_of_dsmr_2_and_3_is_in_two_lines_or_one(lines):
    assert named("0-1:24.1.0(3)", *lines, "0-1:24.4.0(1)") == {"gas": 1.001}


@pytest.mark.parametrize("moment", ["632525252525W", "700101010000W", "000000000000S"])
def test_the_peak_of_a_month_that_has_none_yet_is_not_available(moment):
    telegram = decoded(f"1-0:1.6.0({moment})(00.000*kW)")
    assert (telegram.values["1-0:1.6.0"], telegram.values["peak_demand_time"]) == (None, None)


def test_lists_of_past_peaks_and_failures_are_no_measurements():
    history = "(1-0:1.6.0)(1-0:1.6.0)(230801000000S)(632525252525W)(00.000*kW)(240601000000S)(240523000000S)(03.701*kW)"
    telegram = decoded(
        "1-0:1.6.0(250501101500S)(01.194*kW)",
        f"0-0:98.1.0(13){history}",
        "1-0:99.97.0(1)(0-0:96.7.19)(000101000001W)(2147483647*s)",
        "1-0:1.8.1(000001.353*kWh)",
    )
    assert telegram.values["1-0:1.6.0"] == 1.194
    assert telegram.values["peak_demand_time"] == "2025-05-01T10:15:00"
    assert "0-0:96.7.19" not in telegram.values


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["0-0:42.0.0(53414731)", "0-0:96.1.1(4B38)"], "4B38"),
        (["0-0:96.1.1(00000000000000)", "0-0:42.0.0(53414731303330373030303132373031)"], "53414731303330373030303132373031"),
        (["0-0:42.0.0(AUX1030303218166)", "0-0:96.1.0(0003218166)"], "0003218166"),
        (["1-0:0.0.0*255(0272031312565)", "0-0:96.1.255*255(1ESY1313002565)"], "1ESY1313002565"),
        (["1-0:0.0.0*255(1336001560)"], "1336001560"),
        (["0-0:96.1.1()"], None),
        ([], None),
    ],
)
def test_the_number_of_the_meter_is_that_of_its_country(lines, number):
    assert decoded(*lines, "1-0:1.8.0(1.5*kWh)").values["serial_number"] == number


# Encryption.


def framed(*pieces):
    framer = framer_for(PROFILE.framing)
    return [frame.payload for piece in pieces for frame in framer.feed(piece)], framer.discards


def encrypted_meter(**how):
    return P1Meter([MeterChannel(GAS, 12.5)], country="lu", decryption_key=KEY, clock=lambda: 0.0, **how)


def test_an_encrypted_telegram_is_read_with_its_key():
    meter = encrypted_meter()
    (payload,), _ = framed(meter.unsolicited())
    telegram = ObisCodec().with_keys(KEYS).read(payload)
    assert telegram.problem is None
    assert telegram.values["1-0:1.8.0"] == 273.764
    assert telegram.values["gas"] == 12.5
    assert telegram.values["serial_number"] == "SAG677000A1B2"


def test_without_a_key_it_is_known_who_it_is_and_what_it_needs():
    (payload,), _ = framed(encrypted_meter().unsolicited())
    telegram = ObisCodec().read(payload)
    assert telegram.values == {"serial_number": "SAG677000A1B2", "encryption": "AES-128-GCM"}
    assert telegram.problem == NEEDS_KEY


def test_the_key_of_another_meter_is_told_as_such():
    (payload,), _ = framed(encrypted_meter().unsolicited())
    telegram = ObisCodec(DecryptionKeys.parse(SecretStr("0" * 32))).read(payload)
    assert "it is that of another meter" in telegram.problem
    assert telegram.values["serial_number"] == "SAG677000A1B2"


def test_a_meter_with_another_authentication_key_is_believed_for_its_crc():
    meter = encrypted_meter(authentication_key=b"not the published")
    meter.authentication_key = bytes(16)
    telegram = ObisCodec(KEYS).read(meter.unsolicited())
    assert telegram.problem is None
    assert telegram.values["gas"] == 12.5
    meter.crc = False
    assert "`authentication_key`" in ObisCodec(KEYS).read(meter.unsolicited()).problem
    own = DecryptionKeys.parse(SecretStr(KEY.hex()), SecretStr("30" + "00" * 16))
    assert ObisCodec(own).read(meter.unsolicited()).problem is None


@pytest.mark.parametrize("at", [20, 100, -20, -5])
def test_a_damaged_encrypted_telegram_is_never_believed(at):
    raw = bytearray(encrypted_meter(crc=False).unsolicited())
    raw[at] ^= 1
    telegram = ObisCodec(KEYS).read(bytes(raw))
    assert telegram is None or telegram.problem is not None


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_a_telegram_without_a_crc_ends_in_any_end_of_a_line(end):
    telegram = P1Meter(crc=False, clock=lambda: 0.0).telegram().replace(b"\r\n", end)
    payloads, discards = framed(telegram, telegram)
    assert [ObisCodec().read(payload).values["1-0:1.7.0"] for payload in payloads] == [1.234] * 2
    assert not discards.by_reason


def test_encrypted_and_plain_telegrams_are_found_in_pieces_and_after_noise():
    meter = encrypted_meter()
    first, plain, second = meter.unsolicited(), meter.telegram(), meter.unsolicited()
    stream = first[40:] + first + plain + b"\xdb\x08noise" + second + plain
    for size in (1, 7, 64, len(stream)):
        payloads, _ = framed(*(stream[at : at + size] for at in range(0, len(stream), size)))
        assert payloads == [first, plain[1 : plain.rindex(b"!")], second, plain[1 : plain.rindex(b"!")]]


def test_a_telegram_with_a_character_that_looks_like_the_start_of_an_encrypted_one_is_damaged_and_no_more():
    plain = encrypted_meter().telegram()
    payloads, discards = framed(plain[:60] + b"\xdb" + plain[61:], plain)
    assert payloads == [plain[1 : plain.rindex(b"!")]]
    assert discards.by_reason[DiscardReason.CHECKSUM].times == 1


def test_an_encrypted_telegram_that_lost_bytes_does_not_swallow_the_next_one():
    meter, framer = encrypted_meter(), framer_for(PROFILE.framing)
    first, second = meter.unsolicited(), meter.unsolicited()
    assert framer.feed(first[:100] + first[110:], now=1.0) == []
    assert framer.deadline is not None
    assert [frame.payload for frame in framer.feed(second, now=2.0)] == [second]
    assert framer.discards.by_reason[DiscardReason.CUT_SHORT].times == 1
    framer.feed(first[:50], now=3.0)
    assert framer.pending == first[:50]
    framer.clear()
    assert framer.pending == b""


@given(st.binary(max_size=80))
def test_arbitrary_bytes_after_the_tag_raise_nothing(noise):
    said = ObisCodec(KEYS).read(b"\xdb" + noise)
    assert said is None or said.values
    framed(b"\xdb" + noise, b"\xdb\x08" + noise)


def test_many_tags_in_a_row_are_noise_that_costs_one_look(monkeypatch):
    looks = []
    take = TelegramFramer._take_encrypted
    monkeypatch.setattr(TelegramFramer, "_take_encrypted", lambda framer, frames: looks.append(1) or take(framer, frames))
    meter = encrypted_meter()
    assert len(framed(b"\xdb" * 4096, b"\xdb\x07" * 2048, meter.unsolicited())[0]) == 1
    assert len(looks) < 20


@pytest.mark.parametrize("written", ["nan", "NaN", "-inf", "1.#QNAN", "----", "nan*m3"])
def test_a_word_in_the_place_of_a_number_is_no_value(written):
    values = decoded(f"1-0:1.8.0({written})", *channel(1, f"(191108145505W)({written})")).values
    assert values["1-0:1.8.0"] is values["gas"] is None


@pytest.mark.parametrize("written", ["1e400", "\xff\xfe", "abc*m3"])
def test_the_reading_of_a_connected_meter_is_a_number_or_none(written):
    assert named(*channel(1, f"(191108145505W)({written})")) == {"gas": None}


@pytest.mark.parametrize("written", ["", "12", "0" * 31, "0" * 33, "zz" * 16, "0" * 64])
def test_a_key_is_32_hexadecimal_digits_and_is_not_quoted(written):
    with pytest.raises(ValueError, match="the decryption_key must have 32 hexadecimal digits") as told:
        DecryptionKeys.parse(SecretStr(written))
    assert len(written) < 3 or written not in str(told.value)
    assert KEY.hex() not in repr(DecryptionKeys.parse(SecretStr(KEY.hex())))


# The simulated meter.


@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize("country", ["nl", "be", "lu"])
def test_the_simulated_meter_speaks_as_the_countries_do(country, crc):
    meter = P1Meter([MeterChannel(GAS, 112.384), MeterChannel(WATER, 872.234)], country=country, crc=crc, clock=lambda: 0.0)
    (payload,), discards = framed(meter.unsolicited(), meter.unsolicited()[:1])
    assert not discards.by_reason
    telegram = ObisCodec().read(payload)
    assert (telegram.values["gas"], telegram.values["water"]) == (112.384, 872.234)
    assert telegram.values["1-0:1.7.0"] == 1.234
    assert telegram.values["serial_number"]
    assert meter.sent["channel_1"] == {112.384}


def test_the_simulated_meter_has_placeholders_in_its_channels():
    states = [
        MeterChannel(GAS, state=ChannelState.UNUSED),
        MeterChannel(GAS, 9.0),
        MeterChannel(HEAT, state=ChannelState.NOT_READ),
    ]
    telegram = P1Meter(states).telegram()
    assert b"0-1:96.1.0()\r\n0-1:24.2.1(700101010000W)(00000000)\r\n" in telegram
    assert b"0-3:24.2.1(632525252525S)(00000.000)\r\n" in telegram
    (payload,), _ = framed(telegram)
    values = ObisCodec().read(payload).values
    assert {name: values[name] for name in ("gas", "heat")} == {"gas": 9.0, "heat": None}
