"""Test profile files and their error messages."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.advertisements.formats import Format
from adapters.ble.profile.library import PROFILE_FILES
from gateway.adapter import ProfileError, Reduce
from gateway.metrics.vocabulary import UNITS

HEAD = """\
name = "test"
title = "A sensor made up for a test"
family = "climate-sensor"

[source]
document = "made up for a test"
edition = "1"
section = "all"
"""

POINT = """
[[points]]
metric = "temperature"
service = "ff01"
characteristic = "ffa1"
"""

COMMAND = """
[[commands]]
name = "switch"
service = "ff01"
characteristic = "ffa3"
"""

REQUEST = """
[[requests]]
name = "state"
service = "ff01"
write = "ffa2"
notify = "ffa1"
payload = "01"
"""


def parsed(text: str):
    return PROFILE_FILES.parse(text, Path("test.toml"))


def test_a_point_that_repeats_has_a_number_a_place_and_a_flag_of_its_own_each_time():
    profile = parsed(HEAD + POINT + 'at = 6\nrepeats = [3, 2]\ntitle = "Probe"\nflags = { at = 1, at_least = 1 }')
    assert [(point.metric, point.at, point.title, point.flags.at_least) for point in profile.points] == [
        ("temperature_1", 6, "Probe 1", 1),
        ("temperature_2", 8, "Probe 2", 2),
        ("temperature_3", 10, "Probe 3", 3),
    ]


def test_a_point_of_a_request_is_where_the_request_is_answered():
    content = HEAD + REQUEST + 'notify_service = "ff09"\n' + POINT.replace('service = "ff01"', 'request = "state"')
    (point,) = parsed(content).points
    assert (point.service, point.characteristic) == ((full_uuid("ff09"),), full_uuid("ffa1"))


def test_defaults_count_for_each_point_that_does_not_say_otherwise():
    profile = parsed(
        HEAD
        + """
[defaults]
service = "ff01"
characteristic = "ffa1"
format = "uint16"

[[points]]
metric = "temperature"
format = "sint16"

