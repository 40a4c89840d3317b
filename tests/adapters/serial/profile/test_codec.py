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
    assert sum(bool(line.strip()) for line in source.splitlines()) < 100


@pytest.mark.parametrize("codec", OURS)
@given(payload=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_codecs_do_not_raise_for_arbitrary_bytes(codec, payload):
    said = codec().read(payload)
    assert said is None or said.values


@pytest.mark.parametrize("kind", ["GGA", "RMC"])
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
