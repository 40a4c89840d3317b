"""Test the parsers with each case in `adverts/`, whole or damaged."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.advertiser_files import load
from adapters.ble.advertisements.device_decoder import DecodedAdvertisement, DeviceDecoder
from adapters.ble.advertisements.layouts import LayoutParser
from adapters.ble.advertisements.parser_registry import ParserRegistry
from gateway.adapter import Metric

ADVERTS = Path(__file__).parents[1] / "adverts"
ADVERTISERS = {advertiser.name: advertiser for advertiser in load()}


@dataclass(frozen=True)
class Case:
    """What was heard of a device, and what it says in the last of these advertisements."""

    heard: list[Advertisement]
    bind_key: str | None
    source: str
    told: dict[str, Any] = field(repr=False)
    values: dict[str, Any] = field(repr=False)
    units: dict[str, str] = field(repr=False)

    @property
    def key(self) -> SecretStr | None:
        return None if self.bind_key is None else SecretStr(self.bind_key)


def read_case(file: Path) -> Case:
    said = tomllib.loads(file.read_text(encoding="utf-8"))
    told = said["expected"]
    values = told.pop("values", {}) | dict.fromkeys(told.pop("not_available", []))
    told = {"needs": [], "is_event": False, "serial_number": None, "firmware_version": None, "manufacturer": None} | told
    heard = [
        Advertisement(
            address=one["address"],
            name=one.get("name"),
            rssi=-60,
            manufacturer_data={int(key, 0): bytes.fromhex(sent) for key, sent in one.get("manufacturer_data", {}).items()},
            service_data={full_uuid(uuid): bytes.fromhex(sent) for uuid, sent in one.get("service_data", {}).items()},
            service_uuids=tuple(map(full_uuid, one.get("service_uuids", []))),
        )
        for one in said["heard"]
    ]
    return Case(heard, said.get("bind_key"), said["source"], told, values, told.pop("units", {}))


CASES = {f"{file.parent.name}/{file.stem}": read_case(file) for file in sorted(ADVERTS.glob("*/*.toml"))}


@pytest.fixture(scope="module")
def parsers():
    ticks = iter(range(0, 10**9, 10))
    return ParserRegistry(ADVERTISERS.values(), clock=lambda: float(next(ticks)))


def decoded(parsers: ParserRegistry, case: Case) -> tuple[DeviceDecoder, DecodedAdvertisement]:
    decoder = parsers.find_decoder(case.heard[0], case.key)
    assert decoder is not None
    *_, last = [decoder.decode(advertisement) for advertisement in case.heard]
    assert last is not None, decoder.last_problem
    return decoder, last


@pytest.mark.parametrize("name", CASES)
def test_an_advertisement_is_decoded_as_its_source_documents(parsers, name):
    case = CASES[name]
    decoder, told = decoded(parsers, case)
    assert {fact: getattr(told, fact) for fact in case.told} == case.told | {"needs": tuple(case.told["needs"])}
    assert dict(zip(told.row.names, told.values, strict=True)) == case.values
    assert {metric.name: metric.unit for metric in told.row.metrics if metric.unit} == case.units
    assert all(metric.urgent for metric, value in zip(told.row.metrics, told.values, strict=True) if isinstance(value, bool))
    assert (decoder.problems, decoder.parser) == (0, told.parser)


@pytest.mark.parametrize("name", CASES)
def test_the_evidence_contains_the_received_bytes_but_never_the_key(parsers, name):
    case = CASES[name]
    _, told = decoded(parsers, case)
    sent = [*case.heard[0].manufacturer_data.values(), *case.heard[0].service_data.values()]
    assert {raw.hex(" ") for raw in sent} <= set(told.evidence.values())
    assert told.evidence["decoded by"]
    assert case.bind_key is None or case.bind_key not in f"{told} {vars(parsers)}"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if len(case.heard) == 1])
def test_events_are_reported_once_and_values_each_time(parsers, name):
    case = CASES[name]
    decoder, first = decoded(parsers, case)
    again = decoder.decode(case.heard[0])
    renamed = decoder.decode(Advertisement(**{**fields(case.heard[0]), "service_uuids": ("x",)}))
    assert again is not None
    assert not again.is_event
    assert renamed is None or not renamed.is_event
    measured = dict(zip(first.row.metrics, first.values, strict=True))
    told = dict(zip(again.row.metrics, again.values, strict=True))
    assert told.items() <= measured.items()
    assert first.is_event or told == measured


def fields(advertisement: Advertisement) -> dict[str, Any]:
    return {name: getattr(advertisement, name) for name in Advertisement.__slots__}


@pytest.mark.parametrize("name", CASES)
def test_a_device_that_one_parser_identifies_is_claimed_by_no_other(parsers, name):
    case = CASES[name]
    own = case.told["parser"]
    rank = ADVERTISERS[own].rank
    others = [
        (other, found.model)
        for other in ADVERTISERS
        if other != own and ADVERTISERS[other].rank >= rank
        for decoder in [ParserRegistry([ADVERTISERS[other]]).find_decoder(case.heard[0])]
        if decoder is not None and (found := decoder.decode(case.heard[0])) is not None
    ]
    assert others == []


BY_LAYOUT = [name for name, case in CASES.items() if ADVERTISERS[case.told["parser"]].layouts]


@pytest.mark.parametrize("name", BY_LAYOUT)
def test_data_that_was_cut_never_tells_another_value_than_the_whole_data(name):
    case = CASES[name]
    advertiser = ADVERTISERS[case.told["parser"]]
    whole = LayoutParser(advertiser.layouts).parse(case.heard[0], 0.0)
    assert whole is not None
    right = [*whole.measured, *whole.events]
    for one in cut(case.heard[0]):
        decoder = DeviceDecoder(advertiser, LayoutParser(advertiser.layouts), {}, lambda: 0.0)
        told = decoder.decode(one)
        assert told is None or set(zip(told.row.metrics, told.values, strict=True)) <= set(right)


def cut(advertisement: Advertisement) -> Iterator[Advertisement]:
    """Yield the advertisement with each of its data cut behind each of its bytes."""
    for kind in ("manufacturer_data", "service_data"):
        sent = getattr(advertisement, kind)
        for key, data in sent.items():
            for length in range(len(data)):
                yield Advertisement(**{**fields(advertisement), kind: {**sent, key: data[:length]}})


def test_every_advertiser_has_a_case_and_there_are_many_models():
    assert {case.told["parser"] for case in CASES.values()} == set(ADVERTISERS)
    assert len({(case.told["manufacturer"], case.told["sub_model"]) for case in CASES.values()}) >= 50
    assert all(len(case.source) > 10 for case in CASES.values())


def check(told: DecodedAdvertisement | None) -> None:
    if told is None:
        return
    assert len(set(told.row.names)) == len(told.row.names) == len(told.values)
    assert "status" not in told.row.names
    for metric, value in zip(told.row.metrics, told.values, strict=True):
        assert isinstance(metric, Metric)
        assert type(value) in {bool, int, float, str, type(None)}
        assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(value, str) or value.isprintable()
    texts = (told.name, told.model, told.manufacturer, told.sub_model, told.firmware_version)
    assert all(text is None or text.isprintable() for text in texts)


BYTES = st.binary(max_size=32)


@st.composite
def damaged(draw: st.DrawFn, sent: bytes) -> bytes:
    """Return bytes that were cut, lengthened or changed somewhere."""
    whole = bytearray(sent)
    for _ in range(draw(st.integers(0, 3))):
        if whole:
            whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(whole)) | st.just(len(whole)))
    return bytes(whole[:cut]) + draw(st.just(b"") | BYTES)


@st.composite
def damaged_cases(draw: st.DrawFn) -> tuple[Case, list[Advertisement]]:
    """Return a device, and what is heard of it where the radio is bad."""
    case = CASES[draw(st.sampled_from(sorted(CASES)))]
    heard = []
    for _ in range(draw(st.integers(1, 4))):
        one = fields(draw(st.sampled_from(case.heard)))
        one["manufacturer_data"] = {company: draw(damaged(sent)) for company, sent in one["manufacturer_data"].items()}
        one["service_data"] = {uuid: draw(damaged(sent)) for uuid, sent in one["service_data"].items()}
        one["name"] = draw(st.just(one["name"]) | st.none() | st.text(max_size=12))
        one["rssi"] = draw(st.integers(-127, 20) | st.none())
        heard.append(Advertisement(**one))
    return case, heard


@settings(deadline=None, max_examples=400)
@given(damaged_cases())
def test_a_damaged_advertisement_raises_no_error_and_yields_only_valid_values(drawn):
    case, heard = drawn
    parsers = ParserRegistry(ADVERTISERS.values())
    decoder = parsers.find_decoder(case.heard[0], case.key)
    assert decoder is not None
    for advertisement in heard:
        check(decoder.decode(advertisement))
        if (other := parsers.find_decoder(advertisement, case.key)) is not None:
            check(other.decode(advertisement))
    assert decoder.problems == 0 or decoder.last_problem


COMPANIES = sorted({company for case in CASES.values() for heard in case.heard for company in heard.manufacturer_data})
SERVICES = sorted(
    {uuid for case in CASES.values() for heard in case.heard for uuid in (*heard.service_data, *heard.service_uuids)}
)
NAMES = sorted({heard.name for case in CASES.values() for heard in case.heard if heard.name})


@settings(deadline=None, max_examples=400)
@given(
    st.binary(min_size=6, max_size=6),
    st.none() | st.sampled_from(NAMES) | st.text(max_size=20),
    st.dictionaries(st.sampled_from(COMPANIES) | st.integers(0, 0xFFFF), BYTES, max_size=3),
    st.dictionaries(st.sampled_from(SERVICES), BYTES, max_size=3),
    st.lists(st.sampled_from(SERVICES), max_size=3),
)
def test_any_advertisement_yields_only_valid_values(parsers, raw, name, manufacturer_data, service_data, service_uuids):
    heard = Advertisement(
        address=raw.hex(":").upper(),
        name=name,
        manufacturer_data=manufacturer_data,
        service_data=service_data,
        service_uuids=tuple(service_uuids),
    )
    decoder = parsers.find_decoder(heard)
    if decoder is not None:
        check(decoder.decode(heard))
        assert decoder.decode(heard) is decoder.decode(heard)
