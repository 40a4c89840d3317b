"""`xyte-gateway command`: one command on one device, as a person types it, on a real socket."""

from __future__ import annotations

import json

import pytest

from adapters.serial import SerialAdapter
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table
from gateway.testing.serial import Display, SerialLine

pytestmark = pytest.mark.enable_socket

PROFILE = """
name = "heater"
title = "Heater"
family = "heater"
source = { document = "this test", edition = "1", section = "1" }
[[points]]
metric = "set_point"
address = 10
type = "int16"
scale = 0.1
unit = "°C"
[[points]]
metric = "mode"
address = 11
values = { 0 = "off", 1 = "heat" }
[[points]]
metric = "code"
address = 12
[[points]]
metric = "fan"
table = "coil"
type = "bool"
address = 0
[[commands]]
name = "set_temperature"
description = "takes some minutes"
metric = "set_point"
parameter = "celsius"
between = [-5, 30]
[[commands]]
name = "set_mode"
metric = "mode"
parameter = "mode"
[[commands]]
name = "blow"
metric = "fan"
parameter = "on"
[[commands]]
name = "unlock"
metric = "code"
parameter = "pin"
between = [0, 9999]
secret = true
read_back = false
"""


@pytest.fixture
def unit():
    return SimulatedUnit(3, registers={Table.HOLDING_REGISTERS: {10: 180, 11: 0, 12: 0}, Table.COILS: {0: 0}})


@pytest.fixture
async def heater(tmp_path, unit):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "heater.toml").write_text(PROFILE)
    async with ModbusTcpHost([unit]) as host:
        (tmp_path / "gateway.toml").write_text(
            f'[[adapter]]\ntype = "modbus"\nname = "plant"\nprofiles = ["profiles"]\nunits = "3"\n'
            f'hosts = [{{ host = "127.0.0.1", port = {host.port} }}]\n'
            f'devices = [{{ unit = 3, profile = "heater", name = "Hall heater" }}]\n'
        )
        yield unit


def holding(unit, address):
    return unit.read(Table.HOLDING_REGISTERS, address, 1)[0]


async def test_a_command_is_carried_out_and_its_effect_told(type_in, heater):
    code, out, err = await type_in("command", "3", "set_temperature", "celsius=-2.5")
    assert (code, err) == (0, "")
    assert out.splitlines() == ["Hall heater at 3, profile heater", "set_point is -2.5 °C, was 18 °C"]
    assert holding(heater, 10) == 0x10000 - 25


async def test_a_program_gets_the_values_before_and_after(type_in, heater):
    code, out, _ = await type_in("command", "3", "plant", "set_mode", "mode=heat", "--json")
    assert code == 0
    assert json.loads(out) == {
        "address": "3",
        "name": "Hall heater",
        "profile": "heater",
        "command": "set_mode",
        "parameters": {"mode": "heat"},
        "message": "mode is heat, was off",
        "is_proven": True,
        "before": {"mode": "off"},
        "after": {"mode": "heat"},
    }


@pytest.mark.parametrize(("word", "is_on"), [("true", True), ("on", True), ("No", False)])
async def test_true_and_false_are_words(type_in, heater, word, is_on):
    code, out, _ = await type_in("command", "3", "blow", f"on={word}", "--json")
    assert (code, json.loads(out)["after"]) == (0, {"fan": is_on})


async def test_a_dry_run_says_what_would_be_written_and_writes_nothing(type_in, heater):
    code, out, _ = await type_in("command", "3", "set_temperature", "celsius=20", "--dry-run")
    assert code == 0
    assert out.splitlines()[1:] == [
        "set_temperature would do this, and nothing was written:",
        "  unit 3: write holding register 10 = 0x00C8 (set_point 20 °C), then read it back",
    ]
    assert holding(heater, 10) == 180
    code, out, _ = await type_in("command", "3", "set_temperature", "celsius=20", "--dry-run", "--json")
    assert json.loads(out)["would_write"] == ["unit 3: write holding register 10 = 0x00C8 (set_point 20 °C), then read it back"]


