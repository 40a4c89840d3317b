"""Test decoders over time, the search for a parser, and errors of third-party parsers."""

from __future__ import annotations

import logging
import sys
from types import ModuleType

import pytest
from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.advertiser_files import Advertiser, load
from adapters.ble.advertisements.metrics import event, measured
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement
from adapters.ble.advertisements.parser_registry import MAX_UNKNOWN_DEVICES, TRIES, ParserRegistry

MIBEACON, BTHOME = full_uuid("fe95"), full_uuid("fcd2")
BTHOME_KEY = "231d39c1d7cc1ab1aee224cd096db932"
ENCRYPTED_BTHOME = bytes.fromhex("41a47266c95f730011223378237214")


class Scripted:
    """A parser that does what a test says."""

    def __init__(self):
        self.asked = 0

    def parse(self, advertisement, at):
        self.asked += 1
        sent = advertisement.manufacturer_data[0xFFF0]
        if sent == b"?":
            return None
        if sent == b"!":
            raise MalformedAdvertisement("it shouts")
        if sent == b"crash":
            raise KeyError("secret\nplans")
        told = [told for told in [measured("temperature", "°C", float(sent[0]))] if told is not None]
        return ParsedAdvertisement(model="Script", measured=told, events=[event("button", "press")])


@pytest.fixture
def made(monkeypatch):
    """The scripted parsers that were made, in order."""
    made_parsers: list[Scripted] = []

    def make():
        made_parsers.append(Scripted())
        return made_parsers[-1]

    module = ModuleType("scripted_parser")
    module.Scripted = make
    monkeypatch.setitem(sys.modules, "scripted_parser", module)
    return made_parsers


def advertiser(**said):
    known = {
        "name": "scripted",
        "title": "Scripted device",
        "module": "scripted_parser",
        "parser": "Scripted",
        "family": "sensor",
        "source": {"document": "this test", "section": "above", "checked_against": ["this test"]},
        "match": [{"company": [0xFFF0]}],
    }
    return Advertiser.model_validate(known | said)


def heard(sent=b"\x15", address="AA:BB:CC:DD:EE:FF", **more):
    return Advertisement(address=address, manufacturer_data={0xFFF0: sent}, **more)


def bthome(sent, **more):
    return Advertisement(address="54:48:E6:8F:80:A5", name="SBHT-003C", service_data={BTHOME: bytes.fromhex(sent)}, **more)


@pytest.fixture
def ours():
    ticks = iter(range(0, 10**6, 10))
    return ParserRegistry(load(), clock=lambda: float(next(ticks)))


def values(decoded):
    assert decoded is not None
    return dict(zip(decoded.row.names, decoded.values, strict=True))


def test_a_repetition_is_not_decoded_again_whatever_its_signal_strength(made):
    decoder = ParserRegistry([advertiser()]).find_decoder(heard())
    first = decoder.decode(heard(rssi=-60))
    again = [decoder.decode(heard(rssi=-60 - step)) for step in range(20)]
    assert made[-1].asked == 1
    assert values(first) == {"temperature": 21.0, "button": "press"}
    assert all(told is again[0] for told in again)
    assert values(again[0]) == {"temperature": 21.0}


def test_a_name_that_comes_later_makes_no_second_press(made):
    decoder = ParserRegistry([advertiser()]).find_decoder(heard())
    assert decoder.decode(heard()).is_event
    named = decoder.decode(heard(name="Kitchen"))
    assert not named.is_event
    assert values(named) == {"temperature": 21.0}
    assert decoder.decode(heard(b"\x16")).is_event


def test_a_malformed_advertisement_is_counted_and_described_in_one_line(made):
    decoder = ParserRegistry([advertiser()]).find_decoder(heard())
    assert decoder.decode(heard(b"!")) is None
    assert (decoder.problems, decoder.last_problem) == (1, "it shouts")
    assert decoder.decode(heard(b"crash")) is None
    assert decoder.problems == 2
    assert "KeyError" in decoder.last_problem
    assert "\n" not in decoder.last_problem
    assert values(decoder.decode(heard())) == {"temperature": 21.0, "button": "press"}


