"""`xyte-gateway profile` for authors: what is wrong in a file."""

from __future__ import annotations

import json
import shutil

WRONG = """
name = "mine"
title = "A meter"
family = "Power Meter"
[source]
document = "manual"
edition = "1"
section = "2"
[[points]]
metric = "power"
adress = 1
datatype = "U16"
[[points]]
metric = "power"
address = 2
type = "Float"
"""


async def test_all_mistakes_are_told_by_the_grammar_that_knows_most_of_the_keys(type_in, tmp_path):
    (tmp_path / "mine.toml").write_text(WRONG, encoding="utf-8")
    code, _, err = await type_in("profile", "check", "mine.toml")
    assert code == 2
    for told in (
        "mine.toml:4: family: has to be lower-case letters",
        "mine.toml:11: point `power`.adress: no such key. Did you mean 'address'?",
        "mine.toml:12: point `power`.datatype: no such key. Did you mean 'type'?",
        "(it says 'U16'). Did you mean 'uint16'?",
        "mine.toml:14: point `power` is there twice",
        "(it says 'Float'). Did you mean 'float32'?",
    ):
        assert told in err
    assert "framing" not in err


async def test_a_program_gets_each_mistake_with_its_place(type_in, tmp_path):
    (tmp_path / "mine.toml").write_text(WRONG, encoding="utf-8")
    code, out, _ = await type_in("profile", "check", "mine.toml", "--json")
    told = json.loads(out)
    assert (code, told["file"], len(told["problems"])) == (2, "mine.toml", 6)
    assert {"where": "point `power`.adress", "wrong": "no such key", "right": "Did you mean 'address'?", "line": 11} in told[
        "problems"
    ]


async def test_a_folder_is_told_as_one(type_in, tmp_path):
    code, _, err = await type_in("profile", "check", str(tmp_path))
    assert code == 2
    assert "it is a folder" in err


TABLE = "Address;Name;Type;Unit;Factor\n40001;Voltage L1;U16;V;0.1\n40002;Power;INT32;W;\nabc;Odd;U16;;\n"
FACTS = ("--title", "Acme X1", "--maker", "Acme", "--family", "power meter", "--document", "Acme manual", "--points", "table.csv")


async def test_a_new_profile_is_made_from_the_makers_table_without_a_terminal(type_in, tmp_path):
    (tmp_path / "table.csv").write_bytes(TABLE.replace("Power", "Leistung ä").encode("cp1252"))
    code, _, err = await type_in("profile", "new", *FACTS)
    assert (code, list(tmp_path.glob("*.toml"))) == (2, [])
    assert "--addresses modicon" in err
    code, out, _ = await type_in("profile", "new", *FACTS, "--addresses", "modicon", "--json")
    made = json.loads(out)
    assert (code, made["file"], made["points"]) == (1, "acme-x1.toml", 2)
    assert made["refused"] == ["line 4: 'abc' is no address"]
    code, out, _ = await type_in("profile", "check", "acme-x1.toml")
    assert code == 0
    assert "voltage_l1" in out


async def test_a_file_that_is_there_is_replaced_only_by_force(type_in, tmp_path):
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "acme-x1.toml").write_text("mine", encoding="utf-8")
    code, _, err = await type_in("profile", "new", *FACTS, "--addresses", "modicon")
    assert (code, (tmp_path / "acme-x1.toml").read_text(encoding="utf-8")) == (2, "mine")
    assert "--force replaces it" in err
    assert (await type_in("profile", "new", *FACTS, "--addresses", "modicon", "--force"))[0] == 1
    assert 'metric = "power"' in (tmp_path / "acme-x1.toml").read_text(encoding="utf-8")


async def test_a_new_profile_comes_with_a_case_that_passes_and_the_grammar_for_editors(type_in, tmp_path):
    (tmp_path / "table.csv").write_text(
        "Address,Name,Type,Unit,Scale,Length,Table\n0,Voltage L1,U16,V,0.1,,\n1,Active power,INT32-CDAB,W,,,\n"
        "3,Energy import,FLOAT,kWh,,,\n9,Serial number,STRING,,,4,\n20,Running,BOOL,,,,coil\n",
        encoding="utf-8",
    )
    code, out, _ = await type_in("profile", "new", *FACTS, "--json")
    made = json.loads(out)
    assert (code, made["points"], made["case"], made["schema"]) == (0, 5, "cases/acme-x1/first", "modbus.schema.json")
    text = (tmp_path / "acme-x1.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema modbus.schema.json\n")
    assert "[not_available]\nint32 = []\nuint16 = []\n" in text
    device = (tmp_path / "cases/acme-x1/first/device.toml").read_text(encoding="utf-8")
    assert "made by profile new: replace the words by those of a device" in device
    test, check, on_device = (one.removeprefix("xyte-gateway ") for one in made["next_commands"])
    assert on_device == made["next"].removeprefix("xyte-gateway ")
    code, out, err = await type_in(*test.split())
    assert (code, "1 of 1 cases passed" in out) == (0, True), (out, err)
    code, _, err = await type_in(*check.split())
    assert code == 0
    assert "no case has a negative number, although `active_power` can be negative" in err
    assert "names no second source" in err
    expected = (tmp_path / "cases/acme-x1/first/expected.toml").read_text(encoding="utf-8")
    assert "voltage_l1 = 10.1\nactive_power = 102\nenergy_import = 103.5\n" in expected
    grammar = json.loads((tmp_path / "modbus.schema.json").read_text(encoding="utf-8"))
    assert grammar == json.loads((await type_in("schema", "profile", "modbus", "--json"))[1])


