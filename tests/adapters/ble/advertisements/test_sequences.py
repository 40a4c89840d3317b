"""Test layouts whose fields follow each other: announced by flags, or each with a tag."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser_files import parse
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
[[layouts]]
model = "T1"
company = 0x0999
[layouts.sequence]
"""
FLAGS = """
at = 3
flags_at = 1
flags_bytes = 2
fields = [
    { flag = 0, length = 2, values = [{ metric = "temperature", format = "sint16", scale = 0.1, unit = "°C" }] },
    { flag = 2, length = 1 },
    { flag = 9, length = 1, values = [{ metric = "humidity", unit = "%" }] },
]
"""
TAGS = """
at = 1
tags = "tag"
behind = 1
fields = [
    { tag = 0x01, length = 2, values = [{ metric = "temperature", format = "sint16", scale = 0.1, unit = "°C" }] },
    { tag = 0x02, length = 1, values = [{ metric = "humidity", unit = "%" }] },
]
"""
LENGTHS = TAGS.replace('"tag"', '"length, tag"').replace("length = 2, ", "").replace("length = 1, ", "")
SIZES = TAGS.replace("behind", "lengths_by_tag = [1, 2, 4]\nbehind").replace("length = 2, ", "").replace("length = 1, ", "")
SIZES = SIZES.replace("tag = 0x01", "tag = 0x41")


def told(fields, sent):
    parser = LayoutParser(parse(HEAD + fields, Path("acme.toml")).layouts)
    parsed = parser.parse(Advertisement(address="A4:C1:38:D5:D4:98", manufacturer_data={0x0999: bytes.fromhex(sent)}), 0.0)
    assert parsed is not None
    return {metric.name: value for metric, value in parsed.measured}


@pytest.mark.parametrize(
    ("fields", "sent", "values"),
    [
        (FLAGS, "00 0100 85ff", {"temperature": -12.3}),
        (FLAGS, "00 0002 32", {"humidity": 50}),
        (FLAGS, "00 0502 85ff 77 32", {"temperature": -12.3, "humidity": 50}),
        (FLAGS, "00 0000", {}),
        (FLAGS, "00 0100 85ff 0102", {"temperature": -12.3}),
        (TAGS, "00 01 85ff 02 32 cc", {"temperature": -12.3, "humidity": 50}),
        (TAGS, "00 02 32 01 85ff cc", {"temperature": -12.3, "humidity": 50}),
        (TAGS, "00 02 32 07 85ff cc", {"humidity": 50}),
        (TAGS, "00 cc", {}),
        (LENGTHS, "00 02 02 32 04 07 aabbcc 03 01 85ff cc", {"temperature": -12.3, "humidity": 50}),
        (LENGTHS, "00 02 02 32 00 01 85ff cc", {"humidity": 50}),
        (SIZES, "00 87 aabbccdd 41 85ff 02 32 cc", {"temperature": -12.3, "humidity": 50}),
        (SIZES, "00 02 32 c7 02 aabb 41 85ff cc", {"humidity": 50}),
    ],
)
def test_each_field_is_found_behind_those_before_it_and_unknown_ones_are_skipped_where_their_length_is_known(
    fields, sent, values
):
    assert told(fields, sent) == values


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (FLAGS, "00"),
        (FLAGS, "00 01"),
        (FLAGS, "00 0100 85"),
        (FLAGS, "00 0500 85ff"),
        (TAGS, "00 01 85 cc"),
        (TAGS, "00 02 32 01 cc"),
        (LENGTHS, "00 03 01 85 cc"),
        (LENGTHS, "00 02 cc"),
        (SIZES, "00 02 32 41 85 cc"),
    ],
)
def test_a_field_that_is_cut_costs_the_whole_advertisement(fields, sent):
    with pytest.raises(MalformedAdvertisement, match="an advertisement of a T1 lacks values"):
        told(fields, sent)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (FLAGS.replace("flags_at = 1\n", ""), "either `flags_at`, where its flags are, or `tags`"),
        (FLAGS + 'tags = "tag"\n', "either `flags_at`, where its flags are, or `tags`"),
        (FLAGS.replace("flag = 2", "tag = 2"), "each field has a `flag` where"),
        (TAGS.replace("tag = 0x02", "flag = 2"), "each field has a `flag` where"),
        (TAGS.replace("length = 1, ", ""), "a `length` where the data does not say it"),
        (LENGTHS.replace("tag = 0x02,", "tag = 0x02, length = 1,"), "a `length` where the data does not say it"),
        (LENGTHS.replace("behind", "lengths_by_tag = [1]\nbehind"), "`lengths_by_tag` is for tags"),
        (FLAGS.replace("fields = [", "fields = []\nothers = ["), "fields"),
    ],
)
def test_a_sequence_that_cannot_work_is_refused_with_its_fix(fields, message):
    with pytest.raises(ProfileError, match=message):
        parse(HEAD + fields, Path("acme.toml"))
