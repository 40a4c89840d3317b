"""A new profile of a Bluetooth device from a table of its characteristics."""

from pathlib import Path

import pytest

from adapters.ble.advertisements.formats import Format
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.tools.workbench import BleWorkbench
from gateway.adapter import ProfileFacts, ProfileProblems


def made_of(points):
    facts = ProfileFacts(
        name="acme-x4", maker=None, title="Acme X4", family="plant-sensor", document="manual", edition="1", section="2",
        points=points,
    )  # fmt: skip
    return BleWorkbench().new_profile(facts)


def profile_of(made):
    return PROFILE_FILES.parse(made.text, Path("acme-x4.toml"))


OWN = "12345678-0000-1000-8000-00805f9b34fb"


def test_each_row_becomes_a_point():
    made = made_of(
        "Service,UUID,Name,Format,Offset,Length,Unit,Scale,Notify,Byte order\n"
        f"{OWN},{OWN.replace('-', '').upper()},Moisture,U16,0,2,%,/10,,\n"
        f'{OWN},{OWN},"Temperature [°C]",int16_t,0x02,,,"0,01",,big\n'
        "0x180F,2A19,Battery,,,,percent,,yes,\n"
        "180a,2a24,Model,string,0,4,,,no,\n"
    )
    assert (made.points, made.refused) == (4, ())
    profile = profile_of(made)
    assert profile.connection.mode == "stay"
    assert [(point.metric, point.format, point.at, point.length, point.unit, point.scale) for point in profile.points] == [
        ("moisture", "uint16", 0, None, "%", 0.1), ("temperature", "sint16", 2, None, "°C", 0.01),
        ("battery", "uint8", 0, None, "%", 1.0), ("model", "utf8", 0, 4, None, 1.0),
    ]  # fmt: skip
    assert [point.notify for point in profile.points] == [False, False, True, False]
    assert [point.byte_order for point in profile.points] == ["little", "big", "little", "little"]
    assert {point.characteristic for point in profile.points[:2]} == {OWN}


def test_each_row_that_is_no_point_is_told_with_its_line():
    made = made_of(
        "service,characteristic,name,format,at,length,notify,scale\n"
        "180f,2a19,Good,uint8,,,,\n"
        "18,2a19,Service,uint8,,,,\n"
        "180f,,Characteristic,uint8,,,,\n"
        "180f,2a19,Format,uint12,,,,\n"
        "180f,2a19,Offset,uint8,one,,,\n"
        "180f,2a19,Length,uint16,,4,,\n"
        "180f,2a19,Notify,uint8,,,perhaps,\n"
        "180f,2a19,Good,uint8,,,,\n"
        "180f,2a19,Far,uint8,600,,,\n"
        "180f,2a19,,uint8,,,,\n"
    )
    assert made.points == 1
    told = dict(one.removeprefix("line ").split(": ", 1) for one in made.refused)
    assert list(told) == [str(line) for line in range(3, 12)]
    for line, why in {
        "3": "'18' is no service", "4": "'' is no characteristic", "5": "'uint12' is no known format", "6": "'one' is no offset",
        "7": "a uint16 takes 2 bytes, and the length is 4", "8": "notify: 'perhaps'", "9": "good is in line 2 already",
        "10": "point `far`.at", "11": "it has no name",
    }.items():  # fmt: skip
        assert why in told[line]
    assert "[connection]" not in made.text


def test_a_table_without_characteristics_is_refused():
    with pytest.raises(ProfileProblems, match="no column is the characteristic"):
        made_of("service,name\n180f,x\n")


async def test_the_case_of_a_new_profile_passes_whatever_its_formats(tmp_path):
    rows = "".join(f"{OWN},{0x2A00 + at:04x},Value {one},{one}\n" for at, one in enumerate(Format))
    notified = "".join(f"{OWN},2b01,{name},{kind},{at},yes\n" for name, kind, at in (("Low", "sint16", 2), ("Late", "utf8", 6)))
    texts = "180a,2a24,Model,utf8\n180a,2a25,Serial number,utf8\n"
    columns = "service,characteristic,name,format,at,notify\n"
    made = made_of(columns + rows.replace("\n", ",,\n") + notified + texts.replace("\n", ",,\n"))
    assert (made.points, made.refused) == (len(Format) + 4, ())
    (tmp_path / "acme-x4.toml").write_text(made.text, encoding="utf-8")
    folder = tmp_path / "cases" / "acme-x4" / "first"
    folder.mkdir(parents=True)
    for name, text in made.case.items():
        (folder / name).write_text(text, encoding="utf-8")
    result = await BleWorkbench().run_case(folder, [tmp_path])
    assert result.differences == []
    assert "value_float32 = " in made.case["expected.toml"]
    assert 'subscribed = ["2b01"]' in made.case["expected.toml"]
    assert "made by profile new" in made.case["device.toml"]
