"""Protocols in code: the contract of a codec, and what ours make of frames."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.serial.codec import Codec, DecodedFrame, Said, load_codec
from adapters.serial.codecs.free_text import JsonCodec, KeyValueCodec
from adapters.serial.codecs.nmea import NmeaCodec
from adapters.serial.codecs.obis import ObisCodec
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.protocol import MAX_OPEN_METRICS, DeviceProtocol, metric_name

OURS = (JsonCodec, KeyValueCodec, NmeaCodec, ObisCodec)


class CountingCodec(Codec):
    """A protocol of one byte, as an author would write it."""

    def ask(self, query, values):
        return bytes([len(query), int(values.get("step", 1))])

    def read(self, payload):
        return DecodedFrame("count", {"count": payload[0]}) if len(payload) == 1 else None


TEXT = f"""\
name = "counter"
title = "A counter made up for a test"
family = "counter"
codec = "{__name__}:CountingCodec"

[source]
document = "made up for a test"
edition = "1"
section = "all"

[framing]
kind = "fixed"
length = 2
checksum = {{ name = "sum8" }}

[[queries]]
name = "count"
points = [{{ metric = "count" }}]

[[commands]]
name = "step"
parameters = {{ step = {{ between = [1, 9] }} }}
read_back = "count"
"""


def test_a_profile_encodes_and_decodes_with_its_codec(monkeypatch):
    monkeypatch.setattr("adapters.serial.profile.profile.load_codec", lambda _written: CountingCodec())
    profile = PROFILE_FILES.parse(TEXT.replace("length = 2", "length = 3"), Path("counter.toml"))
    question = DeviceProtocol(profile).query_request("count")
    assert question.raw == b"\x05\x01\x06"
    assert question.read(b"\x07").values == {"count": 7}
    assert question.read(b"\x07\x08") is None


def test_a_codec_is_named_by_module_and_class():
    assert isinstance(load_codec("adapters.serial.codecs.nmea:NmeaCodec"), NmeaCodec)
    assert isinstance(load_codec("adapters.serial.nmea:NmeaCodec"), NmeaCodec), "as profiles of earlier releases name it"
    with pytest.raises(ValueError, match=r"there is no class 'DecodedFrame' in adapters\.serial\.codec"):
        load_codec("adapters.serial.codec:DecodedFrame")


def test_a_codec_of_an_earlier_release_finds_the_class_that_it_returns_under_its_former_name():
    assert Said is DecodedFrame


def test_a_codec_without_requests_raises_an_error_that_says_so():
    with pytest.raises(NotImplementedError, match="NmeaCodec only decodes frames"):
        NmeaCodec().ask("gga", {})


@pytest.mark.parametrize("codec", OURS)
def test_the_examples_are_short(codec):
    source = inspect.getsource(inspect.getmodule(codec))
    assert sum(bool(line.strip()) for line in source.splitlines()) < 140


@pytest.mark.parametrize("codec", OURS)
@given(payload=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_codecs_do_not_raise_for_arbitrary_bytes(codec, payload):
    said = codec().read(payload)
    assert said is None or said.values


def sentence(written):
    return NmeaCodec().read(written.encode()).values


FIX = "173138.000,3145.5214,N,09704.5057,W"
ZEROS = "173138.000,0000.0000,N,00000.0000,E"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (f"GPGGA,{ZEROS},0,00,,,M,,M,,", {"quality": 0, "satellites": 0}),
        (f"GPGGA,{FIX},0,00,99.9,182.2,M,-22.1,M,,0000", {"quality": 0, "satellites": 0}),
        (f"GPGGA,{FIX},0,05,1.9,182.2,M,-22.1,M,,0000", {"quality": 0, "satellites": 5}),
        (f"GPGGA,{FIX},1,00,1.9,182.2,M,-22.1,M,,0000", {"quality": 1, "satellites": 0}),
        (f"GPGGA,{FIX},,,1.9,182.2,M,,M,,", {"quality": None, "satellites": None}),
        (f"GPGGA,{ZEROS},1,04,1.9,0.0,M,,M,,", {"quality": 1, "satellites": 4}),
        ("GPGGA,,,,,,0,00,99.99,,,,,,", {"quality": 0, "satellites": 0}),
        ("GPRMC,173138.000,V,3145.5214,N,09704.5057,W,000.0,000.0,170318,000.0,E,N", {"status": "V"}),
        ("GPRMC,173138.000,V,3145.5214,N,09704.5057,W,000.0,000.0,170318,,", {"status": "V"}),
        ("GPRMC,150449.000,L,4239.5210,N,02318.7727,E,39.75,326.93,040915,,", {"status": "L"}),
        ("GPRMC,173138.000,A,3145.5214,N,09704.5057,W,10.0,9.0,170318,000.0,E,N", {"status": "A"}),
        ("GPRMC,000000.00,A,0.000,N,0.000,E,0.0,0.0,050505,0.0,E", {"status": "A"}),
        ("GPRMC,,V,,,,,,,,,,N", {"status": "V"}),
        ("GPRMC,173138.000,,3145.5214,N,09704.5057,W,10.0,9.0,170318,,,A", {"status": None}),
        ("GPGLL,3145.5214,N,09704.5057,W,173138.000,V,N", {}),
        ("GPGLL,3145.5214,N,09704.5057,W,173138.000,A,N", {}),
        ("GPGLL,0000.0000,N,00000.0000,E,173138.000,A,A", {}),
        ("GPVTG,84.4,T,,M,22.4,N,41.5,K,N", {}),
        (f"GNGNS,{FIX},NN,00,99.9,182.2,-22.1,,", {"satellites": 0}),
        (f"GNGNS,{FIX},NNN,05,1.2,182.2,-22.1,,", {"satellites": 5}),
        (f"GNGNS,{FIX},AN,00,1.2,182.2,-22.1,,", {"satellites": 0}),
    ],
)
def test_without_a_fix_only_what_says_so_is_a_value(written, kept):
    values = sentence(written)
    assert {name: value for name, value in values.items() if name in kept} == kept
    others = {name: value for name, value in values.items() if name not in kept}
    assert others
    assert set(others.values()) == {None}


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        (f"GPGGA,{FIX},6,00,1.9,182.2,M,,M,,", "latitude", 31.75869),  # dead reckoning needs no satellites
        (f"GPGGA,{FIX},8,00,,,M,,M,,", "longitude", -97.075095),
        (f"GPGGA,{FIX},1,,1.9,182.2,M,,M,,", "altitude", 182.2),
        ("GPGGA,1,0000.0000,N,00454.0000,E,1,04,1.9,1.0,M,,M,,", "latitude", 0.0),  # on the equator
        ("GNGNS,1,3145.5214,N,09704.5057,W,NAN,05,1.2,182.2,,,", "latitude", 31.75869),
        ("GNGNS,1,3145.5214,N,09704.5057,W,E,,1.2,182.2,,,", "dilution", 1.2),
        ("GPGLL,3145.5214,N,09704.5057,W,173138.000,A,A", "latitude", 31.75869),
        ("GPGLL,3145.5214,N,09704.5057,W,173138.000,A", "longitude", -97.075095),
        ("GPVTG,84.4,T,,M,22.4,N,41.5,K,A", "speed", 41.485),
        ("GNRMC,115230.00,A,5137.5,N,00010.2,E,4.02,289.09,050524,,,A,V", "speed", 7.445),  # with a navigational status, NMEA 4.1
    ],
)
def test_with_a_fix_of_any_kind_there_are_values(written, name, value):
    assert sentence(written)[name] == value


@pytest.mark.parametrize(
    "written",
    [
        "GPGGA,1,9145.5214,N,09704.5057,W,1,04,1.9,182.2,M,,M,,",
        "GPGGA,1,3165.5214,N,09704.5057,W,1,04,1.9,182.2,M,,M,,",
        "GPGGA,1,3145.5214,N,18104.5057,W,1,04,1.9,182.2,M,,M,,",
        "GPGGA,1,3145.5214,,09704.5057,W,1,04,1.9,182.2,M,,M,,",
        "GPGGA,1,3145.5214,E,09704.5057,W,1,04,1.9,182.2,M,,M,,",
        "GPGGA,1,3145.5-14,N,09704.5057,W,1,04,1.9,182.2,M,,M,,",
        "GPGGA,1,3145.5214,N,09704.5057,W,1,04",
        "GPVTG,84.4,T,,M,22.4,N,41.5,K",  # before NMEA 2.3
        "GPGLL,3145.5214,N,09704.5057,W",
    ],
)
def test_a_sentence_that_cannot_be_right_has_no_values(written):
    assert NmeaCodec().read(written.encode()) is None


@pytest.mark.parametrize(
    ("time", "date", "told"),
    [
        ("235959.00", "311299", "2099-12-31T23:59:59Z"),
        ("000000", "010100", "2000-01-01T00:00:00Z"),
        ("235960", "311216", "2016-12-31T23:59:60Z"),
        ("120000", "290224", "2024-02-29T12:00:00Z"),
        ("120000", "290223", None),
        ("120000", "000000", None),
        ("246000", "010124", None),
    ],
)
def test_a_time_that_does_not_exist_is_no_value(time, date, told):
    assert sentence(f"GPRMC,{time},A,4807.038,N,01131.000,E,022.4,084.4,{date},,")["time"] == told


@pytest.mark.parametrize("kind", ["GGA", "GLL", "GNS", "RMC", "VTG"])
@given(fields=st.lists(st.text(alphabet="0123456789.,NSEWAV-", max_size=12), max_size=16))
def test_the_nmea_codec_does_not_raise_for_arbitrary_fields(kind, fields):
    said = NmeaCodec().read(f"GP{kind},{','.join(fields)}".encode())
    assert said is None or said.name == kind.lower()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"temp=21.5", {"temp": 21.5}),
        (b"Temp (out): -3 ; Hum: 40%", {"Temp (out)": -3, "Hum": 40}),
        (b"a=1 b=2 c=on", {"a": 1, "b": 2, "c": "on"}),
        (b'name="Boiler, left"|ok=false', {"name": "Boiler, left", "ok": False}),
        (b"error=", {"error": None}),
        (b"booting...", None),
        (b"E (1234) wifi: failed to connect to ap", None),
        (b"", None),
    ],
)
def test_lines_are_taken_for_pairs_only_when_they_are_made_of_pairs(line, values):
    said = KeyValueCodec().read(line)
    assert (None if said is None else said.values) == values


WORDS_WITHOUT_A_VALUE = [
    *("nan", "NaN", "NAN", "-nan", "+NaN", "-nan(ind)", "nan(0x8000000000000)"),
    *("inf", "-inf", "+Inf", "INF", "Infinity", "-Infinity", "1.#QNAN", "1.#INF", "-1.#IND", "1.#QNAN0", "ovf"),
    *("null", "NULL", "None", "none", "nil", "undefined", "n/a", "N/A", "NA", "--", "---", "-----", "ERR", "Err"),
]
"""What programs print where they have no number: C, Microsoft's C, Arduino, Python, JavaScript, and people."""


