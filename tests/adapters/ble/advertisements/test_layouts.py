"""Test what a layout of an advertiser file accepts, and what it leaves to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.advertiser_files import AdvertiserError, load, parse
from adapters.ble.advertisements.layouts import LayoutParser
from adapters.ble.advertisements.parser import MalformedAdvertisement

HEAD = """
name = "acme"
title = "Acme sensor"
family = "climate-sensor"
[source]
document = "Acme advertisements"
section = "1"
checked_against = ["a capture"]
[[match]]
company = [0x0999]
"""
LAYOUT = """
[[layouts]]
model = "T1"
company = 0x0999
lengths = [2, 3]
values = [{ metric = "temperature", format = "sint16", not_available = [-32768], scale = 0.01, unit = "°C" }]
"""
PARSER = 'module = "acme_ble"\nparser = "Acme"\n'


def acme(text):
    return parse(text, Path("acme.toml"))


def told(advertiser, company_data=None, *, address="A4:C1:38:D5:D4:98", service_data=None):
    sent = Advertisement(
        address=address,
        manufacturer_data={} if company_data is None else {0x0999: bytes.fromhex(company_data)},
        service_data={full_uuid(uuid): bytes.fromhex(data) for uuid, data in (service_data or {}).items()},
    )
    parsed = LayoutParser(advertiser.layouts).parse(sent, 0.0)
    return None if parsed is None else {metric.name: value for metric, value in parsed.measured}


@pytest.mark.parametrize(
    ("sent", "values"),
    [
        ("2efb", {"temperature": -12.34}),
        ("0080", {"temperature": None}),
        ("d20400", {"temperature": 12.34}),
        ("d2", None),
        ("d2040000", None),
        (None, None),
    ],
)
def test_data_of_another_length_or_company_is_of_another_device(sent, values):
    assert told(acme(HEAD + LAYOUT), sent) == values


def test_data_that_repeats_the_address_of_another_device_is_of_another_format():
    atc = next(advertiser for advertiser in load() if advertiser.name == "atc")
    sent = {"181a": "a4c138d5d498ffd33e510b7b62"}
    assert told(atc, service_data=sent) == {"temperature": -4.5, "humidity": 62, "battery": 81, "battery_voltage": 2.939}
    assert told(atc, service_data=sent, address="A4:C1:38:D5:D4:99") is None


def test_a_layout_that_ends_before_its_values_is_a_malformed_advertisement():
    layout = LAYOUT.replace('format = "sint16"', 'at = 1, format = "sint16"')
    assert told(acme(HEAD + layout), "00d204") == {"temperature": 12.34}
    with pytest.raises(MalformedAdvertisement, match="an advertisement of a T1 lacks values"):
        told(acme(HEAD + layout), "d204")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "either `module` and `parser`, or \\[\\[layouts\\]\\]"),
        (PARSER + HEAD + LAYOUT, "either `module` and `parser`, or \\[\\[layouts\\]\\]"),
        ('module = "acme_ble"\n' + HEAD + LAYOUT, "either `module` and `parser`, or \\[\\[layouts\\]\\]"),
        (HEAD + LAYOUT.replace("company = 0x0999\n", ""), "either `service_data` or `company`"),
        (HEAD + LAYOUT.replace("[2, 3]", "[]"), "lengths"),
        (HEAD + LAYOUT.replace("scale =", 'company = 1, service_data = "2a6e", scale ='), "not of both"),
        (HEAD + LAYOUT.replace("scale = 0.01", "true = [1]"), "neither `values` nor a `unit`"),
    ],
)
def test_a_layout_that_cannot_work_is_refused_with_its_fix(text, message):
    with pytest.raises(AdvertiserError, match=message):
        acme(text)


def test_a_number_can_mean_yes():
    layout = LAYOUT.replace(
        'format = "sint16", not_available = [-32768], scale = 0.01, unit = "°C"', "bits = [1, 2], true = [1, 2]"
    )
    doors = acme(HEAD + layout.replace("temperature", "opening"))
    assert [told(doors, sent) for sent in ("0100", "0200", "0400", "0600")] == [
        {"opening": False}, {"opening": True}, {"opening": True}, {"opening": False},
    ]  # fmt: skip
