"""Make forms of the tables of a configuration, and put their answers into its text, whose comments and layout stay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.command_secrets import is_secret_name, mask_by_name
from gateway.config.form_schema import ConfigurationSchema, FieldKind, SchemaField
from gateway.config.mistakes import dotted
from gateway.config.toml_editing import EditedToml, NotEditable, Place, toml_of, value_of
from gateway.status.configuration_view import ConfigurationForm, ConfigurationSection, FormField, FormPart, FormRow, TextMistake
from gateway.url_secrets import MASK, without_url_user

ENTRY_STEPS: Final = 2
"""An entry is at `("adapter", 0)`."""
NEW_MODELS: Final = 3
"""So many empty rows a form for names and values has."""
NAMING: Final = ("name", "host", "port", "address", "called", "profile")
"""The keys by which a person tells a table from others."""
TABLES: Final = (FieldKind.TABLE, FieldKind.TABLES, FieldKind.NAMED_TABLES)


def same_table(one: str, other: str, place: Place) -> bool:
    """Return whether two texts say the same at a place.

    Raises:
        NotEditable: one of them is no TOML.
    """
    return bool(EditedToml(one).value(place) == EditedToml(other).value(place))


class FileForms:
    """The forms of a configuration.

    Args:
        adapters: the adapter classes, by `type`.
        names: the names of all keys that hold a secret.
    """

    def __init__(self, adapters: Mapping[str, type[Adapter[Any]]], names: frozenset[str]) -> None:
        self._adapters = adapters
        self._names = names
        self._made: ConfigurationSchema | None = None

    @property
    def _schema(self) -> ConfigurationSchema:
        if self._made is None:
            self._made = ConfigurationSchema(self._adapters)
        return self._made

    def sections(self, text: str) -> list[ConfigurationSection]:
        """Return the tables that have a form: the entries first, then the types of new ones, then the sections.

        Raises:
            NotEditable: the text is no TOML.
        """
        toml = EditedToml(text)
        entries = toml.value(("adapter",)) or []
        found = [
            ConfigurationSection(
                name=str(entry.get("name") or entry.get("type", "")),
                at=("adapter", index),
                description=f"[[adapter]] of type {entry.get('type', '')}",
                facts=_facts(entry),
                can_remove=True,
            )
            for index, entry in enumerate(entries)
            if isinstance(entry, dict)
        ]
        found += [
            ConfigurationSection(name=kind, at=("adapter", len(entries)), description="", facts="", kind=kind)
            for kind in self._schema.types
        ]
        return found + [
            ConfigurationSection(
                name=name,
                at=(name,),
                description=description.partition(", as a table")[0],
                facts=_facts(toml.value((name,)) or {}),
            )
            for name, description in self._schema.sections.items()
        ]

    def form(
        self, text: str, place: Place, *, elsewhere: Mapping[str, str], mistakes: Sequence[TextMistake] = (), kind: str = ""
    ) -> ConfigurationForm | None:
        """Return the form of a table; `None` where there is none.

        Raises:
            NotEditable: the text is no TOML.
        """
        toml = EditedToml(text)
        fields = self._fields(toml, place, kind)
        if fields is None:
            return None
        value = toml.value(place)
        if place[0] == "adapter" and len(place) == ENTRY_STEPS:
            fields = [one for one in fields if one.key != "type"]  # another type is another entry
        asked = [one for one in fields if self._shown_kind(one, toml.value((*place, one.key))) not in TABLES]
        shown = [self._shown(one, toml.value((*place, one.key)), elsewhere.get(dotted((*place, one.key)), "")) for one in asked]
        parts = [self._part(one, place, toml) for one in fields if one not in asked]
        if place == ("child",):
            parts = [self._named(SchemaField(key="", kind=FieldKind.NAMED_TABLES, description=""), place, toml)]
        return ConfigurationForm(
            at=place,
            title=_title(place, value, kind),
            fields=shown,
            parts=parts,
            etag="",
            draft=None,
            is_new=value is None and isinstance(place[-1], int),
            kind=kind,
            mistakes=_by_key(place, mistakes, [one.key for one in asked]),
        )

    def filled_in(self, text: str, place: Place, answers: Mapping[str, str], kind: str = "") -> tuple[str, dict[str, str]]:
        """Return the text with the answers of a form, and what is wrong with single answers, by key.

        Raises:
            NotEditable: the text cannot be changed by forms.
        """
        toml = EditedToml(text)
        fields = self._fields(toml, place, kind)
        if fields is None:
            raise NotEditable("There is no such table (any more). Begin again from the configuration.")
        problems: dict[str, str] = {}
        written = _as_table(toml, place, kind)
        changes: dict[str, object] = {}
        for one in fields:
            if one.key not in answers or self._shown_kind(one, written.get(one.key)) in TABLES:
                continue
            before = self._shown(one, written.get(one.key), "").value
            try:
                changes |= _change(one, self._shown_kind(one, written.get(one.key)), answers[one.key], before)
            except ValueError as error:
                problems[one.key] = str(error)
        if place == ("models",):
            changes |= _model_changes(written, answers)
        if not problems:
            _put(toml, place, written, changes)
        return toml.text, problems

    def removed(self, text: str, place: Place) -> str:
        """Return the text without a table.

        Raises:
            NotEditable: the text cannot be changed by forms.
        """
        toml = EditedToml(text)
        toml.remove(place)
        return toml.text

    def _fields(self, toml: EditedToml, place: Place, kind: str) -> list[SchemaField] | None:
        fields = self._schema.fields(place, toml.tables, kind=kind) if place else None
        if place == ("models",):
            families = [*(toml.value(place) or {})]
            return [SchemaField(key=family, kind=FieldKind.TEXT, description="") for family in families]
        return fields

    def _shown_kind(self, one: SchemaField, value: object) -> FieldKind:
        """Return how a key is entered: as TOML, where it is written in another way than its schema says."""
        is_written_so = {
            FieldKind.TABLE: isinstance(value, dict),
            FieldKind.TABLES: isinstance(value, list),
            FieldKind.NAMED_TABLES: isinstance(value, dict),
            FieldKind.LINES: isinstance(value, list) and all(isinstance(item, str) and "\n" not in item for item in value),
            FieldKind.TEXT: isinstance(value, str) and "\n" not in value,
            FieldKind.BOOLEAN: isinstance(value, bool),
            FieldKind.CHOICE: str(value) in map(str, one.choices),
        }
        kind = FieldKind.SECRET if one.key in self._names else one.kind
        return kind if value is None or is_written_so.get(kind, True) else FieldKind.TOML

    def _shown(self, one: SchemaField, value: object, from_elsewhere: str) -> FormField:
        kind = self._shown_kind(one, value)
        return FormField(
            key=one.key,
            kind=kind.value,
            description=one.description,
            value="" if value is None or kind is FieldKind.SECRET else _written(one.key, kind, value),
            is_set=value is not None,
            default=_written(one.key, FieldKind.TEXT if kind is FieldKind.SECRET else kind, one.default)
            if one.has_default
            else "",
            choices=[str(choice) for choice in one.choices],
            minimum=_number_text(one.minimum),
            maximum=_number_text(one.maximum),
            unit=one.unit,
            is_required=one.is_required,
            from_elsewhere=from_elsewhere,
        )

    def _part(self, one: SchemaField, place: Place, toml: EditedToml) -> FormPart:
        inner, value = (*place, one.key), toml.value((*place, one.key))
        if one.kind is FieldKind.NAMED_TABLES:
            return self._named(one, inner, toml)
        if one.kind is FieldKind.TABLE:
            row = FormRow(name=_name(value, ""), at=inner, can_remove=value is not None)
            return FormPart(
                key=one.key, description=one.description, rows=[row] if value else [], new_at=None if value else inner
            )
        items = value if isinstance(value, list) else []
        rows = [FormRow(name=_name(item, str(index + 1)), at=(*inner, index)) for index, item in enumerate(items)]
        return FormPart(key=one.key, description=one.description, rows=rows, new_at=(*inner, len(items)))

    def _named(self, one: SchemaField, place: Place, toml: EditedToml) -> FormPart:
        value = toml.value(place)
        names = list(value) if isinstance(value, dict) else []
        rows = [FormRow(name=str(name), at=(*place, name)) for name in names]
        return FormPart(key=one.key, description=one.description, rows=rows, new_at=place, is_named=True)


def _as_table(toml: EditedToml, place: Place, kind: str) -> dict[str, Any]:
    """Return what a table says now; an item of a list that is written as a text is one with its first key."""
    value = toml.value(place)
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and isinstance(place[-1], int):
        return _short_form(str(place[-2]), value)
    return {"type": kind} if kind else {}


def _short_form(key: str, value: str) -> dict[str, Any]:
    """Return the table that a text in a list of hosts or ports stands for."""
    if key == "hosts" and value.count(":") == 1 and value.rpartition(":")[2].isdigit():
        host, _, port = value.rpartition(":")
        return {"host": host, "port": int(port)}
    return {key.removesuffix("s"): value}


def _put(toml: EditedToml, place: Place, written: Mapping[str, Any], changes: Mapping[str, object]) -> None:
    """Change the keys of a table one by one, or write it whole where it is new or was a text."""
    if not isinstance(toml.value(place), dict) and isinstance(place[-1], int):
        whole = {key: value for key, value in {**written, **changes}.items() if value is not None}
        if changes or toml.value(place) is None:
            toml.set(place, whole)
        return
    for key, value in changes.items():
        if value is None:
            toml.remove((*place, key))
        else:
            toml.set((*place, key), value)


def _change(one: SchemaField, kind: FieldKind, answer: str, before: str) -> dict[str, object]:
    """Return the new value of a key, `None` to leave it out; nothing where it stays.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    entered = answer.replace("\r\n", "\n").strip()
    if kind is FieldKind.SECRET:
        return {one.key: entered} if entered else {}
    if entered == before.strip() or (kind is FieldKind.BOOLEAN and not before and entered == _default_tick(one)):
        return {}
    if not entered:
        return {one.key: None}
    if MASK in entered:
        raise ValueError("has the mask of a secret in it: enter the whole value, or leave it as it was")
    return {one.key: _value(kind, entered, one)}


