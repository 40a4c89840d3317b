"""Find every text of the page: in the templates, in the source of the page, and in what the rest of the gateway says.

`python tests/status/languages/update.py` brings the catalogues up to date with what is found here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from jinja2.ext import extract_from_ast
from said import COMPOSED, SAID

from adapters.ble import BleAdapter
from adapters.modbus import ModbusAdapter
from adapters.serial import SerialAdapter
from gateway.config.form_schema import ConfigurationSchema, FieldKind
from gateway.profiles.parameters import title_of
from gateway.status.render.assets import load_assets
from gateway.status.render.key_titles import CONTEXT
from gateway.status.render.templates import FOLDER, Templates

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "gateway" / "status"
FUNCTIONS = ("_", "gettext", "gettext_noop", "ngettext", "pgettext")
SCHEMA = ConfigurationSchema({"ble": BleAdapter, "modbus": ModbusAdapter, "serial": SerialAdapter})
ENVIRONMENT = Templates(load_assets())._environment


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A text that is translated; `plural` is empty where it does not depend on a number."""

    text: str
    plural: str = ""
    context: str = ""


def all_messages() -> set[Message]:
    return template_messages() | source_messages() | said_messages() | key_titles()


def template_messages() -> set[Message]:
    return {one for file in sorted(FOLDER.glob("*.html")) for one in messages_of_template(file)}


def messages_of_template(file: Path) -> set[Message]:
    found = extract_from_ast(ENVIRONMENT.parse(file.read_text()), FUNCTIONS, babel_style=False)
    return {_message(function, texts) for _line, function, texts in found}


def source_messages() -> set[Message]:
    return {one for file in sorted(PAGE.rglob("*.py")) for one in messages_of_source(ast.parse(file.read_text()))}


def messages_of_source(tree: ast.AST) -> set[Message]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    found = [(node.func.id, [_constant(one) for one in node.args]) for node in calls if node.func.id in FUNCTIONS]
    return {_message(function, [text for text in texts if text]) for function, texts in found if any(texts)}


def said_messages() -> set[Message]:
    """The sentences of other parts of the gateway, which stand in their source without a mark."""
    listed = {text for texts in SAID.values() for text in texts}
    return {Message(text) for text in _cause_texts() | listed | set(COMPOSED) | key_descriptions()}


def key_descriptions() -> set[str]:
    """What each key of the configuration is for, also those of the adapters that come with the gateway."""
    found = {description.partition(", as a table")[0] for description in SCHEMA.sections.values()}
    return found | {one.description for one in _keys() if one.description}


def key_titles() -> set[Message]:
    """The titles of these keys in forms."""
    return {Message(title_of(key), context=CONTEXT) for key in {one.key for one in _keys()} | set(SCHEMA.sections)}


def _keys():
    for section in SCHEMA.sections:
        yield from _keys_in((section, "any") if section == "child" else (section,), "")
    for kind in SCHEMA.types:
        yield from _keys_in(("adapter", 0), kind)


def _keys_in(place, kind: str):
    """Yield the keys of a table and of the tables within it."""
    steps = {FieldKind.TABLE: (), FieldKind.TABLES: (0,), FieldKind.NAMED_TABLES: ("any",)}
    for one in SCHEMA.fields(place, {}, kind=kind) or []:
        yield one
        if one.kind in steps:
            yield from _keys_in((*place, one.key, *steps[one.kind]), kind)


def skeletons(path: str) -> set[str]:
    """The texts of a source file, with a mark in the place of each value."""
    tree = ast.parse((ROOT / path).read_text())
    return {_skeleton(node) for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr))}


def _skeleton(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return _constant(node) or ""


def _cause_texts() -> set[str]:
    """What `gateway/causes.py` says of each cause."""
    tree = ast.parse((ROOT / "gateway" / "causes.py").read_text())
    words = next(node for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_WORDS")
    tuples = [node for node in ast.walk(words) if isinstance(node, ast.Tuple)]
    return {text for one in tuples for node in ast.walk(one) if (text := _constant(node))}


def _message(function: str, texts) -> Message:
    match function:
        case "ngettext":
            return Message(texts[0], plural=texts[1])
        case "pgettext":
            return Message(texts[1], context=texts[0])
    return Message(texts[0])


def _constant(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
