"""The parsers of the Bluetooth adapter: advertisements of each maker, values of characteristics, the device information."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from fuzzed_parser import FuzzedParser, check_text, check_values
from hostile_inputs import NASTY_TEXTS, cached, damaged
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement, address_kind, full_uuid
from adapters.ble.advertisements.advertiser_files import Advertiser, load
from adapters.ble.advertisements.device_decoder import DecodedAdvertisement
from adapters.ble.advertisements.formats import FLOATS, INTEGERS, MEDFLOATS, Encoding, Flags, Format, decode
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.advertisements.special_formats import NotInPayload, PayloadTooShort
from adapters.ble.discovery.tracker import Tracker
from adapters.ble.profile.answer_frames import AnswerAssembler, AnswerRule
from adapters.ble.profile.device_information import information_paths, information_requests, parse_information
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.read_plan import expected_services, plan_reads
from adapters.ble.profile.standard_services import profile_for
from adapters.ble.settings import BleSettings

AT = datetime(2026, 3, 1, tzinfo=UTC)
TESTS = Path(__file__).parents[1]
ADVERTISERS = {advertiser.name: advertiser for advertiser in load()}
RADIO_BYTES = 250
"""The longest data of an extended advertisement that radios pass on."""


@cache
def _heard() -> dict[str, list[tuple[Advertisement, str | None]]]:
    """Return the recorded advertisements by the parser that decodes them, with the key of those that are encrypted."""
    heard: dict[str, list[tuple[Advertisement, str | None]]] = {}
    for file in sorted((TESTS / "adapters" / "ble" / "adverts").glob("*/*.toml")):
        case = tomllib.loads(file.read_text(encoding="utf-8"))
        for one in case["heard"]:
            advertisement = Advertisement(
                address=one["address"],
                name=one.get("name"),
                rssi=-60,
                manufacturer_data={int(key, 0): bytes.fromhex(sent) for key, sent in one.get("manufacturer_data", {}).items()},
                service_data={full_uuid(uuid): bytes.fromhex(sent) for uuid, sent in one.get("service_data", {}).items()},
                service_uuids=tuple(map(full_uuid, one.get("service_uuids", []))),
            )
            heard.setdefault(case["expected"]["parser"], []).append((advertisement, case.get("bind_key")))
    return heard


def _names(known: str | None) -> st.SearchStrategy[str | None]:
    received = st.text(st.characters(codec="utf-8"), max_size=40)  # BlueZ passes only UTF-8 on
    return st.just(known) | st.none() | received | st.sampled_from([one for one in NASTY_TEXTS if "\ud800" not in one])


@st.composite
def _advertisements(draw: DrawFn, advertiser: str) -> tuple[str | None, list[Advertisement]]:
    known, key = draw(st.sampled_from(_heard()[advertiser]))
    match = draw(st.sampled_from(ADVERTISERS[advertiser].match))
    heard = []
    for _ in range(draw(st.integers(1, 3))):
        manufacturer_data = {company: draw(damaged([raw]))[:RADIO_BYTES] for company, raw in known.manufacturer_data.items()}
        service_data = {uuid: draw(damaged([raw]))[:RADIO_BYTES] for uuid, raw in known.service_data.items()}
        if draw(st.integers(0, 3)) == 0:
            company = draw(st.sampled_from(match.company or (0xFFFF,)))
            manufacturer_data[company] = (match.starts_with + draw(st.binary(max_size=60)))[:RADIO_BYTES]
        heard.append(
            Advertisement(
                address=known.address,
                is_random=draw(st.sampled_from([None, True, False])),
                name=draw(_names(known.name)),
                rssi=draw(st.none() | st.integers(-128, 127)),
                manufacturer_data=manufacturer_data,
                service_data=service_data,
                service_uuids=known.service_uuids,
            )
        )
    return draw(st.sampled_from([key, None, "00" * 16])), heard


def _registry(advertisers: tuple[Advertiser, ...]) -> ParserRegistry:
    return ParserRegistry(advertisers, clock=partial(next, map(float, itertools.count(0, 10))))


@cache
def _parsers(advertiser: str) -> ParserRegistry:
    return _registry((ADVERTISERS[advertiser],))


def _decode(advertiser: str, given: tuple[str | None, list[Advertisement]]) -> None:
    key, heard = given
    registry = _parsers(advertiser)
    try:
        decoder = registry.find_decoder(heard[0], None if key is None else SecretStr(key))
    except ValueError:  # the key is not one of such a device
        decoder = registry.find_decoder(heard[0])
    for advertisement in heard if decoder is not None else ():
        decoded = decoder.decode(advertisement)
        check_text(decoder.last_problem)
        if decoded is not None:
            _check_decoded(decoded)


def _check_decoded(decoded: DecodedAdvertisement) -> None:
    check_values(decoded.values)
    for one in fields(decoded):
        value = getattr(decoded, one.name)
        if one.name not in {"row", "values", "needs", "evidence", "is_event"}:
            assert value is None or isinstance(value, str), f"{one.name} is {value!r}"
            check_text(value)
    assert len(decoded.row.names) == len(decoded.values)
    for text in (*decoded.evidence.values(), *decoded.row.names, *decoded.needs):
        check_text(text)


@st.composite
def _any_heard(draw: DrawFn) -> list[tuple[str, Advertisement]]:
    """Return advertisements of several devices, as a radio receives them, each with its address."""
    addresses = st.sampled_from(["AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02", "7F:00:00:00:00:03"])
    return draw(
        st.lists(
            st.tuples(addresses, st.sampled_from(sorted(_heard())).flatmap(_advertisements).map(lambda given: given[1][0])),
            max_size=6,
        )
    )


def _track(heard: list[tuple[str, Advertisement]]) -> None:
    tracker = Tracker(BleSettings(type="ble"), _all_parsers(), lambda _address: None)
    for number, (address, one) in enumerate(heard):
        values = {field.name: getattr(one, field.name) for field in fields(one)} | {"address": address}
        advertisement = Advertisement(**values)
        address_kind(advertisement.address, advertisement.is_random)
        device = tracker.receive(advertisement, float(number))
        if device is not None:
            check_text(device.problem)


@cache
def _all_parsers() -> ParserRegistry:
    return _registry(tuple(ADVERTISERS.values()))


@st.composite
def _encodings(draw: DrawFn) -> tuple[Encoding, bytes]:
    number = draw(st.sampled_from(Format))
    is_scaled = number in {*INTEGERS, *FLOATS, *MEDFLOATS} and draw(st.booleans())
    encoding = Encoding(
        format=number,
        at=draw(st.integers(0, 20)),
        length=draw(st.none() | st.integers(1, 30)),
        big_endian=draw(st.booleans()),
        scale=draw(st.sampled_from([1.0, 0.1, 0.01, 1000.0, 1 / 3])) if is_scaled else 1.0,
        offset=draw(st.sampled_from([0.0, -40.0])) if is_scaled else 0.0,
        not_available=draw(st.sampled_from([frozenset(), frozenset({0xFFFF, -1, 0})])),
        flags=draw(st.sampled_from([None, Flags(present=1, before={0: 2, 3: 7}), Flags(at=3, present=40), Flags(at_least=2)])),
    )
    return encoding, draw(
        damaged([b"\x01\x02\x03\x04\x05\x06\x07\x08" * 4, b"2.0\0\0", b"\xff" * 40, b"\x07\xea\x03\x01\x0c\0\0"])
    )


@cache
def _profiles():
    standard = [profile_for([full_uuid(digits)]) for digits in ("1805", "1808", "1809", "180d", "180f", "1810", "181a", "181d")]
    return [*PROFILE_FILES.load().values(), *filter(None, standard)]


def _decode_profile(given: tuple[int, list[bytes]]) -> None:
    number, payloads = given
    profile = _profiles()[number % len(_profiles())]
    services = expected_services(profile)
    plan = plan_reads(profile, profile.group_seconds, services)
    for reader, payload in zip((*plan.reads, *plan.subscriptions, *plan.answers), itertools.cycle(payloads or [b""])):
        try:
            check_values(reading.value for reading in reader.decode(payload, "child", AT))
        except PayloadTooShort as error:
            check_text(str(error))
    paths = information_paths(profile, services)
    answers = dict(zip(information_requests(profile), itertools.cycle(payloads or [b""])))
    told = parse_information(profile, dict(zip(paths, itertools.cycle(payloads or [b""]))), answers)
    for field in fields(told):
        value = getattr(told, field.name)
        for text in value.values() if field.name == "evidence" else (value,):
            check_text(text)


@cache
def _captured_answers() -> list[tuple[AnswerRule, bytes]]:
    """Return the rule of each request, with what a device sent after it."""
    answers, profiles = [], PROFILE_FILES.load()
    for file in sorted((TESTS / "adapters" / "ble" / "cases").glob("*/*/device.toml")):
        sent = tomllib.loads(file.read_text(encoding="utf-8")).get("answers", {})
        rules = {request.name: request.answer for request in profiles[file.parents[1].name].requests}
        answers += [(rules[name], bytes.fromhex(written)) for name, written in sent.items()]
    return answers


@st.composite
def _notifications(draw: DrawFn) -> tuple[AnswerRule, list[bytes]]:
    rule, sent = draw(st.sampled_from(_captured_answers()))
    size = draw(st.integers(1, RADIO_BYTES))
    stream = b"".join(draw(st.lists(damaged([sent, sent[: len(sent) // 2]]), min_size=1, max_size=4)))
    return rule, [stream[at : at + size] for at in range(0, len(stream), size)]


def _put_together(given: tuple[AnswerRule, list[bytes]]) -> None:
    rule, notifications = given
    assembler = AnswerAssembler(rule)
    for notification in notifications:
        answer = assembler.feed(notification)
        assert answer is None or answer.refusal or answer.content.startswith(rule.starts_with)


def _advertiser_parsers() -> Iterator[FuzzedParser]:
    for name in sorted(_heard()):
        yield FuzzedParser(
            name=f"bluetooth: advertisements, {name}", inputs=cached(partial(_advertisements, name)), parse=partial(_decode, name)
        )


PARSERS = (
    *_advertiser_parsers(),
    FuzzedParser(name="bluetooth: advertisements of several devices", inputs=cached(_any_heard), parse=_track),
    FuzzedParser(
        name="bluetooth: value of a characteristic",
        inputs=cached(_encodings),
        parse=lambda given: check_values([decode(*given)]),
        errors=(NotInPayload,),
    ),
    FuzzedParser(name="bluetooth: answers in notifications", inputs=cached(_notifications), parse=_put_together),
    FuzzedParser(
        name="bluetooth: profiles and device information",
        inputs=cached(
            lambda: st.tuples(st.integers(0, 100), st.lists(damaged([b"\x01\x02\x03\x04" * 8, b"ACME"], most=512), max_size=8))
        ),
        parse=_decode_profile,
    ),
)
