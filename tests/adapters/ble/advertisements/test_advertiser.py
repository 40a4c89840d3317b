"""Claims about the files in `advertisers/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.advertiser import OURS, AdvertiserError, Match, load, parse

WHOLE = """
name = "acme"
title = "ACME thermometer"
module = "acme_ble"
parser = "Acme"
family = "climate-sensor"

[source]
document = "ACME protocol"
section = "1"
checked_against = ["a capture"]

[[match]]
company = [0x1234]
"""


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('family = "climate-sensor"', "", "family: Field required"),
        ("company = [0x1234]", "", "match.0: a match without a condition"),
        ("company = [0x1234]", 'name = "a"\nstarts_with = "00"', "said of the data of a `company`"),
        ("company = [0x1234]", 'service = "fcd"', "no uuid"),
        ("company = [0x1234]", 'company = [1]\nstarts_with = "0x"', "match.0.starts_with"),
        ('family = "climate-sensor"', 'family = "x"\nmodel = "always"', "{model}"),
        ('family = "climate-sensor"', 'family = "x"\nprotocol = "("', "not a regular expression"),
        ('family = "climate-sensor"', 'family = "x"\ncolour = "red"', "colour: Extra inputs"),
        ('name = "acme"', 'name = "other"', "name and file must agree"),
        ('name = "acme"', "name = ", "Invalid value"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(was, becomes, told):
    with pytest.raises(AdvertiserError) as refusal:
        parse(WHOLE.replace(was, becomes), Path("acme.toml"))
    assert told in str(refusal.value)
    assert str(refusal.value).startswith("acme.toml: ")


def test_adding_a_file_adds_a_parser(tmp_path):
    (tmp_path / "acme.toml").write_text(WHOLE)
    (tmp_path / "ruuvi.toml").write_text(WHOLE.replace('"acme"', '"ruuvi"'))
    names = {advertiser.name: advertiser for advertiser in load([OURS, tmp_path])}
    assert names["acme"].family == "climate-sensor"
    assert names["ruuvi"].module == "acme_ble"
    with pytest.raises(AdvertiserError, match="no such folder"):
        load([tmp_path / "nowhere"])


HEARD = Advertisement(
    address="AA:BB:CC:DD:EE:FF",
    name="Thing 1",
    manufacturer_data={1: b"\x02\x15abc"},
    service_data={full_uuid("fcd2"): b""},
    service_uuids=(full_uuid("180a"),),
)


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({"company": [1, 2]}, True),
        ({"company": [2]}, False),
        ({"company": [1], "starts_with": "0215"}, True),
        ({"company": [1], "starts_with": "0216"}, False),
        ({"length": 5}, True),
        ({"length": 6}, False),
        ({"service_data": "fcd2"}, True),
        ({"service_data": "180a"}, False),
        ({"service": "180a"}, True),
        ({"service": "180a", "name": "thing"}, True),
        ({"service": "180a", "name": "other"}, False),
    ],
)
def test_a_match_holds_when_all_that_it_says_is_true(match, holds):
    assert Match.model_validate(match).holds(HEARD) is holds


def test_a_match_that_says_more_is_heavier():
    weights = [
        Match.model_validate(match).weight
        for match in (
            {"length": 5},
            {"company": [1]},
            {"company": [1], "service": "180a"},
            {"company": [1], "starts_with": "0215a495bb"},
        )
    ]
    assert weights == sorted(weights)
    assert len(set(weights)) == len(weights)