@pytest.mark.parametrize("word", WORDS_WITHOUT_A_VALUE)
def test_words_that_stand_for_no_number_are_no_value_and_no_text(word):
    assert KeyValueCodec().read(f"hum={word}".encode()).values == {"hum": None}
    assert KeyValueCodec().read(f"t=21.5;hum = {word} ; p=1013".encode()).values == {"t": 21.5, "hum": None, "p": 1013}
    assert KeyValueCodec().read(f'hum="{word}"'.encode()).values == {"hum": None}
    assert JsonCodec().read(f'{{"hum": "{word}", "in": {{"t": 1}}}}'.encode()).values == {"hum": None, "in_t": 1}


@pytest.mark.parametrize("written", ["nan %", "nan%", "nan *C", "nan°C", "nan °C", "nanC", "inf kPa", "-nan V", "ovf mA"])
def test_words_that_stand_for_no_number_are_no_value_with_their_unit_either(written):
    assert KeyValueCodec().read(f"hum: {written}, t: 3".encode()).values == {"hum": None, "t": 3}


@pytest.mark.parametrize("written", ["normal", "nano", "infra", "error", "nancy", "off", "A", "x-", "none1"])
def test_other_words_remain_texts(written):
    assert KeyValueCodec().read(f"mode={written}".encode()).values == {"mode": written}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 400])