async def test_no_case_is_written_over_another_or_where_none_is_wanted(type_in, tmp_path):
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    code, out, _ = await type_in("profile", "new", *FACTS, "--addresses", "modicon", "--no-case", "--json")
    assert (code, json.loads(out)["case"], (tmp_path / "cases").exists()) == (1, None, False)
    (tmp_path / "acme-x1.toml").unlink()
    (tmp_path / "cases/acme-x1/first").mkdir(parents=True)
    code, _, err = await type_in("profile", "new", *FACTS, "--addresses", "modicon")
    assert (code, (tmp_path / "acme-x1.toml").exists()) == (2, False)
    assert "cases/acme-x1/first: there is such a case folder; --force replaces it" in err


async def test_a_row_that_the_grammar_refuses_is_left_out_with_its_line(type_in, tmp_path):
    table = "address,name,type\n0,Voltage,U16\n1,Long,Char[600]\n2,Other,U17\n"
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    code, out, _ = await type_in("profile", "new", *FACTS, "--json")
    made = json.loads(out)
    assert (code, made["points"]) == (1, 1), made
    assert [one.partition(":")[0] for one in made["refused"]] == ["line 3", "line 4"]


async def test_serial_and_bluetooth_profiles_are_made_of_tables_of_their_own(type_in, tmp_path):
    facts = ("--title", "Acme X3", "--family", "display", "--document", "manual", "--points", "table.csv")
    (tmp_path / "table.csv").write_text("ask;answer;name\nPWR?;PWR={power:d};Power\n", encoding="utf-8")
    code, _, err = await type_in("profile", "new", "serial", *facts, "--end", r"\r")
    assert (code, "--line" in err, (tmp_path / "acme-x3.toml").exists()) == (2, True, False)
    code, out, _ = await type_in("profile", "new", "serial", *facts, "--line", "9600 8N1", "--end", r"\r")
    assert (code, "cases/acme-x3/first: a case" in out) == (0, True)
    assert "1 of 1 cases passed" in (await type_in("profile", "test", "cases", "--profiles", "."))[1]
    assert (tmp_path / "serial.schema.json").exists()
    code, out, _ = await type_in("profile", "check", "acme-x3.toml")
    assert (code, "asks power" in out) == (0, True)
    code, _, err = await type_in("profile", "new", "ble", *facts, "--line", "9600 8N1", "--name", "acme-x4")
    assert (code, "--line: a profile for ble has no use for it" in err) == (2, True)
    (tmp_path / "table.csv").write_text("service;characteristic;name\n180f;2a19;Battery\n", encoding="utf-8")
    (tmp_path / "acme-x3.toml").unlink()  # the profiles of one folder are of one adapter
    shutil.rmtree(tmp_path / "cases")
    code, out, _ = await type_in("profile", "new", "ble", *facts, "--name", "acme-x4", "--json")
    made = json.loads(out)
    assert (code, made["points"], made["case"], made["schema"]) == (0, 1, "cases/acme-x4/first", "ble.schema.json")
    assert (await type_in("profile", "check", "acme-x4.toml"))[0] == 0
    assert "1 of 1 cases passed" in (await type_in("profile", "test", "cases", "--profiles", "."))[1]


async def test_the_only_block_of_a_profile_is_told_as_one(type_in, tmp_path):
    source = '[source]\ndocument = "manual"\nedition = "1"\nsection = "2"\n'
    point = '[[points]]\nmetric = "voltage"\ntable = "input"\naddress = 7\ntype = "uint16"\nunit = "V"\n'
    (tmp_path / "mine.toml").write_text(f'name = "mine"\ntitle = "M"\nfamily = "power-meter"\n{source}{point}', encoding="utf-8")
    code, out, _ = await type_in("profile", "check", "mine.toml")
    assert code == 0
    assert "\n1 block; it takes" in out
