"""Test which profile fits an advertisement."""

from __future__ import annotations

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.profile_matching import best_profile

SENSOR = full_uuid("ff01")
POINTS = [{"metric": "temperature", "service": "ff01", "characteristic": "ffa1", "format": "sint16"}]


def profile(points=POINTS, **said) -> Profile:
    source = {"document": "made up for a test", "edition": "1", "section": "all"}
    return Profile.model_validate(
        {"name": "test", "title": "Test", "family": "climate-sensor", "source": source, "points": points} | said
    )


def heard(**said):
    return Advertisement(address="AA:BB:CC:DD:EE:FF", **said)


def test_of_two_profiles_that_fit_the_one_with_more_conditions_is_used():
    by_name = profile(name="by-name", match=[{"name": "TH.*"}])
    by_data = profile(name="by-data", match=[{"data": [{"company": 0x0334, "at": 1, "starts_with": "05"}]}])
    both = heard(name="TH 4711", manufacturer_data={0x0334: bytes.fromhex("ff05")})
    for profiles in ([by_name, by_data], [by_data, by_name]):
        assert best_profile(both, profiles) is by_data
    assert best_profile(heard(name="th 4711"), [by_data, by_name]) is by_name
    assert best_profile(heard(name="other TH"), [by_data, by_name]) is None


@pytest.mark.parametrize(
    ("match", "said", "fits"),
    [
        ({"services": ["180f", "ff01"]}, {"service_uuids": (SENSOR,)}, False),
        ({"services": ["180f", "ff01"]}, {"service_uuids": (SENSOR, full_uuid("180f"))}, True),
        ({"name": "TH", "services": ["ff01"]}, {"service_uuids": (SENSOR,)}, False),
        ({"data": [{"service": "ff01", "at": 2, "starts_with": "5b"}]}, {"service_data": {SENSOR: b"\x00\x00\x5b"}}, True),
        ({"data": [{"service": "ff01", "at": 2, "starts_with": "5b"}]}, {"service_data": {SENSOR: b"\x00\x5b"}}, False),
        ({"data": [{"service": "ff01"}]}, {"service_data": {SENSOR: b""}}, True),
        ({"data": [{"company": 1}, {"company": 2}]}, {"manufacturer_data": {1: b""}}, False),
        ({"data": [{"company": 1}, {"company": 2}]}, {"manufacturer_data": {1: b"", 2: b""}}, True),
    ],
)
def test_a_match_rule_needs_all_its_conditions(match, said, fits):
    assert (best_profile(heard(**said), [profile(match=[match])]) is not None) is fits


def test_a_match_rule_shows_its_evidence():
    match = {"name": "TH.*", "services": ["180f"], "data": [{"company": 0x0334, "at": 1, "starts_with": "05"}]}
    fitting = profile(match=[match]).match[0]
    assert fitting.is_certain
    assert fitting.evidence(heard(name="TH 4711", manufacturer_data={0x0334: b"\xff\x05"})) == {
        "name": "TH 4711",
        "service 180f": "advertised",
        "data of company 0x0334 with 05 at 1": "ff05",
    }
    assert not profile(match=[{"name": "TH"}]).match[0].is_certain
