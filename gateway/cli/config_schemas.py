"""`xyte-gateway schema config`: the configuration that the cloud can send, as the Partner Portal needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.common import AsJson, ConfigFile, errors_shown, load_config, out, print_json
from gateway.command_parameters import described_value
from gateway.config.cloud_schema import gateway_schema, general_schema
from gateway.config.settings import DEFAULT_FILE
from gateway.field.plugins import usable


def show_configuration(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """List what the cloud can configure of the gateway; with --json as JSON Schema with titles, units and ranges.

    With a configuration file, the entries are those of the file; without one, an entry may have any name. Secrets, addresses of
    the cloud, paths, the page and `may` are never among them.
    """
    with errors_shown(as_json=as_json):
        configuration, plugins = load_config(config, for_cloud=False, may_be_missing=True)
        if configuration.entries:
            schema = gateway_schema({entry.entry: type(entry) for entry in configuration.entries})
        else:
            schema = general_schema({name: adapter.settings_model for name, adapter in usable(plugins).items()})
    if as_json:
        print_json(schema)
    else:
        show_schema(schema)


def show_schema(schema: Mapping[str, Any]) -> None:
    """Show a JSON Schema as a list of keys: what each accepts, and what it is for."""
    for key, value in _leaves(schema, schema, ()):
        unit = f" {value['unit']}" if "unit" in value else ""
        accepted = described_value(value, schema) or _KINDS.get(str(value.get("type")), "a value of its own form")
        out.print(f"{'.'.join(key)}: {accepted}{unit}; {value.get('description', '')}", markup=False, soft_wrap=True)


_KINDS = {"array": "a list", "object": "a table"}


def _leaves(
    schema: Mapping[str, Any], part: Mapping[str, Any], key: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the keys that have no keys of their own."""
    part = {**_resolved(schema, part), **{name: value for name, value in part.items() if name != "$ref"}}
    inner = part.get("properties")
    if inner:
        for name, value in inner.items():
            yield from _leaves(schema, value, (*key, name))
    elif "anyOf" in (kinds := part.get("additionalProperties") or {}):
        for kind in kinds["anyOf"]:
            yield from _leaves(schema, kind, (*key, f"<{kind['title'].lower()}>"))
    elif key:
        yield key, part


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    resolved: Mapping[str, Any] = schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else {}
    return resolved
