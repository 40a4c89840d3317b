"""Whatever a device says fits into what the hub takes: values, moments, versions, bodies."""

from __future__ import annotations

import json
import math
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cloud.protocol.values import FLOAT_MAX, json_bytes, semantic_version, timestamp, to_hub_value

ANY_TEXT = st.text(st.characters(codec=None, categories=None))  # lone surrogates included
ANY_VALUE = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
NESTED = st.recursive(ANY_VALUE, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner), max_leaves=10)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (None, "null"),
        (41.5, "41.5"),
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
        (1e39, "null"),
        (10**400, "null"),
        (FLOAT_MAX, "3.4028234663852886e+38"),
        (2**31 - 1, "2147483647"),
        (2**31, "2147483648.0"),
        (-(2**31), "-2147483648"),
        (-(2**31) - 1, "-2147483649.0"),
        ("hdmi1", '"hdmi1"'),
        ("\ud800", '"?"'),
    ],
)
def test_a_value_is_sent_as_the_hub_can_take_it(value, sent):
    assert json_bytes(to_hub_value(value)).decode() == sent


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 1000),
        ("x" * 999 + "é", "x" * 999),
        ("x" * 998 + "é", "x" * 998 + "é"),
        ("€" * 400, "€" * 333),
        ("😀" * 251, "😀" * 250),
    ],
)
def test_a_long_text_is_cut_between_two_characters(text, kept):
    assert to_hub_value(text) == kept


@settings(deadline=None)
@given(ANY_VALUE)
def test_every_value_fits_and_what_fits_already_is_untouched(value):
    sent = to_hub_value(value)
    assert to_hub_value(sent) == sent
    match sent:
        case None:
            assert value is None or isinstance(value, int | float)
        case bool():
            assert sent is value
        case int():
            assert struct.unpack("<i", struct.pack("<i", sent)) == (value,)
        case float():
            assert math.isfinite(struct.unpack("<f", struct.pack("<f", sent))[0])
            assert sent == float(value)
        case str():
            assert len(sent.encode()) <= 1000
            assert value.encode("utf-8", "replace").decode().startswith(sent)


@settings(deadline=None)
@given(NESTED)
def test_every_body_becomes_json_that_any_parser_takes(body):
    def no_constant(name):
        raise AssertionError(name)

    json.loads(json_bytes(body).decode("utf-8"), parse_constant=no_constant)


def test_a_body_keeps_what_json_knows_and_spells_out_what_it_does_not():
    at = datetime(2025, 2, 3, tzinfo=UTC)
    assert json.loads(json_bytes({"a": (1, [True, None, "é"]), 5: at})) == {"a": [1, [True, None, "é"]], "5": str(at)}


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2025, 2, 3, 4, 5, 6, 789000, tzinfo=UTC), "2025-02-03T04:05:06.789Z"),
        (datetime(2025, 2, 3, 4, 5, 6, tzinfo=UTC), "2025-02-03T04:05:06.000Z"),
        (datetime(2025, 2, 3, 0, 5, 6, 1999, tzinfo=timezone(timedelta(hours=1))), "2025-02-02T23:05:06.001Z"),
    ],
)
def test_a_moment_is_utc_with_milliseconds(at, text):
    assert timestamp(at) == text


def test_a_moment_without_zone_is_no_moment():
    with pytest.raises(ValueError, match="has no time zone"):
        timestamp(datetime(2025, 2, 3))  # noqa: DTZ001  # that is the point


@pytest.mark.parametrize(
    ("own", "version"),
    [
        (None, "0.0.0"),
        ("", "0.0.0"),
        ("  ", "0.0.0"),
        ("7", "7.0.0"),
        ("V1.2", "1.2.0"),
        ("v1.2.3", "1.2.3"),
        ("V 1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
        ("2.10.4b1", "2.10.4-b1"),
        ("02.010.004", "2.10.4"),
        ("1.2.3.4", "1.2.3-4"),
        ("1.2.3.004", "1.2.3-4"),
        ("1.2.3-01", "1.2.3-1"),
        ("1.2.3-", "1.2.3"),
        ("FW R2 3.1 (Build 45)", "3.1.0-Build.45"),
        ("2024-03-01", "2024.0.0-3.1"),
        ("unknown", "0.0.0-unknown"),
        ("версия", "0.0.0"),
        ("\u0661.\u0662", "0.0.0"),
        ("1.2.3\n", "1.2.3"),
    ],
)
def test_a_devices_own_version_text_becomes_a_semantic_version(own, version):
    assert semantic_version(own) == version


def follows_the_grammar(text: str) -> bool:
    """Semantic Versioning 2.0.0, items 2, 9 and 10, read once more without a regular expression."""
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")
    digits = set("0123456789")

    def is_number(part):
        return part != "" and set(part) <= digits and (part == "0" or part[0] != "0")

    def is_identifier(part):
        return part != "" and set(part) <= letters | digits

    rest, plus, build = text.partition("+")
    core, dash, pre_release = rest.partition("-")
    return (
        len(core.split(".")) == 3
        and all(is_number(part) for part in core.split("."))
        and (not plus or all(is_identifier(part) for part in build.split(".")))
        and (not dash or all(is_identifier(part) and (is_number(part) or set(part) & letters) for part in pre_release.split(".")))
    )


NUMBER = st.integers(0, 10**6).map(str)
IDENTIFIER = st.from_regex(r"[0-9A-Za-z-]{1,5}", fullmatch=True)
NEARLY_A_VERSION = st.text("0123456789.-+vVabZ ", max_size=20)


@settings(deadline=None)
@given(ANY_TEXT | NEARLY_A_VERSION)
def test_every_text_becomes_a_valid_version_and_a_valid_one_stays(own):
    version = semantic_version(own)
    assert follows_the_grammar(version)
    assert semantic_version(version) == version
    if follows_the_grammar(own):
        assert version == own


@settings(deadline=None)
@given(
    NEARLY_A_VERSION
    | st.from_regex(r"[0-9]{1,2}\.[0-9]\.[0-9](-[0-9a-]{0,3}(\.[0-9a-]{0,3})?)?(\+[0-9a.]{0,3})?", fullmatch=True)
)
def test_a_text_stays_as_it_is_exactly_where_a_second_reading_of_the_grammar_allows_it(text):
    assert (semantic_version(text) == text) == follows_the_grammar(text)


@settings(deadline=None)
@given(NUMBER, NUMBER, NUMBER, IDENTIFIER)
def test_what_the_grammar_allows_stays_as_it_is(major, minor, patch, build):
    for version in (f"{major}.{minor}.{patch}", f"{major}.{minor}.{patch}+{build}", f"{major}.{minor}.{patch}-x.{major}+{build}"):
        assert semantic_version(version) == version