@pytest.mark.parametrize("arguments", [["command", "3"], ["command", "3", "plant"]])
async def test_without_a_name_the_commands_of_the_device_are_listed(type_in, heater, arguments):
    code, out, _ = await type_in(*arguments)
    assert code == 0
    assert "  set_temperature  Set temperature: takes some minutes\n      celsius: a number from -5 to 30 °C\n" in out
    assert "  set_mode  Set mode\n      mode: one of off, heat\n" in out
    code, out, _ = await type_in(*arguments, "--json")
    assert [one["name"] for one in json.loads(out)["commands"]] == ["set_temperature", "set_mode", "blow", "unlock"]


async def test_a_secret_comes_from_a_file_and_is_not_shown(type_in, heater, tmp_path):
    (tmp_path / "pin").write_text("4711\n")
    code, out, err = await type_in("command", "3", "unlock", "pin=@pin", "--json")
    assert (code, err) == (0, "")
    assert holding(heater, 12) == 4711
    assert json.loads(out)["parameters"] == {"pin": "********"}
    assert "4711" not in out
    code, _, err = await type_in("command", "3", "unlock", "pin=@nowhere")
    assert (code, "the pin cannot be read: nowhere: No such file" in err) == (2, True)
    code, _, err = await type_in("command", "3", "unlock", "pin=12345")
    assert (code, "12345" in err) == (2, False)
    code, out, _ = await type_in("command", "3", "unlock", "pin=1234", "--dry-run")
    assert (code, "1234" in out, "0x" in out) == (0, False, False)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["explode"], 2, "Hall heater has no command 'explode'; it has set_temperature, set_mode, blow, unlock"),
        (["set_temperature"], 2, "set_temperature takes the parameter 'celsius', and got none"),
        (["set_temperature", "celsius=20,5"], 2, "celsius has to be a number from -5 to 30, not '20,5'"),
        (["set_temperature", "celsius=NaN"], 2, "celsius has to be a number from -5 to 30, not nan"),
        (["set_temperature", "celsius=" + "1" * 5000], 2, "celsius has to be a number from -5 to 30"),
        (["set_temperature", "celsius=" + "[" * 100_000], 2, "celsius has to be a number from -5 to 30"),
        (["set_mode", "mode=grill"], 2, "mode has to be one of off, heat, not 'grill'"),
        (["blow", "on=maybe"], 2, "on has to be true or false, not 'maybe'"),
        (["plant", "set_mode", "heat"], 2, "there are too many names: plant set_mode heat; write parameters as KEY=VALUE"),
        (["blow", "on=true", "on=false"], 2, "a parameter is given twice"),
        (["attic", "blow", "on=true"], 2, "no entry is called 'attic'"),
    ],
)
async def test_a_mistake_is_told_and_nothing_written(type_in, heater, arguments, code, told):
    ended, out, err = await type_in("command", "3", *arguments, "--json")
    assert (ended, err) == (code, "")
    assert told in json.dumps(json.loads(out), ensure_ascii=False)
    assert [holding(heater, address) for address in (10, 11, 12)] == [180, 0, 0]


async def test_a_device_that_is_not_there_is_told(type_in, heater):
    code, _, err = await type_in("command", "7", "set_temperature", "celsius=20")
    assert (code, "unit 7" in err, "Traceback" in err) == (1, True, False)


async def test_a_display_is_commanded_without_a_config_and_a_port_in_use_is_left_alone(type_in, tmp_path):
    display = Display()
    async with SerialLine(display, link=tmp_path / "usb-display") as line:
        ports = f'ports=[{{ port = "{line.port}", line = "9600 8N1", profiles = ["samsung-mdc"] }}]'
        arguments = ["command", "samsung-mdc/1", "serial", "set_volume", "volume=12", "--with", ports]
        code, out, err = await type_in(*arguments)
        assert (code, err) == (0, "")
        assert out.splitlines()[-1] == "volume is 12, was 30"
        settings = {"type": "serial", "ports": [{"port": line.port, "line": "9600 8N1", "profiles": ["samsung-mdc"]}]}
        async with SerialAdapter(SerialAdapter.settings_model.model_validate(settings)):
            code, _, err = await type_in(*arguments[:4], "volume=50", *arguments[5:])
        assert (code, "Traceback" in err) == (1, False)
        assert "in use" in err or "open" in err
    assert display.volume == 12
