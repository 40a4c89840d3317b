"""`xyte-gateway profile` for authors: what is wrong in a file."""

from __future__ import annotations

import json

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
