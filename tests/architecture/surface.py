"""List what others build on: the names, commands, keys and fields that only change on purpose.

`python tests/architecture/surface.py` writes the list anew; the difference in version control is what the changelog has to say.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.main import get_command

PINNED = Path(__file__).with_name("public_surface.json")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
TEST_TOOLS = ("bluetooth", "clock", "contract", "demo_devices", "devices", "hub", "modbus", "serial")
ADAPTERS = ("modbus", "ble", "serial")


def surface() -> dict[str, Any]:
    """Return everything that a user, a script or a third-party adapter may rely on."""
    return {
        "names of gateway.adapter": sorted(import_module("gateway.adapter").__all__),
        "names of gateway.testing": {name: public_names(import_module(f"gateway.testing.{name}")) for name in TEST_TOOLS},
        "commands": dict(commands()),
        "entry points": entry_points(),
        "keys of the configuration": sorted(config_keys()),
        "fields of the JSON API": dict(api_fields()),
    }


def public_names(module: Any) -> list[str]:
    """Return what a module exports: its `__all__`, or the classes and functions that it defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, it in vars(module).items()
        if not name.startswith("_") and (inspect.isclass(it) or inspect.isfunction(it)) and it.__module__ == module.__name__
    )


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of `xyte-gateway` with its options."""
    cli = import_module("gateway.cli")
    group = get_command(cli.app)
    for name in cli.COMMANDS:
        _, command, _ = group.resolve_command(group.context_class(group), [name])
        yield from _with_subcommands(name, command)


def _with_subcommands(name: str, command: Any) -> Iterator[tuple[str, list[str]]]:
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    yield name, sorted(option for option in options if option.startswith("-"))
    for inner in sorted(getattr(command, "commands", {})):
        yield from _with_subcommands(f"{name} {inner}", command.commands[inner])


def entry_points() -> dict[str, Any]:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return {"commands": project["scripts"], **project["entry-points"]}


def config_keys() -> Iterator[str]:
    """Each key of `gateway.toml`, and each key of an `[[adapter]]` entry by its type."""
    yield from _keys(import_module("gateway.config.settings").Settings.model_json_schema(mode="validation"), "")
    for name in ADAPTERS:
        adapters = import_module(f"adapters.{name}")
        (adapter,) = [it for it in vars(adapters).values() if inspect.isclass(it) and hasattr(it, "settings_model")]
        yield from _keys(adapter.settings_model.model_json_schema(mode="validation"), f"adapter ({name})")


def _keys(schema: Mapping[str, Any], at: str) -> Iterator[str]:
    return _fields(schema, schema.get("$defs", {}), at)


def api_fields() -> Iterator[tuple[str, list[str]]]:
    """Each operation of the JSON API with the fields of its answer."""
    document = import_module("gateway.status.openapi").openapi()
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answer = operation["responses"]["200"]["content"].get("application/json", {}).get("schema", {})
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = {*_fields(answer, schemas, ""), *(f"body {it}" for it in _fields(body, schemas, ""))}
            yield f"{method.upper()} {path}", sorted(fields)


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any], at: str, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Every field of a JSON schema by its path, through references, alternatives, lists and tables."""
    reference = schema.get("$ref")
    if reference is not None:
        name = reference.rsplit("/", 1)[-1]
        if name not in seen:
            yield from _fields(definitions[name], definitions, at, (*seen, name))
    for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _fields(alternative, definitions, at, seen)
    if isinstance(schema.get("items"), dict):
        yield from _fields(schema["items"], definitions, at, seen)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _fields(schema["additionalProperties"], definitions, f"{at}.*".lstrip("."), seen)
    for name, field in schema.get("properties", {}).items():
        path = f"{at}.{name}".lstrip(".")
        yield path
        yield from _fields(field, definitions, path, seen)


if __name__ == "__main__":
    PINNED.write_text(json.dumps(surface(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
