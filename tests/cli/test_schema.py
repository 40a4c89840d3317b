"""`xyte-gateway schema`: what has to be entered in the Partner Portal."""

from __future__ import annotations

import json

import pytest

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
metric = "code"
address = 20
[[commands]]
name = "set_temperature"
title = "Set the temperature"
description = "takes some minutes"
metric = "set_point"
parameter = "celsius"
between = [5, 5000]
expires_after = 60
[[commands]]
name = "unlock"
metric = "code"
parameter = "pin"
between = [0, 9999]
secret = true
read_back = false
harmless_late = true
"""


@pytest.fixture
def own_profile(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "heater.toml").write_text(PROFILE)
    (tmp_path / "gateway.toml").write_text(
        '[cloud]\ncommand_expires_after = 120\n[[adapter]]\ntype = "modbus"\nhosts = ["127.0.0.1:1"]\nprofiles = ["profiles"]\n'
    )


async def test_the_portal_gets_each_command_with_its_parameters_as_json_schema(type_in, own_profile):
    code, out, _ = await type_in("schema", "commands", "--family", "heater", "--json")
    assert code == 0
    (family,) = json.loads(out)["families"]
    assert family["family"] == "heater"
    (profile,) = family["profiles"]
    assert (profile["adapter"], profile["profile"]) == ("modbus", "heater")
    temperature, unlock = profile["commands"]
    assert temperature == {
        "name": "set_temperature",
        "title": "Set the temperature",
        "description": "takes some minutes",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["celsius"],
            "properties": {
                "celsius": {"type": "number", "minimum": 5, "maximum": 3276.7, "title": "Celsius", "unit": "°C"},
            },
        },
        "is_proven": True,
        "expires_after_seconds": 60,
        "timeout_seconds": 120,
        "harmless_late": False,
        "restarts_device": False,
        "is_dangerous": False,
    }
    assert (unlock["title"], unlock["expires_after_seconds"], unlock["harmless_late"]) == ("Unlock", 120, True)
    assert unlock["parameters"]["properties"]["pin"]["writeOnly"]


async def test_a_person_gets_a_list_in_words(type_in, own_profile):
    code, out, _ = await type_in("schema", "commands", "--family", "heater")
    assert code == 0
    assert out.splitlines() == [
        "heater",
        "  heater (modbus): Heater",
        "    set_temperature  Set the temperature: takes some minutes",
        "        celsius: a number from 5 to 3276.7 °C",
        "    unlock  Unlock; its effect cannot be read back",
        "        pin: the digits of a number from 0 to 9999, secret",
    ]


async def test_the_profiles_of_all_adapters_are_there_without_a_configuration(type_in):
    code, out, _ = await type_in("schema", "commands", "--json")
    assert code == 0
    own = {command["name"]: command for command in json.loads(out)["gateway"]}
    assert {"reboot", "dump", "rescan", "admit", "ignore", "forget", "set_log_level", "update_firmware"} == own.keys()
    assert own["set_log_level"]["parameters"]["properties"]["level"]["enum"] == ["debug", "info", "warning", "error"]
    assert own["update_firmware"]["timeout_seconds"] > 3600, "a file takes longer than a command"
    profiles = [profile for family in json.loads(out)["families"] for profile in family["profiles"]]
    assert {profile["adapter"] for profile in profiles} == {"modbus", "ble", "serial"}
    assert all(profile["commands"] for profile in profiles)
    names = {command["name"] for profile in profiles for command in profile["commands"]}
    assert {"switch_relay_1", "set_volume", "press"} <= names


async def test_a_family_that_does_not_exist_is_a_mistake(type_in):
    code, _, err = await type_in("schema", "commands", "--family", "dispaly")
    assert (code, "there is no family 'dispaly'; did you mean display" in err) == (2, True)
    code, out, _ = await type_in("schema", "commands", "--family", "power-meter")
    assert (code, out) == (0, "no device of the family power-meter takes commands\n")


async def test_the_portal_gets_the_gateways_configuration_as_json_schema(type_in, own_profile):
    code, out, _ = await type_in("schema", "config", "--json")
    assert code == 0
    schema = json.loads(out)
    assert schema["properties"].keys() == {"cloud", "admission", "log", "models", "adapter"}
    assert schema["properties"]["adapter"]["properties"].keys() == {"modbus"}
    timeout = schema["properties"]["adapter"]["properties"]["modbus"]["properties"]["timeout"]
    assert (timeout["title"], timeout["unit"], timeout["minimum"], timeout["maximum"]) == ("Timeout", "s", 0.01, 30)


async def test_a_person_gets_each_key_of_the_gateways_configuration_with_its_form(type_in, own_profile):
    code, out, _ = await type_in("schema", "config")
    assert code == 0
    assert "cloud.telemetry_every: a number from 5 to 120 s" in out
    assert "adapter.modbus.retries: a whole number from 0 to 5" in out
    assert "hardware_key" not in out
    assert "cloud.may" not in out


async def test_without_a_configuration_an_entry_may_have_any_name(type_in):
    code, out, _ = await type_in("schema", "config")
    assert code == 0
    assert "adapter.<modbus>.retries" in out


async def test_the_portal_gets_the_configuration_of_a_profile_with_its_intervals_metrics_and_settings(type_in, own_profile):
    code, out, _ = await type_in("schema", "config", "--profile", "xy-md02", "--json")
    assert code == 0
    tables = json.loads(out)["$defs"]
    assert tables["Settings"]["properties"]["temperature_correction"]["unit"] == "°C"
    assert tables["PollIntervals"]["properties"]["normal"]["unit"] == "s"
    assert tables["DeadBands"]["properties"].keys() == {"temperature", "humidity"}
    code, out, _ = await type_in("schema", "config", "--profile", "heater", "--json")
    assert (code, "Settings" in json.loads(out)["$defs"]) == (0, False), "one of a folder of the configuration"


async def test_a_person_gets_each_key_of_a_profile_and_an_unknown_profile_is_refused(type_in, own_profile):
    code, out, _ = await type_in("schema", "config", "--profile", "xy-md02")
    assert code == 0
    assert "settings.temperature_correction: a number from -10 to 10 °C; is added to the measured temperature" in out
    assert "poll_every.normal: a number from 0.5 to 86400 s; how often this group is read; 15 s when it is left out" in out
    assert "metrics_left_out: a list" in out
    code, _, error = await type_in("schema", "config", "--profile", "xy-md03")
    assert code == 2
    assert "xy-md02" in error
