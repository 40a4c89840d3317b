"""The titles, decimals and headline metrics that profiles name, in the grammar of each adapter."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from adapters.ble.profile.grammar import Point as BlePoint
from adapters.ble.profile.library import PROFILE_FILES as BLE
from adapters.modbus.profile.grammar import Point as ModbusPoint
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_layout import PlacedModel, SunSpecLayout
from adapters.serial.profile.library import PROFILE_FILES as SERIAL
from adapters.serial.profile.points import Point as SerialPoint

TEXTS = {"title": "Flow of heat", "decimals": 2, "headline": True}
PLACES = {
    ModbusPoint: {"address": 1, "type": "int16"},
    BlePoint: {"service": "180f", "characteristic": "2a19"},
    SerialPoint: {},
}
PROFILES = [profile for files in (MODBUS, BLE, SERIAL) for profile in files.load().values()]


def metric_of(point):
    match point:
        case ModbusPoint():
            return next(point.placed()).metric
        case BlePoint():
            return point.measured
    return point.metric_in("W")


@pytest.mark.parametrize("grammar", PLACES)
def test_what_a_point_says_for_people_is_in_its_metric(grammar):
    metric = metric_of(grammar(metric="flow", **PLACES[grammar], **TEXTS))
    assert {name: getattr(metric, name) for name in TEXTS} == TEXTS
    plain = metric_of(grammar(metric="flow", **PLACES[grammar]))
    assert (plain.title, plain.decimals, plain.headline) == (None, None, False)


@pytest.mark.parametrize("grammar", PLACES)
@pytest.mark.parametrize("wrong", [{"title": ""}, {"title": "x" * 61}, {"decimals": 7}, {"decimals": -1}])
def test_what_a_person_could_not_read_is_a_mistake(grammar, wrong):
    with pytest.raises(ValidationError):
        grammar(metric="flow", **PLACES[grammar], **wrong)


@pytest.mark.parametrize("grammar", PLACES)
def test_decimals_belong_to_numbers(grammar):
    with pytest.raises(ValidationError, match="`decimals`"):
        grammar(metric="flow", **PLACES[grammar], values={"1": "on"}, decimals=1)


def test_repetitions_of_a_point_are_told_apart_by_their_titles():
    point = ModbusPoint(metric="power", models=(160,), at=2, repeats=(2, 1), title="String power")
    layout = SunSpecLayout((PlacedModel(160, 40_000, 2),))
    assert [placed.metric.title for placed in point.placed(layout)] == ["String power 1", "String power 2"]


def test_three_headlines_are_a_mistake():
    points = [{"metric": f"m{number}", "address": number, "headline": True} for number in range(3)]
    source = {"document": "data", "edition": "1", "section": "s"}
    with pytest.raises(ValidationError, match=r"at most 2 metrics, .* m0, m1, m2"):
        Profile.model_validate({"name": "x", "title": "x", "family": "x", "source": source, "points": points})


def test_what_people_read_is_not_part_of_the_map_that_is_tried():
    content = {"name": "x", "title": "x", "family": "x", "source": {"document": "data", "edition": "1", "section": "s"}}
    plain = Profile.model_validate({**content, "points": [{"metric": "m", "address": 1}]})
    titled = Profile.model_validate({**content, "points": [{"metric": "m", "address": 1, **TEXTS}]})
    assert titled.point_map == plain.point_map
    assert "headline" not in json.loads(titled.point_map)["points"][0]


def test_every_shipped_profile_names_no_headline_or_two_of_its_metrics():
    for profile in PROFILES:
        assert len(set(profile.headlines)) in (0, 2) or profile.name.startswith("gatt"), profile.name
