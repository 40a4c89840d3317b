"""Find the fields of a table of the configuration in its JSON Schema: kind, purpose, unit, range, choices, default. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.adapter import Adapter
from gateway.config.cloud_schema import SecondsSchema
from gateway.config.settings import Settings
from gateway.config.toml_editing import Place


class FieldKind(StrEnum):
    """A kind of form field, by which the value of a key is entered."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    SECRET = "secret"  # noqa: S105 - a word
    LINES = "lines"
    """A list of texts, one on each line."""
    TOML = "toml"
    """As TOML writes it, where no form fits."""
    TABLE = "table"
    """A table of its own."""
    TABLES = "tables"
    """A list of tables."""
    NAMED_TABLES = "named tables"
    """Tables by names that a person chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaField:
    """One key of a table."""

    key: str
    kind: FieldKind
    description: str
    default: object = None
    has_default: bool = False
    is_required: bool = False
    choices: Sequence[object] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""


_SHORT_FORMS = frozenset({"string", "integer"})


@dataclass(frozen=True, slots=True)
class _Node:
    schema: Mapping[str, Any]
    definitions: Mapping[str, Any]

    def inner(self, schema: Mapping[str, Any]) -> _Node:
        """Return a part of it, without references and without the choice of leaving it out."""
        while True:
            beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
            if "$ref" in schema:
                schema = {**self.definitions[schema["$ref"].rpartition("/")[2]], **beside}
            elif "anyOf" in schema:
                options = [one for one in schema["anyOf"] if one.get("type") != "null"]
                tables = [one for one in options if "$ref" in one]
                if len(tables) == 1 and all(one.get("type") in _SHORT_FORMS for one in options if one not in tables):
                    options = tables  # a table that may also be written in short, such as "9600 8N1"
                if len(options) != 1:
                    return _Node(beside, self.definitions)
                schema = {**options[0], **beside}
            else:
                return _Node(schema, self.definitions)


class ConfigurationSchema:
    """The schema of the whole configuration, with the adapters that are installed.

    Args:
        adapters: the adapter classes, by `type`.
    """

    def __init__(self, adapters: Mapping[str, type[Adapter[Any]]]) -> None:
        self._adapters = adapters
        whole = Settings.model_json_schema(schema_generator=SecondsSchema)
        self._settings = _Node(whole, whole.get("$defs", {}))
        self._entries: dict[str, _Node] = {}

    @property
    def types(self) -> list[str]:
        """The types of `[[adapter]]` entries."""
        return list(self._adapters)

    @property
    def sections(self) -> dict[str, str]:
        """The purpose of each section besides the entries, by name."""
        properties = self._settings.schema["properties"]
        return {name: str(one.get("description", "")) for name, one in properties.items() if name != "adapter"}

    def fields(self, place: Place, tables: Mapping[str, Any], *, kind: str = "") -> list[SchemaField] | None:
        """Return the keys of the table at a place; `None` where there is none.

        Args:
            place: where it is; an index behind the last item stands for a new one.
            tables: what the configuration says.
            kind: the type of a new entry.
        """
        node = self._node(place, tables, kind)
        if node is None or "properties" not in node.schema:
            return self._pairs(place)
        required = node.schema.get("required", ())
        return [_field(key, node.inner(one), is_required=key in required) for key, one in node.schema["properties"].items()]

    def _pairs(self, place: Place) -> list[SchemaField] | None:
        return [] if place in (("models",), ("child",)) else None

    def _node(self, place: Place, tables: Mapping[str, Any], kind: str) -> _Node | None:
        if place[:1] != ("adapter",):
            node, rest = self._settings, place
        elif len(place) < 2 or (found := self._entry(place[1], tables, kind)) is None:
            return None
        else:
            node, rest = found, place[2:]
        for step in rest:
            if isinstance(step, int):
                part = node.schema.get("items")
            else:
                part = node.schema.get("properties", {}).get(step) or node.schema.get("additionalProperties")
            if not isinstance(part, Mapping):
                return None
            node = node.inner(part)
        return node

    def _entry(self, index: str | int, tables: Mapping[str, Any], kind: str) -> _Node | None:
        entries = tables.get("adapter", ())
        if isinstance(index, int) and isinstance(entries, list) and index < len(entries) and isinstance(entries[index], dict):
            kind = str(entries[index].get("type", ""))
        if kind not in self._adapters:
            return None
        if kind not in self._entries:
            schema = self._adapters[kind].settings_model.model_json_schema(schema_generator=SecondsSchema)
            self._entries[kind] = _Node(schema, schema.get("$defs", {}))
        return self._entries[kind]


def _field(key: str, node: _Node, *, is_required: bool) -> SchemaField:
    schema = node.schema
    return SchemaField(
        key=key,
        kind=_kind(node),
        description=str(schema.get("description", "")),
        default=schema.get("default"),
        has_default=schema.get("default") is not None,
        is_required=is_required,
        choices=schema.get("enum", ()),
        minimum=_limit(schema, "minimum", "exclusiveMinimum"),
        maximum=_limit(schema, "maximum", "exclusiveMaximum"),
        unit=str(schema.get("unit", "")),
    )


def _limit(schema: Mapping[str, Any], *names: str) -> float | None:
    return next((schema[name] for name in names if isinstance(schema.get(name), int | float)), None)


def _kind(node: _Node) -> FieldKind:
    schema = node.schema
    if schema.get("format") == "password" or schema.get("writeOnly"):
        return FieldKind.SECRET
    if schema.get("enum"):
        return FieldKind.CHOICE
    match schema.get("type"):
        case "boolean":
            return FieldKind.BOOLEAN
        case "integer":
            return FieldKind.INTEGER
        case "number":
            return FieldKind.NUMBER
        case "string":
            return FieldKind.TEXT
        case "object":
            return _kind_of_object(node)
        case "array":
            items = node.inner(schema.get("items", {})).schema
            if "properties" in items:
                return FieldKind.TABLES
            return FieldKind.LINES if items.get("type") == "string" else FieldKind.TOML
    return FieldKind.TOML


def _kind_of_object(node: _Node) -> FieldKind:
    if "properties" in node.schema:
        return FieldKind.TABLE
    more = node.schema.get("additionalProperties")
    has_tables = isinstance(more, Mapping) and "properties" in node.inner(more).schema
    return FieldKind.NAMED_TABLES if has_tables else FieldKind.TOML
