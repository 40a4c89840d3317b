"""What adapters/README.md shows an author is true."""

import re
from pathlib import Path

import pytest

from adapters.ble.profile.library import PROFILE_FILES as BLE_PROFILES
from adapters.ble.tools.workbench import BleWorkbench
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS_PROFILES
from adapters.modbus.tools.workbench import ModbusWorkbench
from adapters.serial.profile.library import PROFILE_FILES as SERIAL_PROFILES
from adapters.serial.tools.workbench import SerialWorkbench
from gateway.adapter import ProfileFacts

README = Path(__file__).parents[2] / "adapters" / "README.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    ("name", "parse"),
    [("eastron-sdm120", MODBUS_PROFILES.parse), ("acme-probe", BLE_PROFILES.parse), ("acme-matrix", SERIAL_PROFILES.parse)],
)
def test_the_profile_that_is_shown_is_one(name, parse):
    (text,) = [example for example in EXAMPLES if f'name = "{name}"' in example]
    profile = parse(text, Path(f"{name}.toml"))
    assert profile.intervals


def test_profile_new_makes_the_shown_profile_of_the_shown_table():
    (table,) = re.findall(r"```csv\n(Register;.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (shown,) = [example for example in EXAMPLES if 'name = "acme-x2"' in example]
    facts = ProfileFacts(
        name="acme-x2", maker="Acme", title="Acme X2", family="power-meter", document="Acme X2 manual", edition="3",
        section="register table", points=table, addresses="modicon",
    )  # fmt: skip
    made = ModbusWorkbench().new_profile(facts)
    assert (f"#:schema modbus.schema.json\n{made.text}", made.refused) == (shown, ())


@pytest.mark.parametrize(
    ("begin", "workbench", "known", "metrics"),
    [
        ("ask;", SerialWorkbench, {"line": "9600 8N1", "end": r"\r"}, ["power", "voltage", "current"]),
        ("service;", BleWorkbench, {}, ["battery", "temperature", "model"]),
    ],
)
def test_the_other_tables_that_are_shown_make_profiles(begin, workbench, known, metrics):
    (table,) = re.findall(rf"```csv\n({begin}.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    facts = ProfileFacts(
        name="acme-x2", maker="Acme", title="Acme X2", family="display", document="manual", edition="3", section="table",
        points=table, **known,
    )  # fmt: skip
    made = workbench().new_profile(facts)
    assert (re.findall('^metric = "(.*)"$', made.text, re.MULTILINE), made.refused) == (metrics, ())