def test_a_device_that_nothing_understands_costs_less_and_less(made):
    parsers = ParserRegistry([advertiser()])
    for _ in range(1000):
        assert parsers.find_decoder(heard(b"?")) is None
    assert TRIES < sum(parser.asked for parser in made) < 20


def test_a_device_that_was_not_understood_at_first_is_understood_later(made):
    parsers = ParserRegistry([advertiser()])
    for _ in range(100):
        parsers.find_decoder(heard(b"?"))
    found = [parsers.find_decoder(heard(b"\x15")) for _ in range(200)]
    assert any(decoder is not None for decoder in found)
    assert parsers.find_decoder(heard(b"\x15\x15")) is not None


def test_a_beacon_for_which_nothing_better_was_found_is_still_known_as_a_beacon():
    parsers = ParserRegistry.built_in()
    frame = Advertisement(address="AA:BB:CC:DD:EE:FF", service_data={full_uuid("feaa"): bytes.fromhex("20000bf71b33") + bytes(8)})
    known = parsers.find_decoder(frame)
    for _ in range(100):
        assert parsers.find_decoder(frame, above=known.rank) is None
    assert parsers.find_decoder(frame) is not None


def test_the_number_of_remembered_unknown_devices_is_limited(made):
    parsers = ParserRegistry([advertiser()])
    for number in range(MAX_UNKNOWN_DEVICES + 500):
        parsers.find_decoder(heard(b"?", address=number.to_bytes(6).hex(":").upper()))
    assert len(parsers._unknown_devices) == MAX_UNKNOWN_DEVICES


def test_nothing_is_loaded_for_an_advertisement_that_fits_no_device():
    parsers = ParserRegistry(load())
    phone = Advertisement(address="AA:BB:CC:DD:EE:FF", manufacturer_data={0x004C: bytes.fromhex("1005031c6e1f59")})
    assert parsers.find_decoder(phone) is None
    assert not parsers._factories


@pytest.mark.parametrize(
    ("module", "why"),
    [("no_such_library", "No module named"), ("scripted_parser", "has no attribute"), ("broken_parser", "its own bug")],
)
def test_a_parser_that_cannot_be_imported_is_reported_with_its_package(made, monkeypatch, tmp_path, module, why):
    (tmp_path / "broken_parser.py").write_text("raise RuntimeError('its own bug')\n")
    monkeypatch.syspath_prepend(tmp_path)
    parsers = ParserRegistry([advertiser(module=module, parser="Missing", package="scripted-ble")])
    assert parsers.find_decoder(heard()) is None
    assert why in parsers.missing["scripted"]
    assert "scripted-ble" in parsers.missing["scripted"]
    assert parsers.preload("scripted") == parsers.missing["scripted"]


def test_a_specific_parser_is_tried_before_a_generic_one(made):
    generic = advertiser(name="generic", rank=-1, match=[{"company": [0xFFF0], "starts_with": "15"}])
    special = advertiser(name="special")
    more = advertiser(name="more-special", match=[{"company": [0xFFF0], "name": "Kit"}])
    parsers = ParserRegistry([generic, special, more])
    assert parsers.find_decoder(heard()).parser == "special"
    assert parsers.find_decoder(heard(name="KITCHEN")).parser == "more-special"


def test_only_values_of_the_present_advertisement_are_returned(ours):
    sent = [
        "7120980066 7a3e6a8d7cc40d 071003000000",
        "7120980068 7a3e6a8d7cc40d 0910025702",
        "7120980047 7a3e6a8d7cc40d 08100140",
    ]
    plant = [Advertisement(address="C4:7C:8D:6A:3E:7A", service_data={MIBEACON: bytes.fromhex(raw)}) for raw in sent]
    decoder = ours.find_decoder(plant[0])
    assert [values(decoder.decode(one)) for one in plant] == [{"illuminance": 0}, {"conductivity": 599}, {"moisture": 64}]