def _default_tick(one: SchemaField) -> str:
    return "true" if one.default is True else "false"


def _value(kind: FieldKind, entered: str, one: SchemaField) -> object:
    match kind:
        case FieldKind.BOOLEAN:
            return entered == "true"
        case FieldKind.INTEGER | FieldKind.NUMBER:
            return _number(entered, is_whole=kind is FieldKind.INTEGER)
        case FieldKind.LINES:
            return [line.strip() for line in entered.splitlines() if line.strip()]
        case FieldKind.TOML:
            return value_of(entered)
        case FieldKind.CHOICE:
            return next((choice for choice in one.choices if str(choice) == entered), entered)
    return entered


def _number(entered: str, *, is_whole: bool) -> int | float:
    plain = entered.replace(",", ".") if entered.count(",") == 1 and "." not in entered else entered
    try:
        number = float(plain)
    except ValueError as error:
        raise ValueError("has to be a number") from error
    if not math.isfinite(number) or (is_whole and not number.is_integer()):
        raise ValueError("has to be a whole number" if is_whole else "has to be a number")
    return int(number) if number.is_integer() else number


def _model_changes(written: Mapping[str, Any], answers: Mapping[str, str]) -> dict[str, object]:
    """Return the rows that were added to names and values."""
    added: dict[str, object] = {}
    for row in range(NEW_MODELS):
        name, value = answers.get(f"new-name-{row}", "").strip(), answers.get(f"new-value-{row}", "").strip()
        if name and value and name not in written:
            added[name] = value
    return added


