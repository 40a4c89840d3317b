"""The settings of all built-in profiles: each has a schema with its keys, intervals and metrics, made without any bus."""

from __future__ import annotations

import pytest

from adapters.ble.profile.library import PROFILE_FILES as BLE
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS
from adapters.serial.profile.library import PROFILE_FILES as SERIAL
from gateway.field.configuration.child_configurations import profile_schema

PROFILES = {f"{kind}/{name}": profile for kind, files in (("modbus", MODBUS), ("ble", BLE), ("serial", SERIAL))
            for name, profile in files.load().items()}  # fmt: skip


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_a_schema_of_its_configuration(name):
    profile = PROFILES[name]
    schema = profile_schema(profile)
    tables = schema.get("$defs", {})
    assert tables.get("PollIntervals", {}).get("properties", {}).keys() == profile.intervals.keys()
    assert tables.get("Settings", {}).get("properties", {}).keys() == {rule.name for rule in profile.settings}


def test_settings_are_described_with_unit_and_range():
    settings = profile_schema(PROFILES["modbus/xy-md02"])["$defs"]["Settings"]["properties"]
    assert settings["temperature_correction"]["unit"] == "°C"
    assert settings["temperature_correction"]["anyOf"][0] == {"type": "number", "minimum": -10, "maximum": 10}
    volume = profile_schema(PROFILES["serial/samsung-mdc"])["$defs"]["Settings"]["properties"]["volume"]
    assert volume["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 100}
