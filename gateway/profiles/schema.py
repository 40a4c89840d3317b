"""Make the JSON Schema of a file from its grammar: a profile, or a file of a case folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from gateway.profiles.files import ProfileFiles, as_they_are

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def profile_schema(files: ProfileFiles[Any]) -> Mapping[str, Any]:
    """Return the JSON Schema of the profiles of one adapter, as a person writes them.

    Where `[defaults]` count for each point, a point may leave out what they say. What only the checks between keys find is not
    in it: `profile check` tells that.
    """
    schema = file_schema(files.grammar)
    points = schema["properties"].get("points")
    if files.complete is as_they_are or points is None:
        return schema
    definitions = schema["$defs"]
    name = points["items"]["$ref"].removeprefix("#/$defs/")
    point = definitions[name]
    others = {key: value for key, value in point["properties"].items() if key != "metric"}
    definitions[name] = {**point, "required": ["metric"]}
    definitions["Defaults"] = {
        **point,
        "properties": others,
        "required": [],
        "title": "Defaults",
        "description": "Of all points.",
    }
    schema["properties"]["defaults"] = {
        "$ref": "#/$defs/Defaults",
        "description": "what counts for each point without a key of its own",
    }
    return schema


def file_schema(grammar: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a file with this grammar."""
    schema = grammar.model_json_schema()
    for definition in schema.get("$defs", {}).values():
        if "enum" in definition:
            definition.pop("description", None)  # it is about the code; the keys that have such a value are described
    return {"$schema": DIALECT, **schema}
