"""Profile files: what they may say, and how a mistake is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.conversation_settings import Credentials
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.protocol import DeviceProtocol, plausible_serial_number
from gateway.adapter import ProfileError, Reduce

HEAD = """\
name = "test"
title = "A display made up for a test"
family = "display"
"""

SOURCE = """
[source]
document = "made up for a test"
edition = "1"
section = "all"

[framing]
kind = "delimiter"
end = "\\r"
"""

QUERY = """
[[queries]]
name = "power_state"
ask = "PWR?"
answer = "PWR={power:d}"
"""

POINT = """
[[queries.points]]
metric = "power"
"""

COMMAND = """
[[commands]]
name = "set_power"
ask = "PWR {power:d}"
answer = "OK"
parameters = { power = { values = { off = 0, on = 1 } } }
"""

WHOLE = HEAD + SOURCE + QUERY + POINT
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def parsed(text: str):
    return PROFILE_FILES.parse(text, Path("test.toml"))


def complaint(text: str) -> str:
    with pytest.raises(ProfileError) as told:
        parsed(text)
    return str(told.value)


def values(profile, payload: bytes, query: str = "power_state") -> dict[str, object]:
    protocol = DeviceProtocol(profile)
    answer = protocol.query_request(query).read(payload)
    return {reading.metric.name: reading.value for reading in protocol.readings_of(query, answer, "child", AT)}


def test_keys_that_are_left_out_have_the_most_common_values():
    profile = parsed(WHOLE)
    assert profile.lines == (LineSettings(baudrate=9600),)
    assert profile.intervals == {"normal": timedelta(seconds=30)}
    assert profile.talk.echo is None
    assert DeviceProtocol(profile).query_request("power_state").raw == b"PWR?\r"


def test_groups_are_those_of_queries_with_points():
    text = HEAD + "groups = { fast = 2, seldom = 3600 }\n" + SOURCE + QUERY + 'group = "fast"\n' + POINT
    assert parsed(text).intervals == {"fast": timedelta(seconds=2)}


def test_a_request_can_have_another_end_than_an_answer():
    assert (
        DeviceProtocol(parsed(HEAD + 'ends_with = "\\n"\n' + SOURCE + QUERY + POINT)).query_request("power_state").raw
        == b"PWR?\n"
    )
    assert DeviceProtocol(parsed(HEAD + 'ends_with = ""\n' + SOURCE + QUERY + POINT)).query_request("power_state").raw == b"PWR?"


def test_all_readings_of_a_point_share_one_metric():
    said = 'unit = "°C"\nurgent = true\ndead_band = 0.5\nreduce = "mean"\n'
    protocol = DeviceProtocol(parsed(WHOLE + said))
    answer = protocol.query_request("power_state").read(b"PWR=1")
    first, second = (protocol.readings_of("power_state", answer, "child", AT)[0].metric for _ in range(2))
    assert first is second
    assert (first.unit, first.urgent, first.dead_band, first.reduce) == ("°C", True, 0.5, Reduce.MEAN)


@pytest.mark.parametrize(
    ("said", "payload", "value"),
    [
        ("scale = 0.1\noffset = -40", b"PWR=651", 25.1),
        ('values = { 0 = "off", 1 = "on" }', b"PWR=1", "on"),
        ("values = { 0 = false, 1 = true }", b"PWR=0", False),
        ('values = { 0 = "off" }', b"PWR=7", "7"),
        ("not_available = [255]", b"PWR=255", None),
    ],
)
def test_a_field_is_converted_as_the_profile_specifies(said, payload, value):
    assert values(parsed(WHOLE + said), payload) == {"power": value}


def test_one_of_several_answers_matches_and_its_missing_fields_are_not_available():
    text = WHOLE.replace('answer = "PWR={power:d}"', 'answer = ["PWR={power:d}", "PWR={error:/ERR/}"]')
    assert values(parsed(text), b"PWR=ERR") == {"power": None}


def test_a_refusal_is_translated_into_its_reason():
    text = WHOLE + '[[refusals]]\nanswer = "ERR{code:d}"\nfield = "code"\nreasons = { 3 = "it is switched off" }\n'
    question = DeviceProtocol(parsed(text)).query_request("power_state")
    assert question.read(b"ERR3").refusal == "it is switched off"
    assert question.read(b"ERR9").refusal == "the device refuses it (9)"
    assert question.read(b"hello") is None


def test_an_answer_of_another_device_on_the_line_is_ignored():
    text = (HEAD + SOURCE + '[addresses]\nfield = "id"\nlast = 99\nusual = [1]\n' + QUERY + POINT).replace('"PWR', '"{id:02d}PWR')
    protocol = DeviceProtocol(parsed(text))
    question = protocol.query_request("power_state", 7)
    assert question.raw == b"07PWR?\r"
    assert question.read(b"08PWR=1") is None
    assert question.read(b"07PWR=1").values["power"] == 1
    assert protocol.query_request("power_state").raw == b"01PWR?\r"


def test_a_metric_has_the_unit_that_the_device_sends():
    text = WHOLE.replace("PWR={power:d}", "W={power:d} {unit}") + 'unit_field = "unit"\n'
    protocol = DeviceProtocol(parsed(text))
    units = [
        protocol.readings_of("power_state", protocol.query_request("power_state").read(said), "child", AT)[0].metric.unit
        for said in (b"W=5 kg", b"W=5 g")
    ]
    assert units == ["kg", "g"]


def test_a_log_in_hides_its_password():
    text = HEAD + SOURCE + '[talk]\nlogin = [{ expect = "Password:", send = "{password}\\r" }]\n' + QUERY + POINT
    talk = parsed(text).talk
    settings = talk.conversation_settings(Credentials(password=SecretStr("s3cret")))
    assert settings.login[0].send.get_secret_value() == "s3cret\r"
    assert "s3cret" not in repr(settings)


STEPS = (
    '[talk]\nuser = "factory"\nlogin = [{ expect = "User:", send = "{user}\\r" }, { expect = "Pass:", send = "{password}\\r" }]\n'
)


@pytest.mark.parametrize(("user", "sent"), [("", "factory\r"), ("ann", "ann\r"), ("{password}", "{password}\r")])
def test_a_log_in_sends_the_user_of_the_config_or_else_of_the_profile(user, sent):
    talk = parsed(HEAD + SOURCE + STEPS + QUERY + POINT).talk
    settings = talk.conversation_settings(Credentials(user, SecretStr("s3cret")))
    assert [step.send.get_secret_value() for step in settings.login] == [sent, "s3cret\r"]
    assert not any(step.is_user_missing or step.is_password_missing for step in settings.login)


def test_a_log_in_without_a_user_says_that_it_is_missing():
    talk = parsed(HEAD + SOURCE + STEPS.replace('user = "factory"\n', "") + QUERY + POINT).talk
    steps = talk.conversation_settings().login
    assert [(step.is_user_missing, step.is_password_missing) for step in steps] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + SOURCE, "a profile needs at least one point, in `queries` or `messages`"),
        (WHOLE + POINT, "point `power` occurs twice"),
        (WHOLE + QUERY, "query `power_state` occurs twice"),
        (WHOLE + COMMAND + COMMAND, "command `set_power` is there twice"),
        (WHOLE + "field = 'level'\n", "point `power`: there is no field 'level' in power_state; there are power"),
        (WHOLE + "unit_field = 'unit'\n", "point `power`: there is no field 'unit'"),
        (WHOLE + "unit = 'V'\nunit_field = 'power'\n", "either `unit`, set by the profile, or `unit_field`"),
        (WHOLE + "scale = 0\n", "scale must not be 0"),
        (WHOLE + "scale = 2\nvalues = { 0 = 'off' }\n", "scale and offset belong to plain numbers"),
        (WHOLE.replace('"power"', '"status"'), "a metric cannot be called 'status'"),
        (WHOLE.replace("PWR?", "PWR {level:d}?"), "query `power_state`.ask: its fields must be none, but are level"),
        (WHOLE.replace("{power:d}", "{power:q}"), "query `power_state`.answer: there is no format 'q'"),
        (
            WHOLE.replace('ask = "PWR?"\n', ""),
            "query `power_state`: without a `codec`, it needs `ask` and, for a query, `answer`",
        ),
        (WHOLE.replace(QUERY, QUERY + 'group = "hourly"\n'), "there is no poll group 'hourly'; there are fast, normal, slow"),
        (WHOLE + "[[match]]\nask = 'serial'\n", "match: there is no query or message 'serial'; there are power_state"),
        (WHOLE + "[[match]]\nask = 'power_state'\nwhere = { x = '1' }\n", "match: there is no field 'x'"),
        (WHOLE + "[[match]]\nask = 'power_state'\nwhere = { power = '(' }\n", "'(' is not a regular expression"),
        (WHOLE + "[[match]]\n", "a match has either `ask` or `hear`"),
        (WHOLE + "[identity]\nmodel = 'power_state.model'\n", "identity.model: there is no field 'model'"),
        (WHOLE + "[identity]\nmodel = 'model'\n", "identity.model: has to be a query or message and its field"),
        (WHOLE + "[[refusals]]\nanswer = 'ERR'\nfield = 'code'\n", "refusals: there is no field 'code' in 'ERR'"),
        (WHOLE + COMMAND.replace("{power:d}", "1"), "command `set_power`.ask: its fields must be power, but are none"),
        (WHOLE + COMMAND.replace("values = { off = 0, on = 1 }", ""), "give either `between`"),
        (WHOLE + COMMAND.replace('answer = "OK"\n', ""), "the effect must be confirmed"),
        (WHOLE + COMMAND.replace("values = { off = 0, on = 1 }", "characters = [5, 1]"), "`characters` is [lowest, highest]"),
        (WHOLE + COMMAND.replace("on = 1 }", "on = 1 }, secret = true"), "a secret is a text or a number"),
        (WHOLE + COMMAND.replace("on = 1 }", 'on = 1 }, default = "dim"'), "does not accept its own default"),
        (
            WHOLE + COMMAND.replace("values = { off = 0, on = 1 }", "between = [0, 9], secret = true") + 'read_back = "power"\n',
            "a secret is not read back",
        ),
        (WHOLE + COMMAND + 'read_back = "level"\n', "command `set_power`.read_back: no query has a point `level`"),
        (WHOLE + COMMAND + 'shows = "on"\n', "`shows` belongs to a `read_back`"),
        (WHOLE + COMMAND + "[settings]\npower = 'set_level'\n", "setting `power`: there is no command 'set_level'"),
        (WHOLE + "[addresses]\nfield = 'id'\nusual = [0]\n", "0 is not one of the addresses"),
        (HEAD + SOURCE + "[[messages]]\nname = 'x'\nsays = '{v}'\nopen = true\n", "`may_be_quiet` is missing"),
        (HEAD + 'codec = "adapters.serial.codecs.nmea:Nothing"\n' + SOURCE + QUERY + POINT, "there is no class 'Nothing'"),
        (HEAD + 'codec = "adapters.serial.none:X"\n' + SOURCE + QUERY + POINT, "'adapters.serial.none' cannot be imported"),
        (WHOLE.replace('family = "display"', 'family = "A Display"'), "family: has to be lower-case letters, digits and hyphens"),
        (WHOLE.replace('edition = "1"\n', ""), "source.edition: is missing"),
        (WHOLE.replace('kind = "delimiter"', 'kind = "lines"'), "framing.kind: has to be 'delimiter'"),
        (HEAD + 'line = "fast"\n' + SOURCE + QUERY + POINT, "line: 'fast' is not a line setting"),
    ],
)
def test_a_mistake_in_a_profile_is_an_error_that_says_how_to_fix_it(text, told):
    assert told in complaint(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (WHOLE.replace("{power:d}", "{power:q}"), 'answer = "PWR={power:q}"'),
        (WHOLE + "field = 'level'\n", 'metric = "power"'),
        (WHOLE + COMMAND + 'read_back = "level"\n', 'read_back = "level"'),
        (WHOLE + "[identity]\nmodel = 'power_state.model'\n", "model = 'power_state.model'"),
        (WHOLE + "unitt = 'V'\n", "unitt = 'V'"),
    ],
)
def test_a_mistake_is_reported_with_its_line_number(text, place):
    assert complaint(text).startswith(f"test.toml:{text.splitlines().index(place) + 1}: ")


@pytest.mark.parametrize(
    ("told", "believed"),
    [("805KC", "805KC"), ("0", None), ("000000", None), ("N/A", None), ("", None), ("FFFF", None), ("0012", "0012")],
)
def test_a_placeholder_is_not_a_serial_number(told, believed):
    assert plausible_serial_number(told) == believed


def test_a_profile_of_the_integrator_replaces_its_namesake(tmp_path):
    (tmp_path / "pjlink.toml").write_text(WHOLE.replace('"test"', '"pjlink"'), encoding="utf-8")
    both = PROFILE_FILES.load([tmp_path])
    assert both["pjlink"].title == "A display made up for a test"
    assert both.keys() == PROFILE_FILES.load().keys()


@pytest.mark.parametrize("profile", PROFILE_FILES.load().values(), ids=lambda profile: profile.name)
def test_built_in_profiles_have_lower_case_metrics_known_units_and_match_rules(profile):
    points = [point for part in profile.parts for point in part.points]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", point.metric) for point in points)
    units = {"°C", "°", "m", "km/h", "h", "s", "V", "A", "W", "kW", "kWh", "kvar", "kvarh", "kVA", "Hz", "%", "dB", "dBm", "MHz"}
    assert {point.unit for point in points} <= {None, *units}
    assert profile.match
    assert all(rule.answer or rule.is_proven for rule in profile.commands)


NO_VALUE = '[no_value]\nmagnitude = 9.8e37\nwords = ["OL", "OVER"]\n'


def measured(answer: str, payload: bytes, no_value: str = NO_VALUE):
    """Return what a query with this answer template reads from a payload."""
    query = f'[[queries]]\nname = "power_state"\nask = "PWR?"\nanswer = "{answer}"\npoints = [{{ metric = "power" }}]\n'
    protocol = DeviceProtocol(parsed(HEAD + no_value + SOURCE + query))
    found = protocol.query_request("power_state").read(payload)
    return None if found is None else dict(found.values)


@pytest.mark.parametrize(
    "written",
    [
        *("9.91E37", "+9.91E+37", "9.9E37", "-9.9E37", "+9.90000000E+37", "9.9e+37", "99.0E36", "9.89999952e+37"),
        *("9.99999999e+37", "199.999E+99", "1e400", "OL", "ol", "+OL", "-OL", "OVER", "+Over"),
    ],
)
def test_numbers_and_words_that_stand_for_no_number_are_none_in_every_number_field(written):
    assert measured("{power:f}", written.encode()) == {"power": None}
    assert measured("{_:f},{power:f},{last:f}", f"1.5,{written},-2".encode()) == {"power": None, "last": -2.0}
    assert measured("V {power:18f} V", f"V {written:>18} V".encode()) == {"power": None}


def test_other_numbers_and_words_are_as_without_the_table():
    assert measured("{power:f}", b"9.7E37") == {"power": 9.7e37}
    assert measured("{power:d}", b"OL") == {"power": None}
    assert measured("{power}", b"OL") == {"power": "OL"}
    assert measured("{power:hex2}", b"0A") == {"power": 10}
    assert measured("{power:f}", b"OLX") is None
    assert measured("{power:f}", b"OL", no_value="") is None
    assert measured("{power:f}", b"9.91E37", no_value="") == {"power": 9.91e37}


def test_a_number_that_is_none_in_a_profile_is_a_mistake():
    assert "finite number" in complaint(WHOLE + "scale = nan\n")
    assert "finite number" in complaint(WHOLE + "offset = inf\n")