def test_numbers_that_json_cannot_express_are_no_value(number):
    said = JsonCodec().read(b'{"nan":%b,"deep":{"big":%b}}' % (number.encode(), number.encode()))
    assert said.values == {"nan": None, "deep_big": None}
    assert KeyValueCodec().read(b"t=1e400").values == {"t": None}


@pytest.mark.parametrize("line", [b"[1,2]", b"5", b'"x"', b"{}", b"{", b"[" * 5000])
def test_json_that_is_not_an_object_with_values_is_ignored(line):
    assert JsonCodec().read(line) is None


@pytest.mark.parametrize(
    ("written", "name"),
    [("Temp (out)", "temp_out"), ("batteryLevel", "battery_level"), ("status", "device_status"), ("CO2", "co2"), ("°", "")],
)
def test_names_chosen_by_a_device_become_metric_names(written, name):
    assert metric_name(written) == name


def test_the_number_of_metrics_that_a_device_chooses_is_limited():
    profile = PROFILE_FILES.parse(
        (Path(inspect.getfile(Codec)).parent / "profiles" / "json-lines.toml").read_text("utf-8"), Path("json-lines.toml")
    )
    protocol = DeviceProtocol(profile)
    told = set()
    for number in range(MAX_OPEN_METRICS * 2):
        heard = protocol.read_message(f'{{"noise{number}": 1}}'.encode())
        told |= {reading.metric.name for reading in protocol.readings_of("values", heard, "child", None)}
    assert len(told) == MAX_OPEN_METRICS
