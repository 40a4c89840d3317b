"""Make the JSON Schema of a gateway's configuration in the cloud: titles, units and ranges from the settings themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ConfigDict, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.adapter import AdapterSettings
from gateway.command_secrets import is_secret_name
from gateway.config.cloud_fields import CloudConfiguration, entry_fields

DIALECT = GenerateJsonSchema.schema_dialect

_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_LOCAL_FORMATS = frozenset({"path", "password"})


class SecondsSchema(GenerateJsonSchema):
    """Describes a length of time as a number of seconds, as it is written."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Return a number with its unit and range."""
        limits = {name: schema.get(key) for key, name in _LIMITS.items()}
        return {
            "type": "number",
            "unit": "s",
            **{name: _number(limit) for name, limit in limits.items() if isinstance(limit, timedelta)},
        }

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - as pydantic has it
        """Return a default as JSON has it."""
        return _number(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def gateway_schema(entries: Mapping[str, type[AdapterSettings]]) -> dict[str, Any]:
    """Return the schema for a gateway with these `[[adapter]]` entries, by name.

    Args:
        entries: the settings class of each entry.
    """
    schema = CloudConfiguration.model_json_schema(schema_generator=SecondsSchema)
    adapter = schema["properties"]["adapter"]
    adapter["additionalProperties"] = False
    adapter["properties"] = {name: _hoisted(entry_schema(model), schema, name) for name, model in entries.items()}
    return {"$schema": DIALECT, **schema}


def general_schema(models: Mapping[str, type[AdapterSettings]]) -> dict[str, Any]:
    """Return the schema for every gateway, whatever its entries are called.

    Args:
        models: the settings class of each adapter, by `type`.
    """
    schema = CloudConfiguration.model_json_schema(schema_generator=SecondsSchema)
    kinds = [_hoisted(entry_schema(model), schema, name) for name, model in models.items()]
    schema["properties"]["adapter"]["additionalProperties"] = {"anyOf": kinds}
    return {"$schema": DIALECT, **schema}


def entry_schema(model: type[AdapterSettings]) -> dict[str, Any]:
    """Return the schema of one `[[adapter]]` entry, without secrets, paths and all else that the cloud cannot set."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in entry_fields(model).items()}
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, title=model.__name__.removesuffix("Settings"))
    part = create_model(model.__name__, __config__=config, __doc__=model.__doc__, **fields)
    schema = part.model_json_schema(schema_generator=SecondsSchema)
    schema.pop("required", None)  # the file has what is required
    for inner in (schema, *schema.get("$defs", {}).values()):
        _leave_out_local(inner)
    return schema


def _leave_out_local(schema: dict[str, Any]) -> None:
    """Remove the properties of an object that are secrets or paths."""
    properties = schema.get("properties", {})
    local = {name for name, value in properties.items() if is_secret_name(name) or _formats_in(value) & _LOCAL_FORMATS}
    for name in local:
        del properties[name]
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in local]


def _formats_in(schema: Any) -> set[str]:  # noqa: ANN401 - JSON has values of any type
    parts: Iterable[Any] = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = {schema["format"]} if isinstance(schema, dict) and isinstance(schema.get("format"), str) else set()
    return own.union(*(_formats_in(part) for part in parts))


def _hoisted(inner: dict[str, Any], schema: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Move the definitions of an inner schema to the outer one, under names of their own."""
    definitions = inner.pop("$defs", {})
    names = {f"#/$defs/{name}": f"#/$defs/{prefix}.{name}" for name in definitions}
    renamed = _with_references({"own": inner, "defs": definitions}, names)
    schema.setdefault("$defs", {}).update({f"{prefix}.{name}": value for name, value in renamed["defs"].items()})
    own: dict[str, Any] = renamed["own"]
    return own


def _with_references(schema: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON has values of any type
    if isinstance(schema, dict):
        return {
            key: names.get(value, value) if key == "$ref" and isinstance(value, str) else _with_references(value, names)
            for key, value in schema.items()
        }
    return [_with_references(part, names) for part in schema] if isinstance(schema, list) else schema


def _number(length: timedelta) -> float:
    seconds = length.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds
