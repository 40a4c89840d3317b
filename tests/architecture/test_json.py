"""No part of the program can write JSON that is none: NaN and infinities, which Python's `json` writes by default."""

import ast
from pathlib import Path

import pytest
from pydantic import BaseModel
from source_tree import OURS, ROOT

from gateway import strict_json

WRITERS = {"dump", "dumps", "JSONEncoder"}
"""The names of `json` that write."""


def breaches(source, path="gateway/new.py"):
    """Return each place of a source that writes JSON by other means than `strict_json` or `allow_nan=False`."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    safe = {id(node.func) for node in nodes if isinstance(node, ast.Call) and _is_given(node, "allow_nan", {False})}
    return [f"{path}:{node.lineno} {why}" for node in nodes if id(node) not in safe and (why := _breach(node))]


def _breach(node):
    match node:
        case ast.ImportFrom(module="json") if any(alias.name in WRITERS for alias in node.names):
            return "imports a writer from json: use gateway.strict_json"
        case ast.Attribute(value=ast.Name(id="json")) if node.attr in WRITERS:
            return f"uses json.{node.attr} without allow_nan=False: use gateway.strict_json"
        case ast.Call(func=ast.Attribute(attr="json_response")) if any(word.arg in {"data", "dumps"} for word in node.keywords):
            return "lets aiohttp write JSON: give it the text"
        case ast.Call() if _is_given(node, "json") or _is_given(node, "json_serialize"):
            return "lets a library write JSON: give it the text"
        case ast.Call() if _is_given(node, "ser_json_inf_nan") and not _is_given(node, "ser_json_inf_nan", {"null"}):
            return "lets pydantic write NaN"
    return None


def _is_given(call, name, values=None):
    """Return whether a call has this keyword, with one of these constants."""
    given = [word.value for word in call.keywords if word.arg == name]
    return any(values is None or getattr(value, "value", None) in values for value in given)


def test_all_json_of_the_program_is_written_without_nan():
    sources = [path for package in OURS for path in (ROOT / package).rglob("*.py")]
    assert len(sources) > 250
    assert [found for path in sources for found in breaches(path.read_text("utf-8"), str(path.relative_to(ROOT)))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.dumps(1)",
        "import json\njson.dump(1, file)",
        "import json\njson.dumps(1, allow_nan=True)",
        "import json\nwrite = json.dumps",
        "import json\nclass Own(json.JSONEncoder): ...",
        "from json import dumps\ndumps(1)",
        "web.json_response(data=readings)",
        "session.post(url, json=readings)",
        "ClientSession(json_serialize=own)",
        "ConfigDict(ser_json_inf_nan='constants')",
    ],
)
def test_another_way_to_write_json_is_a_breach(source):
    assert len(breaches(source)) == 1


NOT_FINITE = {"nan": float("nan"), "list": [float("inf"), (-float("inf"), 1.5)], "inner": {"x": float("nan"), "y": "NaN"}}


def test_numbers_that_json_cannot_express_are_written_as_null():
    assert strict_json.dumps(NOT_FINITE) == '{"nan": null, "list": [null, [null, 1.5]], "inner": {"x": null, "y": "NaN"}}'
    assert strict_json.dumps({float("nan"): 1}) == '{"nan": 1}'
    assert strict_json.dumps({Path("a"): 1}.keys(), default=str, indent=1) == "\"dict_keys([PosixPath('a')])\""


def test_models_write_null_too():
    class Shown(BaseModel):
        value: float
        other: object

    assert Shown(value=float("nan"), other=NOT_FINITE).model_dump_json() == (
        '{"value":null,"other":{"nan":null,"list":[null,[null,1.5]],"inner":{"x":null,"y":"NaN"}}}'
    )
