"""The JSON Schema of profiles and case folders, which an editor checks a file by."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from adapters.ble.tools.workbench import BleWorkbench
from adapters.modbus.tools.workbench import ModbusWorkbench
from adapters.serial.tools.workbench import SerialWorkbench
from gateway.cli import app

ADAPTERS = Path(__file__).parents[2] / "adapters"
CASES = Path(__file__).parent
WORKBENCHES = {"modbus": ModbusWorkbench, "ble": BleWorkbench, "serial": SerialWorkbench}
FILES = [("profile", file) for file in sorted(ADAPTERS.glob("*/profiles/*.toml"))]
FILES += [(file.stem, file) for file in sorted(CASES.glob("*/cases/*/*/*.toml"))]


@pytest.fixture(scope="module")
def validators():
    made = {
        (adapter, kind): jsonschema_rs.Draft202012Validator(schema)
        for adapter, workbench in WORKBENCHES.items()
        for kind, schema in workbench().schemas().items()
    }
    assert {kind for _, kind in made} == {"profile", "device", "expected"}
    return made


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, list(words))


def mistakes(validators, adapter, kind, text):
    found = validators[adapter, kind].iter_errors(tomllib.loads(text))
    return [f"{list(one.instance_path)}: {one.message}" for one in found]


def adapter_of(file):
    return file.relative_to(ADAPTERS if file.is_relative_to(ADAPTERS) else CASES).parts[0]


def test_no_key_is_described_in_words_about_the_code():
    for workbench in WORKBENCHES.values():
        for schema in workbench().schemas().values():
            assert [one for one in schema.get("$defs", {}).values() if "enum" in one and "description" in one] == []


def test_each_shipped_profile_and_case_is_valid_by_its_schema(validators):
    seen, wrong = set(), {}
    for kind, file in FILES:
        adapter = adapter_of(file)
        if (adapter, kind) in validators:
            seen.add((adapter, kind))
            if found := mistakes(validators, adapter, kind, file.read_text("utf-8")):
                wrong[file.name, file.parent.name] = found
    assert wrong == {}
    assert seen == set(validators)


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("modbus/profiles/eastron-sdm120.toml", "unit =", "units ="),
        ("modbus/profiles/eastron-sdm120.toml", 'family = "', 'family = "Power '),
        ("modbus/profiles/eastron-sdm120.toml", 'table = "input"', 'table = "inputs"'),
        ("modbus/profiles/eastron-sdm120.toml", "address = 0x0000", "address = 70000"),
        ("modbus/profiles/eastron-sdm120.toml", "[defaults]", "[default]"),
        ("modbus/profiles/eastron-sdm120.toml", "metric =", "metrics ="),
        ("ble/profiles/aranet4.toml", 'format = "uint16"', 'format = "u16"'),
        ("ble/profiles/aranet4.toml", "[[points]]", "[[point]]"),
        ("serial/profiles/lg-display.toml", "ask =", "asks ="),
        ("serial/profiles/lg-display.toml", 'kind = "delimiter"', 'kind = "comma"'),
        ("serial/profiles/lg-display.toml", "command =", "commands ="),
        ("serial/profiles/shure-ulxd.toml", "each = [", "each = [1, "),
    ],
)
def test_a_mistake_in_a_profile_is_found_by_its_schema(validators, file, right, wrong):
    text = (ADAPTERS / file).read_text("utf-8")
    assert right in text
    adapter = file.partition("/")[0]
    assert mistakes(validators, adapter, "profile", text) == []
    assert mistakes(validators, adapter, "profile", text.replace(right, wrong, 1))


def test_the_grammar_is_listed_for_people_and_printed_for_editors(run):
    listed = run("schema", "profile", "modbus").stdout
    assert "points[].address: a whole number from 0 to 65535; 0-based protocol address" in listed
    assert "defaults.unit: a text" in listed
    printed = json.loads(run("schema", "profile", "serial", "--json").stdout)
    assert printed["properties"]["framing"]
    assert "found.profile: a text" in run("schema", "profile", "--file", "expected").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [(("knx",), "there is no adapter 'knx'"), (("modbus", "--file", "picture"), "there is no file 'picture'")],
)
def test_a_grammar_that_does_not_exist_is_told_with_those_that_do(run, words, told):
    refused = run("schema", "profile", *words)
    assert (refused.exit_code, told in refused.stderr) == (2, True), refused.stderr
