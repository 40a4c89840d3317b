"""`xyte-gateway schema config`: the configuration that the cloud can send, as the Partner Portal needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from gateway.adapter import unknown_name
from gateway.cli.command_schemas import known_profiles
from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out, print_json
from gateway.command_parameters import described_value
from gateway.config.cloud_schema import gateway_schema, general_schema
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.field.configuration.child_configurations import profile_schema
from gateway.field.plugins import AdapterClass, usable


def show_configuration(
    profile: Annotated[str | None, typer.Option("--profile", help="Of a device with this profile, not of the gateway.")] = None,
    config: ConfigFile = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """List what the cloud can configure of the gateway or, with --profile, of a device; with --json as JSON Schema.

    With a configuration file, the entries are those of the file; without one, an entry may have any name. Secrets, addresses of
    the cloud, paths, the page and `may` are never among them.
    """
    with errors_shown(as_json=as_json):
        configuration, plugins = load_config(config, for_cloud=False, may_be_missing=True)
        if profile is not None:
            schema = _schema_of_profile(profile, configuration, usable(plugins))
        elif configuration.entries:
            schema = gateway_schema({entry.entry: type(entry) for entry in configuration.entries})
        else:
            schema = general_schema({name: adapter.settings_model for name, adapter in usable(plugins).items()})
    if as_json:
        print_json(schema)
    else:
        show_schema(schema)


def _schema_of_profile(name: str, configuration: Configuration, adapters: Mapping[str, AdapterClass]) -> Mapping[str, Any]:
    profiles = {known.profile.name: known.profile for known in known_profiles(configuration, adapters)}
    if name not in profiles:
        raise CommandFailed(unknown_name("profile", name, profiles), EXIT_WRONG)
    return profile_schema(profiles[name])


def show_schema(schema: Mapping[str, Any]) -> None:
    """Show a JSON Schema as a list of keys: what each accepts, and what it is for."""
    for key, value in _leaves(schema, schema, ()):
        unit = f" {value['unit']}" if "unit" in value else ""
        accepted = described_value(value, schema) or _kinds(value)
        about = value.get("description") or value.get("title", "")
        is_its_name = about.lower() == key[-1].replace("_", " ")
        told = "" if is_its_name or not about else f"; {about}"
        out.print(f"{'.'.join(key)}: {accepted}{unit}{told}", markup=False, soft_wrap=True)


_KINDS = {"array": "a list", "object": "a table", "string": "a text", "boolean": "true or false"}
_NUMBERS = {"integer": "a whole number", "number": "a number"}


def _kinds(value: Mapping[str, Any]) -> str:
    """Return the kinds of value that are accepted: `a text or a table`."""
    options = [one for one in value.get("anyOf", (value,)) if one.get("type") != "null"]
    kinds = ((_KINDS | _NUMBERS).get(str(one.get("type")), "a table") for one in options)
    return " or ".join(dict.fromkeys(kinds))


def _leaves(
    schema: Mapping[str, Any], part: Mapping[str, Any], key: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the keys that have no keys of their own. What is null counts as left out."""
    filled = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
    if len(filled) == 1:
        part = {**filled[0], **{name: value for name, value in part.items() if name != "anyOf"}}
    part = {**_resolved(schema, part), **{name: value for name, value in part.items() if name != "$ref"}}
    inner, items = part.get("properties"), _resolved(schema, part.get("items") or {})
    if "properties" in items:
        yield from _leaves(schema, items, (*key[:-1], f"{key[-1]}[]"))
    elif inner:
        for name, value in inner.items():
            yield from _leaves(schema, value, (*key, name))
    elif kinds := [one for one in _values_of(part).get("anyOf", ()) if "title" in one]:
        for kind in kinds:
            yield from _leaves(schema, kind, (*key, f"<{kind['title'].lower()}>"))
    elif key:
        yield key, part


def _values_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the values of a table with any keys."""
    found = part.get("additionalProperties")
    return found if isinstance(found, Mapping) else {}


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    resolved: Mapping[str, Any] = schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else {}
    return resolved
