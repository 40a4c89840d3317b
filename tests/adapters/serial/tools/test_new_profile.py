"""A new profile of a serial device from a table of its requests and answers."""

from pathlib import Path

import pytest

from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.tools.workbench import SerialWorkbench
from gateway.adapter import NotOffered, ProfileFacts, ProfileProblems


def made_of(points, **known):
    given = {"line": "19200 8E1", "end": r"\r\n", "maker": "Acme", **known}
    facts = ProfileFacts(
        name="acme-x3", title="Acme X3", family="power-supply", document="manual", edition="1", section="2",
        points=points, **given,
    )  # fmt: skip
    return SerialWorkbench().new_profile(facts)


def profile_of(made):
    return PROFILE_FILES.parse(made.text, Path("acme-x3.toml"))


def test_each_request_becomes_a_query_with_the_points_of_its_answer():
    made = made_of(
        "Ask;Answer;Name;Unit;Scale;Values\n"
        "PWR?;PWR={power:d};Power;;;0=off, 1=on\n"
        "MEAS?;{voltage:f},{current:f};Voltage;V;;\n"
        "T?;T={t:d};Temperature (°C);;0,1;\n"
        "MEAS?;{voltage:f},{current:f};Current;A;/1000;\n"
        "'X'?;\\x02{x:d};X;;;\n"
    )
    assert (made.points, made.refused) == (5, ())
    profile = profile_of(made)
    assert (str(profile.line), profile.framing.end) == ("19200 8E1", (b"\r\n",))
    assert [(query.name, query.ask, len(query.points)) for query in profile.queries] == [
        ("power", "PWR?", 1), ("voltage", "MEAS?", 2), ("temperature", "T?", 1), ("x", "'X'?", 1),
    ]  # fmt: skip
    points = {point.metric: point for query in profile.queries for point in query.points}
    assert points["power"].values == {"0": "off", "1": "on"}
    assert (points["current"].scale, points["current"].unit, points["current"].field) == (0.001, "A", None)
    assert (points["temperature"].scale, points["temperature"].unit, points["temperature"].field) == (0.1, "°C", "t")


def test_each_row_that_is_no_point_is_told_with_its_line():
    made = made_of(
        "ask,answer,name,values,scale,field\n"
        "A?,A={a:d},Good,,,\n"
        "B?,B=,Without field,,,\n"
        '"C?","C={x:d},{y:d}",Two fields,,,\n'
        "D?,D={d:q},Unknown format,,,\n"
        "E?,E={e:d},Wrong values,on,,\n"
        "A?,A={other:d},Another answer,,,\n"
        "F?,F={f:d},Good,,,\n"
        ",G={g:d},No request,,,\n"
        "H?,H={h:d},Both,0=off,0.1,\n"
        "I?,I={i:d},Other field,,,j\n"
        "J{x:d}?,J={j:d},Field in the request,,,\n"
        "K?,K={k:d},Scale,,much,\n"
        "L?,L={l:d},1 line,,,\n"
    )
    assert made.points == 1
    told = dict(one.removeprefix("line ").split(": ", 1) for one in made.refused)
    assert list(told) == [str(line) for line in range(3, 15)]
    for line, why in {
        "3": "its answer has no field", "4": "has the fields x, y: name one", "6": "'on' is no meaning of a value",
        "7": "the request of line 2 has another answer there", "8": "good is in line 2 already", "9": "it has no request",
        "10": "scale and offset belong to plain numbers", "11": "no field 'j'", "12": "its fields must be none, but are x",
        "13": "'much' is no scale",
    }.items():  # fmt: skip
        assert why in told[line]
    assert all("acme-x3.toml" not in why for why in told.values())
    assert [point.metric for query in profile_of(made).queries for point in query.points] == ["good"]


@pytest.mark.parametrize(
    ("known", "why"),
    [({"line": None}, "--line"), ({"end": None}, "--end"), ({"line": "fast"}, "fast"), ({"points": "name\nx\n"}, "the request")],
)
def test_what_the_table_does_not_say_is_required(known, why):
    with pytest.raises(ProfileProblems, match=why):
        made_of(**{"points": "ask,answer,name\nA?,{a:d},A\n", **known})


def test_there_is_no_draft_of_a_serial_device():
    with pytest.raises(NotOffered, match="only a scan for Modbus devices writes drafts"):
        made_of("", draft="name = 'x'")


def run_case_of(made, tmp_path):
    (tmp_path / "acme-x3.toml").write_text(made.text, encoding="utf-8")
    folder = tmp_path / "cases" / "acme-x3" / "first"
    folder.mkdir(parents=True)
    for name, text in made.case.items():
        (folder / name).write_text(text, encoding="utf-8")
    return SerialWorkbench().run_case(folder, [tmp_path])


async def test_the_case_of_a_new_profile_passes(tmp_path):
    made = made_of(
        "ask;answer;name;values;scale\nPWR?;PWR={power:d};Power;0=off,1=on;\nMEAS?;{voltage:f},{current:f};Voltage;;0.1\n"
        "MEAS?;{voltage:f},{current:f};Current;;\nHEX?;H{x:hex2};Hex;;\nMODE?;M={mode:s};Mode;eco=saving;\nNAME?;N={n:s};Name;;\n"
        "RAW?;R={r:/[a-f]+/};Raw;;\n"
    )
    assert (made.points, made.refused) == (7, ())
    result = await run_case_of(made, tmp_path)
    assert result.differences == []
    for reading in ('power = "off"', "voltage = 2.2", "current = 23", "hex = ", 'mode = "saving"', "name = "):
        assert reading in made.case["expected.toml"]
    assert "made by profile new" in made.case["device.toml"]


async def test_an_answer_that_cannot_be_made_up_is_left_to_a_person(tmp_path):
    columns, raw, power = "ask;answer;name\n", "RAW?;R={r:/[a-f]+/};Raw\n", "PWR?;PWR={power:d};Power\n"
    assert made_of(columns + raw + power).case == {}
    made = made_of(columns + power + raw, maker=None)
    result = await run_case_of(made, tmp_path)
    assert result.differences == []
    assert "[readings]\npower = 21\n" in made.case["expected.toml"]