def _written(key: str, kind: FieldKind, value: object) -> str:
    """Return a value as it is entered, with what is secret in it masked."""
    if kind is FieldKind.LINES and isinstance(value, list):
        return "\n".join(without_url_user(str(item)) for item in value)
    if kind is FieldKind.TOML:
        masked = mask_by_name({key: value})[key]
        return "" if value in ([], {}) else toml_of(masked)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number_text(value)
    return without_url_user(str(value)) if not is_secret_name(key) or key.endswith("_file") else MASK


def _number_text(number: float | None) -> str:
    return "" if number is None else str(int(number)) if float(number).is_integer() else repr(number)


def _facts(table: object) -> str:
    """Return what a table sets, in a few words."""
    if not isinstance(table, Mapping):
        return ""
    lists = [
        f"{len(value)} {key.removesuffix('s') if len(value) == 1 else key}"
        for key, value in table.items()
        if isinstance(value, list) and value
    ]
    keys = [
        str(key).replace("_", " ") for key, value in table.items() if not isinstance(value, list) and key not in ("type", "name")
    ]
    more = f" and {len(keys) - 4} more" if len(keys) > 4 else ""
    return ", ".join([*lists, *keys[:4]]) + more


def _name(value: object, otherwise: str) -> str:
    """Return what a person tells a table by."""
    if isinstance(value, str):
        return without_url_user(value)
    if isinstance(value, Mapping):
        named = [f"{key} {value[key]}" if key == "unit" else str(value[key]) for key in (*NAMING, "unit") if value.get(key)]
        return without_url_user(", ".join(named[:3])) or otherwise
    return otherwise


def _title(place: Place, value: object, kind: str) -> str:
    if place[0] != "adapter" or len(place) > 2:
        return _name(value, str(place[-1])) if len(place) > 1 and value is not None else str(place[0 if len(place) == 1 else -2])
    return _name(value, kind) if isinstance(value, Mapping) else kind


def _by_key(place: Place, mistakes: Sequence[TextMistake], keys: Sequence[str]) -> Mapping[str, Sequence[TextMistake]]:
    """Return the mistakes of a table, by its keys."""
    found: dict[str, list[TextMistake]] = {}
    for key, one in _within(dotted(place), mistakes):
        found.setdefault(key if key in keys else "", []).append(one)
    return found


def _within(prefix: str, mistakes: Sequence[TextMistake]) -> Iterator[tuple[str, TextMistake]]:
    for one in mistakes:
        if one.where == prefix:
            yield "", one
        elif one.where.startswith((f"{prefix}.", f"{prefix}[")):
            rest = one.where.removeprefix(prefix).lstrip(".")
            yield rest.partition(".")[0].partition("[")[0], one
