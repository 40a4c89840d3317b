"""The grammar of a profile: valid files, and the errors for invalid ones."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.sunspec_layout import PlacedModel, SunSpecLayout
from gateway.adapter import ProfileError
from gateway.metrics.vocabulary import UNITS

HEAD = """
name = "meter"
maker = "Acme"
title = "Acme meter"
family = "power-meter"
source = { document = "Acme manual", edition = "1", section = "2" }
"""


def point(**given: object) -> str:
    keys = {"metric": "power", "address": 0, "type": "uint16", **given}
    inside = ", ".join(f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None)
    return f"{{ {inside} }}"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
        case _:
            return str(value)


def profile(*points: str, head: str = HEAD):
    return PROFILE_FILES.parse(f"{head}\npoints = [{', '.join(points)}]", Path("meter.toml"))


def complaint(*points: str, head: str = HEAD) -> str:
    with pytest.raises(ProfileError) as error:
        profile(*points, head=head)
    return str(error.value)


def missing_of(made) -> dict[str, set[int]]:
    placed = made.place(frozenset(made.metrics()), MODEL_103)
    return {each.metric.name: set(each.encoding.not_available) for each in placed}


MODEL_103 = SunSpecLayout((PlacedModel(103, 40072, 50),))


def test_the_numbers_of_its_type_say_not_available_for_each_point_that_has_none_of_its_own():
    head = HEAD + "not_available = { int16 = [0x7FFF, 0x8000], uint16 = [-1], int32 = [] }\n"
    made = profile(
        point(metric="signed", type="int16"),
        point(metric="unsigned", address=1),
        point(metric="long", address=2, type="int32"),
        point(metric="own", address=4, not_available=[0]),
        point(metric="all", address=5, not_available=[]),
        point(metric="bits", address=6, bits=[0, 1]),
        point(metric="model", address=None, models=[103], at=2),
        point(metric="counter", address=None, models=[103], at=3, not_available=[0]),
        head=head,
    )
    assert missing_of(made) == {
        "signed": {0x7FFF, -0x8000},
        "unsigned": {0xFFFF},
        "long": set(),
        "own": {0},
        "all": set(),
        "bits": {0xFFFF},
        "model": {0xFFFF},
        "counter": {0},
    }
    assert missing_of(type(made).from_point_map(made.point_map)) == missing_of(made)


def test_a_setting_has_the_numbers_of_its_type_too():
    head = (
        HEAD
        + 'not_available = { int16 = [0x7FFF] }\nsettings = [{ name = "limit", address = 9, type = "int16", between = [0, 9] }]\n'
    )
    made = profile(point(), head=head)
    assert made.settings[0].point(made).encoding.not_available == {0x7FFF}


def test_defaults_count_for_each_point_that_does_not_say_otherwise():
    text = (
        HEAD
        + """
