"""The exported JSON Schema has titles, units and ranges from the settings, and nothing that the cloud cannot set."""

import json

from gateway.config.cloud_schema import gateway_schema, general_schema
from gateway.field.plugins import installed, usable

MODELS = {name: adapter.settings_model for name, adapter in usable(installed()).items()}


def properties(schema, *steps):
    for step in steps:
        schema = schema["properties"][step]
        while "$ref" in schema:
            schema = DEFINITIONS[schema["$ref"].removeprefix("#/$defs/")]
    return schema


SCHEMA = gateway_schema({"plant": MODELS["modbus"], "radio": MODELS["ble"], "rack": MODELS["serial"]})
DEFINITIONS = SCHEMA["$defs"]


def test_a_length_of_time_is_a_number_with_unit_and_range():
    every = properties(SCHEMA, "cloud", "telemetry_every")
    assert every["type"] == "number"
    assert (every["unit"], every["minimum"], every["maximum"], every["default"]) == ("s", 5, 120, 30)
    assert every["title"] == "Telemetry Every"
    assert properties(SCHEMA, "adapter", "plant", "discover_every")["minimum"] == 1


def test_every_reference_has_its_definition():
    text = json.dumps(SCHEMA)
    for reference in [part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]]:
        assert reference in DEFINITIONS


def test_no_secret_and_no_path_is_offered():
    offered = set(keys_of(SCHEMA))
    assert {"telemetry_every", "units", "bus", "ports", "called"} <= offered
    local = {
        "password",
        "password_file",
        "bind_key",
        "bind_key_file",
        "irk",
        "irk_file",
        "passkey",
        "passkey_file",
        "hardware_key",
        "entry_url",
        "may",
        "backend",
    }
    assert not offered & local


def keys_of(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from keys_of(part)


def test_unknown_keys_are_excluded_at_every_level():
    assert SCHEMA["additionalProperties"] is False
    assert properties(SCHEMA, "cloud")["additionalProperties"] is False
    assert properties(SCHEMA, "adapter")["additionalProperties"] is False
    assert properties(SCHEMA, "adapter", "plant")["additionalProperties"] is False


def test_the_general_schema_takes_any_entry_name_and_one_of_the_kinds():
    schema = general_schema(MODELS)
    kinds = schema["properties"]["adapter"]["additionalProperties"]["anyOf"]
    assert {kind["title"] for kind in kinds} == {"Modbus", "Ble", "Serial"}
