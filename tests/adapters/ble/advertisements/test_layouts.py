"""Test what a layout of an advertiser file accepts, and what it leaves to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.advertiser_files import load, parse
from adapters.ble.advertisements.layouts import LayoutParser
from adapters.ble.advertisements.parser import MalformedAdvertisement
from gateway.adapter import ProfileError

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


def told(advertiser, company_data=None, *, address="A4:C1:38:D5:D4:98", service_data=None, name=None):
    sent = Advertisement(
        name=name,
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
        (HEAD + LAYOUT.replace("[2, 3]", "[]"), "without a `sequence` has `lengths`"),
        (HEAD + LAYOUT.replace("[{ metric", "[] # [{ metric"), "`values`, a `sequence` of fields, or both"),
        (HEAD + LAYOUT.replace("company = 0x0999", 'service_data = "2a6e"\nsignature = "enocean"'), "one of manufacturer data"),
        (HEAD + LAYOUT.replace("scale = 0.01", "event = true"), "an `event` has `values`"),
        (
            HEAD + LAYOUT.replace('format = "sint16", not_available = [-32768],', 'format = "float32", divided_by = { at = 0 },'),
            "whole",
        ),
        (HEAD + LAYOUT.replace("not_available = [-32768]", "bits = [0, 1]"), "`scale` and `offset` are for numbers"),
        (HEAD + LAYOUT.replace("scale =", 'company = 1, service_data = "2a6e", scale ='), "not of both"),
        (HEAD + LAYOUT.replace("scale = 0.01", "true = [1]"), "neither `values` nor a `unit`"),
    ],
)
def test_a_layout_that_cannot_work_is_refused_with_its_fix(text, message):
    with pytest.raises(ProfileError, match=message):
        acme(text)


def test_a_number_can_mean_yes():
    layout = LAYOUT.replace(
        'format = "sint16", not_available = [-32768], scale = 0.01, unit = "°C"', "bits = [1, 2], true = [1, 2]"
    )
    doors = acme(HEAD + layout.replace("temperature", "opening"))
    assert [told(doors, sent) for sent in ("0100", "0200", "0400", "0600")] == [
        {"opening": False}, {"opening": True}, {"opening": True}, {"opening": False},
    ]  # fmt: skip


def value_of(written, sent):
    """Return the value of an advertisement whose layout has this one value."""
    layout = LAYOUT.replace('format = "sint16", not_available = [-32768], scale = 0.01, unit = "°C"', written)
    found = told(acme(HEAD + layout.replace("lengths = [2, 3]", "lengths = [1, 2, 3, 4]")), sent)
    assert found is not None
    return found.get("temperature", "absent")


@pytest.mark.parametrize(
    ("written", "sent", "value"),
    [
        ('format = "sint16", bits = [4, 12], unit = "°C"', "f0ff", -1),
        ('format = "sint16", bits = [4, 6], unit = "°C"', "0002", -32),
        ('format = "sint16", bits = [4, 11], unit = "°C"', "f07f", -1),
        ('format = "uint16", bits = [4, 12], scale = 0.0625, unit = "°C"', "9001", 1.5625),
        ('only_if = [{ at = 1, mask = 0x0F, equals = 3 }], unit = "°C"', "07f3", 7),
        ('only_if = [{ at = 1, mask = 0x0F, equals = 3 }], unit = "°C"', "07f2", "absent"),
        ('only_if = [{ at = 1, equals = [1, 2] }, { equals = 7 }], unit = "°C"', "0702", 7),
        ('only_if = [{ at = 1, equals = [1, 2] }, { equals = 7 }], unit = "°C"', "0602", "absent"),
        ('only_if = [{ at = 3, equals = 0 }], unit = "°C"', "0702", "absent"),
        ('multiplied_by = { at = 1 }, unit = "°C"', "0703", 21),
        ('multiplied_by = { at = 1, bits = [4, 4], values = { 3 = 12 } }, unit = "°C"', "0730", 84),
        ('divided_by = { at = 1, format = "uint16", byte_order = "big" }, unit = "°C"', "070004", 1.75),
        ('divided_by = { at = 1 }, unit = "°C"', "0700", None),
        ('divided_by = { at = 1, values = { 0 = 100 } }, unit = "°C"', "0700", 0.07),
        ('not_available = [7], divided_by = { at = 1 }, unit = "°C"', "0702", None),
    ],
)
def test_a_value_can_be_signed_bits_and_depend_on_other_bytes(written, sent, value):
    assert value_of(written, sent) == value


def test_a_factor_beyond_the_end_is_a_malformed_advertisement():
    with pytest.raises(MalformedAdvertisement):
        value_of('multiplied_by = { at = 3, format = "uint16" }, unit = "°C"', "01020304")


def test_what_happens_is_told_as_an_event_and_by_its_name():
    layout = LAYOUT.replace(
        'temperature", format = "sint16", not_available = [-32768], scale = 0.01, unit = "°C"',
        'button", values = { 1 = "press" }, event = true, only_if = [{ at = 1, mask = 2, equals = 2 }]',
    )
    parser = LayoutParser(acme(HEAD + layout).layouts)
    sent = Advertisement(address="A4:C1:38:D5:D4:98", manufacturer_data={0x0999: bytes.fromhex("0102")})
    parsed = parser.parse(sent, 0.0)
    assert parsed is not None
    assert (parsed.measured, [(metric.name, metric.is_event, value) for metric, value in parsed.events]) == (
        [],
        [("button", True, "press")],
    )
    assert told(acme(HEAD + layout), "0100") == {}


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ('name = "t1 "', True),
        ('name = "T2"', False),
        ('address = "a4c1"', True),
        ('address = "a4c2"', False),
        ("only_if = [{ mask = 0x0F, equals = [1, 2] }]", True),
        ("only_if = [{ mask = 0xF0, equals = 0x10 }]", False),
    ],
)
def test_a_layout_can_depend_on_the_name_the_address_and_bits(condition, fits):
    layout = LAYOUT.replace("lengths", f"{condition}\nlengths")
    assert (told(acme(HEAD + layout), "0200", name="T1 0001") is not None) == fits


def test_a_layout_tells_serial_number_and_firmware_version():
    places = 'serial_number = { at = 1, length = 2, format = "hex" }\nfirmware_version = { length = 2, format = "dotted" }'
    parser = LayoutParser(acme(HEAD + LAYOUT.replace("lengths", f"{places}\nlengths")).layouts)
    parsed = parser.parse(Advertisement(address="A4:C1:38:D5:D4:98", manufacturer_data={0x0999: bytes.fromhex("01020a")}), 0.0)
    assert parsed is not None
    assert (parsed.serial_number, parsed.firmware_version) == ("020a", "1.2")