def test_the_same_button_pressed_twice_is_two_events(ours):
    decoder = ours.find_decoder(bthome("40 00 01 3a 01"))
    presses = [decoder.decode(bthome(sent)) for sent in ("40 00 01 3a 01", "40 00 01 3a 01", "40 00 02 3a 01")]
    assert [told.is_event for told in presses] == [True, False, True]
    assert values(presses[2]) == {"button": "press"}


def test_a_packet_that_comes_late_is_skipped(ours):
    ticks = iter([0.0, 0.0, 1.0, 1.5, 2.0])
    parsers = ParserRegistry(load(), clock=lambda: next(ticks))
    decoder = parsers.find_decoder(bthome("40 00 09 01 64"))
    told = [values(decoder.decode(bthome(sent))) for sent in ("40 00 09 01 64", "40 00 08 01 10", "40 00 0a 01 63")]
    assert told == [{"battery": 100}, {}, {"battery": 99}]


def test_unencrypted_values_of_a_device_with_a_bind_key_are_rejected(ours):
    decoder = ours.find_decoder(bthome("40 02 c4 09"), SecretStr(BTHOME_KEY))
    assert decoder.decode(bthome("40 02 c4 09")) is None
    assert "not encrypted" in decoder.last_problem
    assert values(decoder.decode(bthome(ENCRYPTED_BTHOME.hex()))) == {"temperature": 25.06, "humidity": 50.55}


def test_a_bind_key_that_no_longer_fits_is_reported(ours):
    decoder = ours.find_decoder(bthome(ENCRYPTED_BTHOME.hex()), SecretStr(BTHOME_KEY))
    assert decoder.decode(bthome(ENCRYPTED_BTHOME.hex())).needs == ()
    damaged = [bytes([*ENCRYPTED_BTHOME[:2], step, *ENCRYPTED_BTHOME[3:]]) for step in range(3)]
    needs = [decoder.decode(bthome(sent.hex())).needs for sent in damaged]
    assert needs[0] == ()
    assert "right bind key" in needs[-1][0]


@pytest.mark.parametrize("key", ["", "abc", "zz" * 16, BTHOME_KEY + "00", BTHOME_KEY[:24]])
def test_a_wrong_bind_key_is_refused_without_being_shown(ours, key):
    with pytest.raises(ValueError, match="32 hexadecimal digits") as refusal:
        ours.find_decoder(bthome(ENCRYPTED_BTHOME.hex()), SecretStr(key))
    assert not key or key not in str(refusal.value)


def test_damaged_and_undecipherable_advertisements_leave_the_log_alone(ours, caplog):
    with caplog.at_level(logging.INFO):
        decoder = ours.find_decoder(bthome(ENCRYPTED_BTHOME.hex()), SecretStr("00" * 16))
        for step in range(20):
            decoder.decode(bthome(ENCRYPTED_BTHOME.hex() + bytes([step]).hex()))
        probe = Advertisement(address="AA:BB:CC:DD:EE:FF", name="TP972S", manufacturer_data={1: b"nonsense"})
        ours.find_decoder(probe).decode(probe)
    assert caplog.records == []


def test_the_family_is_determined_by_the_metrics_of_several_advertisements(ours):
    def sensor(sent):
        return Advertisement(address="54:48:E6:8F:80:A5", name="Mine", service_data={BTHOME: bytes.fromhex(sent)})

    decoder = ours.find_decoder(sensor("40 01 64"))
    families = [decoder.decode(sensor(sent)).family for sent in ("40 01 64", "40 02 c4 09", "40 01 63")]
    assert families == ["sensor", "climate-sensor", "climate-sensor"]


def test_the_firmware_is_kept_although_not_each_advertisement_tells_it(ours):
    told = ["40 02 c4 09 f2 00 01 06", "40 02 c5 09"]
    decoder = ours.find_decoder(bthome(told[0]))
    assert [decoder.decode(bthome(sent)).firmware_version for sent in told] == ["6.1.0", "6.1.0"]
