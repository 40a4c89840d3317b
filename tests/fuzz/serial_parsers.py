"""The parsers of the serial adapter: framers and protocols of each profile, codecs, templates, probes, log-in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from fuzzed_parser import FuzzedParser, check_text, check_values
from hostile_inputs import cached, chunks_of, damaged, texts
from hypothesis import strategies as st

from adapters.serial.codec import Codec, DecryptionKeys
from adapters.serial.codecs.free_text import JsonCodec, KeyValueCodec
from adapters.serial.codecs.nmea import NmeaCodec
from adapters.serial.codecs.obis import ObisCodec
from adapters.serial.discovery.identity import BusLocation, found_device, parse_address
from adapters.serial.discovery.pjlink_search import mac_in
from adapters.serial.discovery.probing import ProtocolProbe
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.notation import hex_bytes, text_bytes
from adapters.serial.port.telnet import MAX_NEGOTIATION, TelnetOptions
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol
from adapters.serial.profile.template import Template
from adapters.serial.session.echo_filter import EchoFilter, PromptFilter
from gateway.testing.serial import P1Meter

AT = datetime(2026, 3, 1, tzinfo=UTC)
CASES = Path(__file__).parents[1] / "adapters" / "serial" / "cases"
LONG_AGO = 1e9


@cache
def _profiles() -> dict[str, Profile]:
    return PROFILE_FILES.load()


@cache
def _recorded(profile: str) -> tuple[bytes, ...]:
    """Return what recorded devices with this profile send."""
    sent: list[bytes] = []
    for file in sorted(CASES.glob(f"{profile}/*/device.toml")):
        case = tomllib.loads(file.read_text(encoding="utf-8"))
        written = [*case.get("answers", {}).values(), *case.get("answers", {})]
        read = _binary if _is_binary(profile) else text_bytes
        sent += [read(one) for one in written]
        talks = [read(one) for one in case.get("talks", [])]
        sent += [*talks[:6], b"".join(talks)]
    return tuple(sent)


def _is_binary(profile: str) -> bool:
    return _profiles()[profile].notation == "binary"


def _binary(written: str) -> bytes:
    try:
        return hex_bytes(written)
    except ValueError:
        return text_bytes(written)


def _talk(name: str, pieces: list[bytes]) -> None:
    """Feed a framer with what arrives, and read each frame as an answer to each query and as a message."""
    protocol = DeviceProtocol(_profiles()[name])
    framer = framer_for(protocol.profile.framing, starts_mid_frame=len(pieces) % 2 == 0)
    frames = []
    for number, piece in enumerate(pieces):
        frames += framer.feed(piece, number * 0.01)
        assert len(framer.pending) <= protocol.profile.framing.longest + 600, "the framer keeps more than one frame"
    frames += framer.expire(LONG_AGO)
    check_text(str(framer.discards))
    for frame in frames:
        _read_frame(protocol, frame.payload)


def _read_frame(protocol: DeviceProtocol, payload: bytes) -> None:
    profile = protocol.profile
    address = None if profile.addresses is None else profile.addresses.usual[0]
    for query in profile.queries:
        answer = protocol.query_request(query.name, address).read(payload)
        if answer is not None:
            check_text(answer.refusal)
            if answer.refusal is None:
                _check_readings(protocol.readings_of(query.name, answer, "child", AT))
    message = protocol.read_message(payload)
    if message is not None:
        _check_readings(protocol.readings_of(message.name, message, "child", AT))


def _check_readings(readings: list[Any]) -> None:
    check_values(reading.value for reading in readings)
    for reading in readings:
        check_text(reading.metric.name)
        check_text(reading.metric.unit)


def _read_codec(codec: Codec, payload: bytes) -> None:
    decoded = codec.read(payload)
    if decoded is not None:
        check_text(decoded.name)
        check_values(value for value in decoded.values.values() if not isinstance(value, str))  # the protocol cleans texts
        for text in (*decoded.values, *decoded.units, *decoded.units.values()):
            assert isinstance(text, str)


def _probe(given: tuple[str | None, list[bytes]]) -> None:
    name, received = given
    profiles = _profiles()
    steps, at = ProtocolProbe(profiles.values(), None if name is None else profiles[name]).run(), 0
    try:
        step = next(steps)
        while True:
            sent = received[at % len(received)] if received else b""
            step.is_complete(sent)
            at += 1
            assert at < 5000, "the probe does not end"
            step = steps.send(sent)
    except StopIteration as end:
        result = end.value
        for text in (*result.facts.values(), *result.evidence.values()):
            check_text(text)
        if result.profile is not None:
            found = found_device(BusLocation("serial", "/dev/ttyUSB0"), result.profile, result)
            check_text(found.identity.key)
            check_text(found.name)


TEMPLATES = (
    *(
        "%1POWR {power}",
        "S S {weight:10f} {unit}",
        "ka {id:hex2} ff",
        "{a:/[A-Z]+/}x{b:.2f}{checksum:xor[1:]}",
        "{{{a:*}}}",
        "{x:d?}",
        r'L {a_#:/(\d+) ([\d.]+)/f by ";"}',
        r"{v:/\d+/d}-{w:/[\d.]+/f}",
    ),
    *(
        "11 {id:u8} 01 {value:u8}",
        "FF {_:u8} 03 'A' 0B {serial:ascii*}",
        "AA {on:flag,_:3b,mode:4b} {checksum:crc16-modbus:le}",
        "?? {v:f32le}",
    ),
)


def _template(given: tuple[str, str, list[bytes]]) -> None:
    written, kind, payloads = given
    template = Template.parse(written, kind, ignore_case=len(written) % 2 == 0)
    for payload in payloads:
        check_values((template.match(payload) or {}).values())


def _telnet(pieces: list[bytes]) -> None:
    options = TelnetOptions()
    for piece in pieces:
        received = options.received(piece)
        assert len(received.data) <= sum(map(len, pieces))
        assert len(received.answer) % 3 == 0
        assert len(options._rest) <= MAX_NEGOTIATION


def _echoes(pieces: list[bytes]) -> None:
    for setting in (None, True, False):
        echo, prompts = EchoFilter(setting), PromptFilter(b"=>")
        for piece in pieces:
            echo.request_sent(b"S\r\n")
            rest = echo.strip_echo(piece)
            list(prompts.split(rest, is_between=lambda rest=rest: len(rest) % 2 == 0))
            echo.is_late_echo(piece)
            echo.answer_received()
            echo.release_swallowed()


def _profile_parsers() -> Iterator[FuzzedParser]:
    for name in sorted(_profiles()):
        yield FuzzedParser(
            name=f"serial: bytes of {name}",
            inputs=cached(lambda name=name: chunks_of(damaged([b"".join(_recorded(name)), *_recorded(name)], most=3000))),
            parse=partial(_talk, name),
        )


NMEA = (
    b"GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,",
    b"GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W",
    b"GNGNS,115230.00,5137.5,N,00010.2,E,AN,05,1.2,182.2,,,",
    b"GPGLL,3145.5214,N,09704.5057,W,173138.000,A,A",
    b"GPVTG,84.4,T,,M,22.4,N,41.5,K,A",
)
OBIS = (b"/KFM5KAIFA-METER\r\n\r\n1-0:1.8.1(001581.123*kWh)\r\n0-1:24.1.0(003)\r\n0-1:24.2.1(161113190000W)(001591.981*m3)\r\n",)
KEYS = DecryptionKeys(bytes(16), bytes(16))


def _encrypted() -> tuple[bytes, ...]:
    """Return two encrypted telegrams and one in plain text between them, as one meter sends them."""
    meter = P1Meter(country="lu", decryption_key=KEYS.decryption, clock=lambda: 0.0)
    return meter.unsolicited(), meter.telegram(), meter.unsolicited()


KEY_VALUES = (b'temperature=21.5 \xc2\xb0C, humidity: 40; name="roof";on=true', b"a=1e5,b=-.5")
JSON = (
    b'{"temperature": 21.5, "wind": {"speed": 3, "dir": "N"}, "on": true}',
    b'{"a": NaN, "b": 1e999, "c": -Infinity, "d": "\\ud800"}',
)

PARSERS = (
    *_profile_parsers(),
    FuzzedParser(name="serial: NMEA sentences", inputs=cached(lambda: damaged(NMEA)), parse=partial(_read_codec, NmeaCodec())),
    FuzzedParser(name="serial: OBIS telegrams", inputs=cached(lambda: damaged(OBIS)), parse=partial(_read_codec, ObisCodec())),
    FuzzedParser(
        name="serial: encrypted telegrams",
        inputs=cached(lambda: damaged(_encrypted(), most=1500)),
        parse=partial(_read_codec, ObisCodec(KEYS)),
    ),
    FuzzedParser(
        name="serial: bytes of an encrypted meter",
        inputs=cached(lambda: chunks_of(damaged([b"".join(_encrypted()), *_encrypted()], most=3000))),
        parse=partial(_talk, "dsmr-p1"),
    ),
    FuzzedParser(
        name="serial: names and values", inputs=cached(lambda: damaged(KEY_VALUES)), parse=partial(_read_codec, KeyValueCodec())
    ),
    FuzzedParser(name="serial: JSON lines", inputs=cached(lambda: damaged(JSON)), parse=partial(_read_codec, JsonCodec())),
    FuzzedParser(
        name="serial: identification of a device",
        inputs=cached(
            lambda: st.tuples(
                st.none() | st.sampled_from(sorted(_profiles())),
                st.lists(damaged([one for name in _profiles() for one in _recorded(name)]), max_size=5),
            )
        ),
        parse=_probe,
    ),
    FuzzedParser(
        name="serial: templates of a profile",
        inputs=cached(
            lambda: st.tuples(
                st.sampled_from(TEMPLATES)
                | damaged([one.encode() for one in TEMPLATES], most=60).map(lambda raw: raw.decode("latin-1"))
                | texts().map(lambda text: text.encode("utf-8", "replace").decode()),
                st.sampled_from(["text", "binary"]),
                st.lists(damaged([b"%1POWR 1", b"S S      12.50 g", b"\x11\x01\x01\x02"]), max_size=3),
            )
        ),
        parse=_template,
        errors=(ValueError,),
    ),
    FuzzedParser(
        name="serial: echoes and prompts",
        inputs=cached(lambda: st.lists(damaged([b"S\r\n", b"S\r\nS S 1 g\r\n=>"]), max_size=6)),
        parse=_echoes,
    ),
    FuzzedParser(
        name="serial: options of Telnet",
        inputs=cached(lambda: chunks_of(damaged([b"\xff\xfd\x01\xff\xfb\x03Welcome\r\n", b"\xff\xfa\x18\x01\xff\xf0\xff\xff"]))),
        parse=_telnet,
    ),
    FuzzedParser(
        name="serial: answer to a search",
        inputs=cached(lambda: damaged([b"%2ACKN=00:1B:C5:00:B0:01\r", b"%2ackn=001bc500b001"], most=80)),
        parse=mac_in,
        errors=(ValueError,),
    ),
    FuzzedParser(
        name="serial: remembered address", inputs=cached(lambda: texts() | st.just("samsung-mdc/1")), parse=parse_address
    ),
)