[[points]]
metric = "co2"
at = 2
"""
    )
    assert [point.format for point in profile.points] == [Format.SINT16, Format.UINT16]
    assert {point.characteristic for point in profile.points} == {full_uuid("ffa1")}


def test_all_readings_of_a_point_share_one_metric():
    said = 'unit = "°C"\nurgent = true\ndead_band = 0.5\nreduce = "mean"\n'
    (point,) = parsed(HEAD + POINT + said).points
    metric = point.measured
    assert metric is point.measured
    assert (metric.name, metric.unit, metric.urgent, metric.dead_band, metric.reduce) == (
        "temperature",
        "°C",
        True,
        0.5,
        Reduce.MEAN,
    )


def test_a_device_is_read_every_five_minutes_unless_its_profile_sets_another_interval():
    assert parsed(HEAD + POINT).intervals == {"normal": timedelta(minutes=5)}
    assert parsed(HEAD + "[groups]\nnormal = 60\nrare = 86400\n" + POINT).intervals == {"normal": timedelta(minutes=1)}
    assert parsed(HEAD + POINT).connection.mode == "visit"


def test_the_points_of_a_standard_service_come_after_the_profiles_own():
    profile = parsed('services = ["180f"]\n' + HEAD + POINT)
    assert [(point.metric, point.group) for point in profile.points] == [("temperature", "normal"), ("battery", "slow")]
    assert profile.points[1].service == (full_uuid("180f"),)
    assert profile.points[1].decoded_by.valid == (0, 100)


def test_a_profile_with_a_point_of_the_same_name_keeps_its_own():
    profile = parsed('services = ["180f"]\n' + HEAD + POINT.replace("temperature", "battery"))
    assert [(point.metric, point.service) for point in profile.points] == [("battery", (full_uuid("ff01"),))]


def test_standard_services_alone_make_a_profile():
    assert [point.metric for point in parsed('services = ["180f"]\n' + HEAD).points] == ["battery"]


def test_uuids_may_be_written_short_and_are_kept_in_full():
    (point,) = parsed(HEAD + POINT.replace('"ff01"', '["0xFF01", "F0CD1400-95DA-4F4B-9AC8-AA55D312AF0C"]')).points
    assert point.service == (full_uuid("ff01"), "f0cd1400-95da-4f4b-9ac8-aa55d312af0c")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ('format = "uint12"', "point `temperature`.format: has to be 'bool', 'uint8'"),
        ('charakteristic = "ffa1"', "point `temperature`.charakteristic: no such key. Did you mean 'characteristic'?"),
        ('format = "uint16"\nlength = 2', "`length` is for texts"),
        ('format = "float32"\nbits = [0, 1]', "`bits` is for whole numbers, not for float32"),
        ("bits = [6, 3]", "exceed the 8 bits of uint8"),
        ('format = "utf8"\nscale = 2', "`scale` and `offset` are for numbers"),
        ("bits = [0, 1]\nscale = 2", "`scale` and `offset` are for numbers"),
        ("scale = 0", "`scale` cannot be 0"),
        ("valid = [5, 1]", "`valid` is [lowest, highest]"),
        ('format = "float32"\nvalues = { 1 = "on" }', "are for whole numbers, not for float32"),
        ("dead_band = 0", "has to be more than 0"),
        ('group = "hourly"', "there is no poll group 'hourly'; there are fast, normal, slow"),
        ('starts_with = "0g"', "'0g' is not a sequence of bytes"),
        ("at = -1", "has to be at least 0"),
    ],
)
def test_an_error_in_a_point_is_reported_with_its_fix(said, says):
    with pytest.raises(ProfileError, match=re.escape(says)):
        parsed(HEAD + POINT + said)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD, "points, commands or standard `services`"),
        (HEAD + POINT + POINT, "point `temperature` is there twice"),
        (HEAD + POINT.replace("ff01", "gg01"), "'gg01' is not a uuid: a uuid has 4, 8 or 32 hexadecimal digits"),
        (HEAD + POINT.replace("temperature", "status"), "a metric cannot be called 'status'"),
        (
            'services = ["1234"]\n' + HEAD,
            "'1234' is not a standard service with points; there are 1805, 1808, 1809, 180d, 180f, 1810, 181a, 181d",
        ),
        ('services = ["180a"]\n' + HEAD, "'180a' is not a standard service with points"),
        ('services = "180f"\n' + HEAD + POINT, "services: has to be a list, in [ ]"),
        (HEAD + POINT + "[[match]]\n", "a match without a condition would match every device"),
        (HEAD + POINT + '[[match]]\nname = "("', "'(' is not a regular expression"),
        (HEAD + POINT + "[[match]]\ndata = [{ at = 2 }]", "data needs either its `company` or its `service`"),
        (HEAD + POINT + '[connection]\nmode = "always"', "connection.mode: has to be 'visit' or 'stay'"),
        (HEAD + POINT + "[identity]\nserial_number = true", "identity.serial_number"),
        (HEAD.replace('edition = "1"\n', "") + POINT, "source.edition: is missing"),
        (HEAD.replace("climate-sensor", "Climate Sensor") + POINT, "family: has to be lower-case letters, digits and hyphens"),
        (HEAD + COMMAND + 'payload = "01 {level}"', "the payload has to contain each of its `parameters` once"),
        (HEAD + COMMAND + 'payload = "0"', "payload: is too short: at least 2 character(s)"),
        (HEAD + COMMAND + 'payload = "0x01"', "is not a sequence of bytes"),
        (
            HEAD + COMMAND + 'payload = "{level}"\nparameters = { level = {} }',
            "`between` is missing",
        ),
        (
            HEAD + COMMAND + 'payload = "{level}"\nparameters = { level = { format = "hex" } }',
            "a parameter is a number, a text (utf8) or a boolean",
        ),
        (
            HEAD + COMMAND + 'payload = "01"\nread_back = "light"\nshows = 1',
            "command `switch`: point `light` cannot be read back",
        ),
        (
            HEAD + COMMAND + 'payload = "{name}"\nparameters = { name = { format = "utf8" } }',
            "`characters` is [fewest, most], for a text (utf8), and only for one",
        ),
        (
            HEAD + COMMAND + 'payload = "{name}"\nparameters = { name = { format = "utf8", characters = [5, 1] } }',
            "`characters` is [lowest, highest]",
        ),
        (
            HEAD + COMMAND + 'payload = "{pin}"\nparameters = { pin = { between = [0, 9], secret = true } }',
            "a secret is not read back: set `read_back = false`",
        ),
        (
            HEAD + COMMAND + 'payload = "{pin}"\nparameters = { pin = { between = [0, 9], default = 10 } }',
            "the parameter pin does not accept its own default",
        ),
        (HEAD + POINT.replace('service = "ff01"', 'request = "state"'), "there is no request 'state'; there are none"),
        (HEAD + REQUEST + POINT.replace('service = "ff01"', 'request = "sate"'), "there is no request 'sate'; there are state"),
        (HEAD + POINT + "repeats = [0, 2]", "`repeats` is [how many, bytes from one to the next]"),
        (HEAD + POINT + REQUEST + REQUEST, "request `state` is there twice"),
        (
            HEAD + POINT + '[confirm]\nrequest = "state"\nmatches = "1"',
            "`confirm`: there is no request `state`; there are none",
        ),
        (HEAD + POINT + '[confirm]\nrequest = "state"\nmatches = "("', "'(' is not a regular expression"),
        (HEAD + POINT + "flags = { at_least = 1, present = 2 }", "the byte of `at_least` is a number"),
        (HEAD + POINT + 'format = "utf8"\nflags = { other_unit = { bit = 0, scale = 2 } }', "`other_unit` is for numbers"),
        (HEAD + COMMAND + 'payload = "01"\nshows = "on"', "`shows` needs a `read_back` that names a metric"),
        (HEAD + POINT + COMMAND + 'payload = "01"\nread_back = "temperature"', "`shows` is missing"),
        (HEAD + COMMAND + 'payload = "01"\n' + COMMAND + 'payload = "00"', "command `switch` is there twice"),
        (
            HEAD + COMMAND + 'payload = "01"\nanswer = { characteristic = "ffa4", done = [] }',
            "answer.done: has too few entries: at least 1",
        ),
    ],
)
def test_an_error_elsewhere_is_reported_with_its_fix(text, says):
    with pytest.raises(ProfileError, match=re.escape(says)):
        parsed(text)


def test_every_error_is_reported_with_its_line():
    text = HEAD + POINT + 'format = "uint12"\n' + POINT.replace("temperature", "humidity") + "scale = 0\nunits = 1\n"
    lines = text.splitlines()
    with pytest.raises(ProfileError) as told:
        parsed(text)
    places = {int(line.split(":")[1]): line for line in str(told.value).splitlines()}
    assert set(places) == {
        lines.index('format = "uint12"') + 1,
        lines.index('metric = "humidity"'),
        lines.index("units = 1") + 1,
    }
    assert "`scale` cannot be 0" in places[lines.index('metric = "humidity"')]
    assert "point `humidity`.units: no such key" in places[lines.index("units = 1") + 1]
    assert all(line.startswith("test.toml:") for line in places.values())


def test_an_error_between_points_is_reported_at_the_point():
    text = HEAD + POINT + POINT.replace("temperature", "humidity") + 'group = "hourly"\n'
    line = text.splitlines().index('metric = "humidity"') + 1
    with pytest.raises(ProfileError, match=rf"test.toml:{line}: point `humidity`: there is no poll group"):
        parsed(text)


def test_an_unknown_service_is_reported_with_its_line():
    with pytest.raises(ProfileError, match=r"test\.toml:2: services\.1:"):
        parsed(HEAD.replace("\n", '\nservices = ["180f", "abcd"]\n', 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "test.toml:1: is not TOML: "),
        (HEAD + "points = 1", r"source.points|`points` has to be a list"),
        ("points = 1\n" + HEAD, "`points` has to be a list of tables"),
        ("defaults = 1\n" + HEAD, "`defaults` has to be a table"),
        (HEAD.replace('"test"', '"other"') + POINT, "it is called 'other' inside; name and file must agree"),
    ],
)
def test_a_file_that_is_no_profile_at_all_is_named(text, says):
    with pytest.raises(ProfileError, match=says):
        parsed(text)


def test_a_profile_of_the_integrator_replaces_its_namesake(tmp_path):
    (tmp_path / "aranet4.toml").write_text(HEAD.replace('"test"', '"aranet4"') + POINT, encoding="utf-8")
    both = PROFILE_FILES.load([tmp_path])
    assert both["aranet4"].title == "A sensor made up for a test"
    assert both.keys() == PROFILE_FILES.load().keys()


def test_an_unreadable_folder_or_file_is_reported(tmp_path):
    with pytest.raises(ProfileError, match="there is no such folder"):
        PROFILE_FILES.load([tmp_path / "none"])
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(ProfileError, match=r"latin\.toml:1: cannot be read: it is not UTF-8 text"):
        PROFILE_FILES.load([tmp_path])


@pytest.mark.parametrize("profile", PROFILE_FILES.load().values(), ids=lambda profile: profile.name)
def test_built_in_profiles_have_lower_case_metrics_known_units_and_match_rules(profile):
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", point.metric) for point in profile.points)
    assert {point.unit for point in profile.points} <= {None, *UNITS}
    assert profile.match
    assert profile.maker
