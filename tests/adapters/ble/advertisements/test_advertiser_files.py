"""Test the files in `advertisers/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.advertiser_files import BUILT_IN, AdvertisementMatch, load, parse
from gateway.adapter import ProfileError

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
    ("before", "after", "message"),
    [
        ('family = "climate-sensor"', "", "family: is missing"),
        ("company = [0x1234]", "", "match.0: a match without a condition"),
        ("company = [0x1234]", 'name = "a"\nstarts_with = "00"', "needs a `company`"),
        ("company = [0x1234]", 'service = "fcd"', "not a uuid"),
        ("company = [0x1234]", 'company = [1]\nstarts_with = "0x"', "match.0.starts_with"),
        ('family = "climate-sensor"', 'family = "x"\nmodel = "always"', "{model}"),
        ('family = "climate-sensor"', 'family = "x"\nprotocol = "("', "not a regular expression"),
        ('family = "climate-sensor"', 'family = "x"\ncolour = "red"', "colour: no such key"),
        ('name = "acme"', 'name = "other"', "name and file must agree"),
        ('name = "acme"', "name = ", "is no value"),
    ],
)
def test_an_error_in_a_file_is_reported_with_its_place(before, after, message):
    with pytest.raises(ProfileError) as error:
        parse(WHOLE.replace(before, after), Path("acme.toml"))
    assert message in str(error.value)
    assert str(error.value).startswith("acme.toml:")


def test_adding_a_file_adds_a_parser(tmp_path):
    (tmp_path / "acme.toml").write_text(WHOLE)
    (tmp_path / "ruuvi.toml").write_text(WHOLE.replace('"acme"', '"ruuvi"'))
    names = {advertiser.name: advertiser for advertiser in load([BUILT_IN, tmp_path])}
    assert names["acme"].family == "climate-sensor"
    assert names["ruuvi"].module == "acme_ble"
    with pytest.raises(ProfileError, match="there is no such folder"):
        load([tmp_path / "nowhere"])


HEARD = Advertisement(
    address="AA:BB:CC:DD:EE:FF",
    name="Thing 1",
    manufacturer_data={1: b"\x02\x15abc"},
    service_data={full_uuid("fcd2"): b""},
    service_uuids=(full_uuid("180a"),),
)


@pytest.mark.parametrize(
    ("match", "fits"),
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
def test_a_match_fits_when_all_its_conditions_are_met(match, fits):
    assert AdvertisementMatch.model_validate(match).fits(HEARD) is fits


def test_a_match_with_more_conditions_has_a_higher_weight():
    weights = [
        AdvertisementMatch.model_validate(match).weight
        for match in (
            {"length": 5},
            {"company": [1]},
            {"company": [1], "service": "180a"},
            {"company": [1], "starts_with": "0215a495bb"},
        )
    ]
    assert weights == sorted(weights)
    assert len(set(weights)) == len(weights)
