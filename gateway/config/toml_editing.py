"""Change single values in the text of a configuration, whose comments and layout stay; the one file with tomlkit. Pure."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, InlineTable

from gateway.toml_text import read_toml

Place = tuple[str | int, ...]
"""A key of the tables: `("adapter", 0, "hosts", 3, "port")`."""


class NotEditable(Exception):
    """A text cannot be changed value by value; the text says why."""


OTHERWISE_WRITTEN = "This is written in a way that a form cannot change. Edit it as text."
NO_TOML = "The text is no TOML. Correct it as text first."


class EditedToml:
    """A text whose values are changed one by one.

    Raises:
        NotEditable: it is no TOML.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self.tables: dict[str, Any] = read_toml(text)
        except tomllib.TOMLDecodeError as error:
            raise NotEditable(NO_TOML) from error

    @cached_property
    def _document(self) -> tomlkit.TOMLDocument:
        """The text with all that is not its values; it takes ten times as long to read as the values."""
        try:
            return tomlkit.parse(self._text)
        except (TOMLKitError, RecursionError) as error:
            raise NotEditable(NO_TOML) from error

    def value(self, place: Place) -> Any:  # noqa: ANN401 - any TOML value
        """Return the value at a place; `None` where there is none."""
        value: Any = self.tables
        for step in place:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def set(self, place: Place, value: object) -> None:
        """Set a value; tables on the way to it are made, and an index behind the last item of a list adds one.

        Raises:
            NotEditable: on the way to it is something else than a table or a list.
        """
        try:
            _set(self.tables, place, copy.deepcopy(value))
            _set(self._document, place, value)
        except (TypeError, KeyError, IndexError) as error:
            raise NotEditable(OTHERWISE_WRITTEN) from error

    def remove(self, place: Place) -> None:
        """Remove a value, where there is one."""
        if not place or self.value(place) is None:
            return
        for root in (self.tables, self._document):
            parent: Any = root
            for step in place[:-1]:
                parent = parent[step]
            del parent[place[-1]]

    @property
    def text(self) -> str:
        """The text with all changes.

        Raises:
            NotEditable: it would say something else than what was set, by the way in which it is written.
        """
        text = tomlkit.dumps(self._document)
        try:
            is_right = read_toml(text) == self.tables
        except tomllib.TOMLDecodeError:
            is_right = False
        if not is_right:
            raise NotEditable(OTHERWISE_WRITTEN)
        return text


def toml_of(value: object) -> str:
    """Return a value as TOML writes it on one line."""
    return str(tomlkit.item(_on_one_line(value)).as_string())


def value_of(text: str) -> object:
    """Return the value that a TOML text of one value stands for.

    Raises:
        ValueError: it is none.
    """
    try:
        tables = read_toml(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        raise ValueError("is no TOML value: put texts in quotes, and lists in [ ] with commas") from error
    if tables.keys() != {"value"}:
        raise ValueError("is more than one value")
    return tables["value"]


def _set(root: Any, place: Place, value: object) -> None:  # noqa: ANN401 - tables of tomlkit or plain ones
    is_plain = type(root) is dict
    parent = root
    for step, following in pairwise(place):
        if isinstance(step, str) and step not in parent:
            parent[step] = _empty(following, parent, is_plain=is_plain)
        parent = parent[step]
    last = place[-1]
    written = value if is_plain else _item(value, parent)
    if isinstance(last, int) and last >= len(parent):
        _append(parent, written)
    elif isinstance(last, str) or is_plain:
        parent[last] = written
    else:
        _replace(parent, last, written)


def _empty(following: str | int, parent: Any, *, is_plain: bool) -> object:  # noqa: ANN401 - as above
    if is_plain:
        return [] if isinstance(following, int) else {}
    if isinstance(following, int):
        is_top = isinstance(parent, tomlkit.TOMLDocument)
        return tomlkit.aot() if is_top else tomlkit.array()
    return tomlkit.inline_table() if isinstance(parent, InlineTable) else tomlkit.table()


def _item(value: object, parent: Any) -> Any:  # noqa: ANN401 - as above
    """Return a value as tomlkit writes it in its parent: a table within a list or an inline table on one line."""
    if isinstance(value, Mapping) and isinstance(parent, AoT):
        table = tomlkit.table()
        table.update(value)
        return table
    return tomlkit.item(_on_one_line(value))


def _on_one_line(value: object) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for key, inner in value.items():
            table.append(str(key), _on_one_line(inner))
        return table
    if isinstance(value, Sequence) and not isinstance(value, str):
        array = tomlkit.array()
        for inner in value:
            array.append(_on_one_line(inner))
        return array
    return value


def _append(parent: Any, item: Any) -> None:  # noqa: ANN401 - as above
    if isinstance(parent, Array) and "\n" in parent.as_string():
        parent.add_line(item)
    else:
        parent.append(item)


def _replace(parent: Any, index: int, item: Any) -> None:  # noqa: ANN401 - as above
    if isinstance(parent, AoT):
        parent[index].clear()
        parent[index].update(item)
    else:
        parent[index] = item