[defaults]
table = "input"
type = "float32"
[[points]]
metric = "voltage"
address = 0
[[points]]
metric = "state"
address = 10
type = "uint16"
"""
    )
    voltage, state = PROFILE_FILES.parse(text, Path("meter.toml")).points
    assert (voltage.table, voltage.words, state.table, state.words) == (Table.INPUT, 2, Table.INPUT, 1)


def test_poll_groups_with_points_have_their_intervals():
    made = profile(
        point(group="fast"),
        point(metric="energy", address=1, group="hourly"),
        head=HEAD + "groups = { fast = 1, hourly = 3600 }\n",
    )
    assert made.intervals == {"fast": timedelta(seconds=1), "hourly": timedelta(hours=1)}


def test_all_readings_of_a_point_share_one_metric():
    made = profile(point(unit="W", urgent=True, reduce="max"))
    (first,) = made.place(frozenset({"normal"}))
    (second,) = made.place(frozenset({"normal"}))
    assert first.metric is second.metric
    assert (first.metric.name, first.metric.unit, first.metric.urgent, first.metric.reduce.value) == ("power", "W", True, "max")


def layout(addresses, length=100):
    return SunSpecLayout(tuple(PlacedModel(model, address, length) for model, address in addresses.items()))


def test_a_point_of_a_model_is_placed_where_the_device_has_the_first_such_model():
    made = profile(point(address=None, models=[103, 101], at=14, scale_factor=15, type="int16"))
    (placed,) = made.place(frozenset({"normal"}), layout({101: 40069, 1: 40002}))
    assert (placed.address, placed.scale_factor) == (40083, 40084)
    assert placed.encoding.not_available == {-32768}
    assert list(made.place(frozenset({"normal"}), layout({1: 40002}))) == []


def test_a_point_of_a_repeated_group_is_placed_as_often_as_the_model_is_long():
    given = {"address": None, "models": [160], "at": 12, "repeats": [10, 20], "type": "int16"}
    made = profile(point(scale_factor=2, **given), point(**given | {"metric": "own", "at": 14}, scale_factor=15))
    placed = {one.metric.name: one for one in made.place(frozenset({"normal"}), layout({160: 40100}, length=48))}
    assert {name: one.address for name, one in placed.items()} == {
        "power_1": 40112,
        "power_2": 40132,
        "own_1": 40114,
        "own_2": 40134,
    }
    assert [placed[name].scale_factor for name in ("power_1", "power_2")] == [40102, 40102], "it stands in the fixed part"
    assert [placed[name].scale_factor for name in ("own_1", "own_2")] == [40115, 40135], "each repetition has its own"


def test_a_device_that_no_unit_has_met_is_planned_with_each_group_once():
    made = profile(
        point(address=None, models=[103], at=14, type="int16"),
        point(metric="tracker", address=None, models=[160], at=12, repeats=[10, 20]),
    )
    placed = list(made.place(frozenset({"normal"}), made.least_layout))
    assert [one.metric.name for one in placed] == ["power", "tracker_1"]


def test_two_flags_may_share_a_register():
    made = profile(point(metric="a", bits=[0, 1]), point(metric="b", bits=[1, 3]))
    assert len(made.points) == 2


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([point(), point(address=1)], "point `power` is there twice"),
        ([point(metric="a", bits=[0, 4]), point(metric="b", bits=[3, 2])], "points `a` and `b` overlap"),
        ([point(metric="a", type="uint32"), point(metric="b", address=1)], "points `a` and `b` overlap"),
        ([point(metric="status")], "point `status`: a metric cannot be called 'status'"),
        ([point(scale=0.1, values={1: "on"})], "point `power`: scale, offset and scale_factor belong to plain numbers"),
        ([point(scale=0.1, bits=[0, 4])], "belong to plain numbers"),
        ([point(scale=0)], "scale is not 0"),
        ([point(scale=0.1, scale_factor=1)], "not used together with a scale_factor"),
        ([point(scale_factor=500)], "its scale factor is so far away"),
        ([point(sign={"address": 1, "negative": 1}, values={1: "on"})], "`sign` belongs to plain numbers"),
        ([point(sign={"address": 9, "negative": 1}, scale_factor=2)], "not used together with a scale_factor"),
        ([point(sign={"address": 32, "negative": 1})], "the register of its sign is not within 32 registers"),
        ([point(address=65535, type="uint32")], "address 65535 and length 2 go beyond the last address, 65535"),
        ([point(address=65536)], "point `power`.address"),
        ([point(group="hourly")], "there is no poll group 'hourly'; there are fast, normal, slow"),
        ([point(type="int16", bits=[0, 1])], "bits are taken from an unsigned number, not from int16"),
        ([point(bits=[12, 5])], "go beyond the 16 bits of uint16"),
        ([point(type="string")], "`length` belongs to string"),
        ([point(length=2)], "`length` belongs to string"),
        ([point(table="coil")], "type bool belongs to coil and discrete"),
        ([point(type="bool")], "type bool belongs to coil and discrete"),
        ([point(address=None)], "a point has either an `address`, or `models` and `at`"),
        ([point(repeats=[10, 20])], "`repeats` belongs to a point of SunSpec `models`"),
        ([point(address=None, models=[160], at=9, repeats=[10, 20])], "`at` has to be in between"),
        ([point(address=None, models=[160], at=29, type="uint32", repeats=[10, 20])], "`at` has to be in between"),
        (
            [
                point(address=None, models=[160], at=10, repeats=[10, 20]),
                point(metric="power_2", address=None, models=[160], at=3),
            ],
            "point `power_2` is called as a repetition of `power`",
        ),
        ([point(models=[103], at=2)], "a point has either an `address`, or `models` and `at`"),
        ([point(adress=3)], "point `power`.adress: no such key. Did you mean 'address'?"),
        ([point(type="float16")], "point `power`.type"),
        ([point(not_available=[0x10000])], "65536 does not fit into uint16"),
        ([point(type="int16", not_available=[-0x8001])], "-32769 does not fit into int16"),
        ([point(type="int16", not_available=[-1, 0xFFFF])], "-1 and 0xffff are the same int16: leave one out"),
        ([point(type="string", length=2, not_available=[0])], "`not_available` belongs to numbers, not to string"),
        ([point(valid=[0, 0x10000])], "`valid` is [lowest, highest], both raw numbers that fit into uint16"),
        ([point(valid=[2, 1])], "`valid` is [lowest, highest]"),
        ([point(valid=[0, 1], bits=[0, 2])], "`valid` belongs to numbers, not to bits"),
        ([], "a profile has points: at least one"),
    ],
)
def test_what_is_wrong_is_reported_with_file_and_point(points, says):
    reported = complaint(*points)
    assert reported.startswith("meter.toml:")
    assert says in reported


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (HEAD.replace('family = "power-meter"', 'family = "Power Meter"'), "family"),
        (HEAD.replace('section = "2"', ""), "meter.toml:6: is not TOML: "),
        (HEAD.replace('name = "meter"', 'name = "other"'), "it is called 'other' inside; name and file must agree"),
        (HEAD + "match = [{}]\n", "a match without a condition would match every device"),
        (HEAD + 'match = [{ server_id = "PM-(" }]\n', "'PM-(' is not a regular expression"),
        (HEAD + "match = [{ registers = [{ address = 0 }] }]\n", "exactly one of `equals`, `between` and `matches`"),
        (HEAD + "identity = { serial_number = { object = 300 } }\n", "object"),
        (HEAD + "groups = { fast = 0 }\n", "groups.fast"),
        (HEAD + "not_available = { uint16 = [0x1FFFF] }\n", "not_available: 131071 does not fit into uint16"),
        (HEAD + "not_available = { uint16 = [-1, 0xFFFF] }\n", "-1 and 0xffff are the same uint16"),
        (HEAD + "not_available = { bool = [1] }\n", "`not_available` belongs to numbers, not to bool"),
        (HEAD + "not_available = { int32 = [0] }\n", "`not_available` names int32, but no point with an `address` has this type"),
        (HEAD + "not_available = { word = [0] }\n", "not_available.word"),
        ("name =", "meter.toml:1: is not TOML: "),
    ],
)
def test_what_is_wrong_outside_the_points_is_reported_too(head, says):
    assert says in complaint(point(), head=head)


def test_a_source_names_what_it_was_checked_against():
    checked = HEAD.replace('section = "2"', 'section = "2", checked_against = ["acme-driver: meter.py", "a frame"]')
    assert profile(point()).source.checked_against == ()
    assert profile(point(), head=checked).source.checked_against == ("acme-driver: meter.py", "a frame")
    assert "source.checked_against.1: is too short: at least 3" in complaint(point(), head=checked.replace("a frame", "-"))


def test_every_problem_is_reported_at_once():
    reported = complaint(point(scale=0), point(metric="energy", type="string"))
    scale, length, overlap = reported.splitlines()
    assert "point `power`: scale is not 0" in scale
    assert "point `energy`: `length` belongs to" in length
    assert "points `power` and `energy` overlap" in overlap


def test_a_profile_of_the_integrator_replaces_its_namesake(tmp_path):
    ours = (PROFILE_FILES.folder / "omron-e5cc.toml").read_text(encoding="utf-8")
    (tmp_path / "omron-e5cc.toml").write_text(ours.replace('title = "Omron', 'title = "My Omron'), encoding="utf-8")
    library = PROFILE_FILES.load([tmp_path])
    assert library["omron-e5cc"].title.startswith("My Omron")
    assert len(library) == len(PROFILE_FILES.load())


def test_a_folder_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(ProfileError, match="there is no such folder"):
        PROFILE_FILES.load([tmp_path / "profiles"])


@pytest.mark.parametrize("file", sorted(PROFILE_FILES.folder.glob("*.toml")), ids=lambda file: file.stem)
def test_our_profiles_name_real_units_and_lower_case_metrics(file):
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    assert {each.get("unit") for each in content["points"]} <= {None, *UNITS}
    assert all(each["metric"].replace("_", "").isalnum() and each["metric"].islower() for each in content["points"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"defaults = 3\n", "`defaults` has to be a table"),
        (b"[points]\nmetric = 'x'\n", "`points` has to be a list of tables"),
        (b"name = '\xfc'\n", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_profile_at_all_is_named(tmp_path, text, says):
    (tmp_path / "odd.toml").write_bytes(text)
    with pytest.raises(ProfileError, match=says) as caught:
        PROFILE_FILES.load([tmp_path])
    assert "odd.toml" in str(caught.value)


def test_every_mistake_is_reported_with_its_line(tmp_path):
    text = METER_WITH_MISTAKES
    with pytest.raises(ProfileError) as reported:
        PROFILE_FILES.parse(text, Path("meter.toml"))
    told = [line.partition(". ")[0] for line in str(reported.value).splitlines()]
    assert told == [
        "meter.toml:5: extra: no such key",
        "meter.toml:15: point `b`.address: has to be less than 65536 (it says 70000)",
        "meter.toml:16: point `b`.typo: no such key",
    ]


METER_WITH_MISTAKES = """\
name = "meter"
maker = "Maker"
title = "Meter"
family = "meter"
extra = 1
[source]
document = "document"
edition = "1"
section = "1"
[[points]]
metric = "a"
address = 1
[[points]]
metric = "b"
address = 70000
typo = 3
"""
