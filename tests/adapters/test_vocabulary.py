"""The vocabulary of metrics, and the shipped profiles by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.ble.advertisements.metrics import DEAD_BANDS
from adapters.ble.advertisements.plausibility import RANGES
from adapters.ble.profile.library import PROFILE_FILES as BLE
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS
from adapters.serial.profile.library import PROFILE_FILES as SERIAL
from gateway.cli import app
from gateway.metrics.vocabulary import VocabularyError, metric_mistake, parse_vocabulary, vocabulary
from gateway.profiles.workbench import ProfileWorkbench
from gateway.status.render.metric_titles import USUAL

CASES = Path(__file__).parent
FILES = [
    (files, file, CASES / adapter / "cases" / file.stem)
    for adapter, files in (("modbus", MODBUS), ("ble", BLE), ("serial", SERIAL))
    for file in sorted(files.folder.glob("*.toml"))
]
METRIC = '[{name}]\nunit = "V"\ntitle = "Voltage"\nabout = "Voltage"\n'


@pytest.mark.parametrize(("files", "file", "cases"), [pytest.param(*one, id=one[1].stem) for one in FILES])
def test_a_shipped_profile_passes_the_strict_check(files, file, cases):
    assert ProfileWorkbench(files, {}).remarks_of(file, cases) == []


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("soc", "battery_state_of_charge"),
        ("import_energy", "energy_import"),
        ("phase_voltage_ab", "voltage_l1_l2"),
        ("voltage_ca", "voltage_l3_l1"),
        ("phase_voltage_b", "voltage_l2"),
        ("energy_imported_tariff_2", "energy_import_tariff_2"),
        ("temp_2", "temperature_2"),
        ("setpoint", "set_point"),
        ("neutral_current", "current_n"),
        ("meter_power_l1", "grid_power_l1"),
        ("energy_yield", "energy_total"),
    ],
)
def test_a_synonym_is_told_with_the_accepted_name(name, accepted):
    assert vocabulary().accepted(name) == accepted
    assert vocabulary().entry(name) is None
    assert metric_mistake(name, None, is_number=False) == f"`{name}` is usually called `{accepted}`"
    assert vocabulary().accepted(accepted) is None
    assert vocabulary().entry(accepted) is not None


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("voltage_l1_l2", "voltage"),
        ("energy_import_tariff_1", "energy_import"),
        ("reactive_energy_import_l3", "reactive_energy"),
        ("battery_voltage", "voltage"),
        ("cabinet_temperature_max", "temperature"),
        ("dc_current_12", "current"),
        ("current_n", "current"),
        ("grid_power", "grid_power"),
    ],
)
def test_a_name_with_qualifiers_or_a_part_has_the_entry_of_its_base(name, base):
    assert vocabulary().entry(name) is vocabulary().entries[base]


@pytest.mark.parametrize("name", ["", "flow_of_time", "voltage_l4", "l1_voltage", "battery", "Voltage", "voltage_", "roof_power"])
def test_a_name_outside_of_the_vocabulary_has_no_entry(name):
    expected = vocabulary().entries.get(name)
    assert vocabulary().entry(name) is expected
    assert vocabulary().accepted(name) is None


def test_a_unit_that_a_metric_never_has_is_told():
    assert metric_mistake("voltage_l1", "A", is_number=True) == "`voltage_l1` is usually in V or mV or kV, not in A"
    assert metric_mistake("voltage_l1", None, is_number=True) == "`voltage_l1` has no unit; it is usually in V"
    assert metric_mistake("power_factor", "V", is_number=True) == "`power_factor` is usually in no unit, not in V"
    assert metric_mistake("power_factor", None, is_number=True) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (METRIC.format(name="a") + 'synonyms = ["b"]\n' + METRIC.format(name="b"), "a: its synonym 'b' is a metric of its own"),
        (
            METRIC.format(name="a") + 'synonyms = ["c"]\n' + METRIC.format(name="b") + 'synonyms = ["c"]\n',
            "b: its synonym 'c' stands for 'a', too",
        ),
        (METRIC.format(name="a").replace('"V"', '"Volt"'), "there is no unit 'Volt'"),
        (METRIC.format(name="a") + 'other_units = ["V"]\n', "a unit is there twice"),
        (METRIC.format(name="a") + "plausible = [2, 1]\n", "`plausible` is"),
        (METRIC.format(name="a") * 2, "overwrite|Cannot declare"),
        (METRIC.format(name="A"), "pattern"),
        (METRIC.format(name="a") + "colour = 1\n", "Extra inputs"),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(text, told):
    with pytest.raises(ValueError, match=told):
        parse_vocabulary(text)
    assert issubclass(VocabularyError, ValueError)


def test_every_title_of_the_vocabulary_has_a_translation():
    titles = {entry.title for entry in vocabulary().entries.values()}
    assert titles <= USUAL | {"Alarm 1 value"}


def test_the_bands_and_ranges_of_bluetooth_are_those_of_the_vocabulary():
    assert DEAD_BANDS["humidity"] == vocabulary().entries["humidity"].dead_band == 5.0
    humidity = next(one for one in RANGES if one.word == "humidity")
    assert (humidity.lowest, humidity.highest) == vocabulary().entries["humidity"].plausible


@pytest.fixture
def run():
    def invoke(*words):
        return CliRunner().invoke(app, list(words))

    return invoke


def test_a_strangers_profile_is_warned_and_refused_when_strict(run, tmp_path):
    file = tmp_path / "store.toml"
    source = 'source = { document = "data", edition = "1", section = "s" }\n'
    point = '[[points]]\nmetric = "soc"\naddress = 1\nunit = "%"\n'
    file.write_text(f'name = "store"\ntitle = "Store"\nfamily = "battery"\n{source}{point}', encoding="utf-8")
    told = run("profile", "check", str(file))
    assert told.exit_code == 0
    assert f"{file}:6: `soc` is usually called `battery_state_of_charge`" in told.stderr
    refused = run("profile", "check", str(file), "--strict")
    assert refused.exit_code == 1
    for remark in (f"{file}:6: `soc` is usually called", f"{file}:4: `[source]` names no second source"):
        assert remark in refused.stderr


PROFILE = """
name = "store"
title = "Store"
family = "{family}"
source = {{ document = "data", edition = "1", section = "s", checked_against = ["another"] }}
{rules}
[[points]]
metric = "{metric}"
address = 1
type = "{type}"
unit = "{unit}"
"""
METER = {"family": "power-meter", "metric": "active_power", "type": "int16", "unit": "W", "rules": "[not_available]\nint16 = []"}


def cases_with(folder, *expected):
    for number, readings in enumerate(expected):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "expected.toml").write_text(f"[readings]\n{readings}\n", encoding="utf-8")
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("changes", "expected", "told"),
    [
        ({"rules": ""}, ["active_power = -1"], '[not_available]` has no `int16 = [...]`: the numbers that mean "not available"'),
        ({}, [], "it has no case: `xyte-gateway profile new` makes the first one"),
        ({}, ["active_power = 1"], "no case has a negative number, although `active_power` can be negative"),
        ({}, ["active_power = 1", "active_power = -1"], None),
        ({"type": "float32", "rules": ""}, ["active_power = 1"], "no case has a negative number"),
        ({"type": "float32", "rules": "", "family": "ev-charger"}, ["active_power = 1"], None),
        ({"type": "float32", "rules": "", "metric": "active_power_import"}, ["active_power_import = 1"], None),
        ({"rules": "[not_available]\nint16 = [0x7FFF]"}, ["active_power = -1"], 'no case has a value that is missing ("<none>")'),
        ({"rules": "[not_available]\nint16 = [0x7FFF]"}, ["active_power = -1", 'active_power = "<none>"'], None),
        ({"type": "uint16", "rules": "[not_available]\nuint16 = []"}, ["active_power = 1"], None),
        ({"rules": "[not_available]\nint16 = []\n[defaults]\nvalid = [0, 9]"}, ['active_power = "<none>"'], None),
    ],
)
def test_a_strict_check_tells_rules_and_cases_that_a_profile_lacks(run, tmp_path, changes, expected, told):
    file = tmp_path / "store.toml"
    file.write_text(PROFILE.format(**METER | changes), encoding="utf-8")
    checked = run("profile", "check", str(file), "--strict", "--cases", str(cases_with(tmp_path / "cases", *expected)))
    assert (checked.exit_code, told in checked.stderr) == (1, True) if told else checked.exit_code == 0, checked.stderr


def test_a_case_that_is_no_toml_is_told_with_its_file(run, tmp_path):
    file = tmp_path / "store.toml"
    file.write_text(PROFILE.format(**METER), encoding="utf-8")
    checked = run("profile", "check", str(file), "--cases", str(cases_with(tmp_path / "cases", "active_power = -")))
    assert checked.exit_code == 2
    assert f"{tmp_path / 'cases' / '0' / 'expected.toml'}: " in checked.stderr


def test_the_vocabulary_is_printed_for_people_and_programs(run):
    assert "battery_state_of_charge" in run("schema", "metrics").stdout
    printed = json.loads(run("schema", "metrics", "--json").stdout)
    assert {one["name"] for one in printed["metrics"]} == set(vocabulary().entries)
