"""Name the types of arguments and options in the help of the commands as people do: a text, a file, a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from typer.core import TyperArgument, TyperOption

FOR_PEOPLE: Final[Mapping[str, str]] = {
    "str": "text",
    "int": "number",
    "float": "number",
    "path": "file",
    "list[str]": "text",
    "list[int]": "number",
    "list[path]": "file",
    "datetime": "time",
}
"""The names of types as typer writes them -> as people do."""


def name_types_for_people() -> None:
    """Have the help of all commands name types as people do."""
    for kind in (TyperArgument, TyperOption):
        if getattr(kind.display_type, "names_for_people", False):
            continue
        kind.display_type = _renamed(kind.display_type)  # type: ignore[method-assign]  # typer has no setting for it


def _renamed(written: Any) -> Any:  # noqa: ANN401 - a method of typer
    def display_type(self: Any, ctx: Any) -> str:  # noqa: ANN401 - typer keeps its own copy of click private
        name = str(written(self, ctx))
        bare = re.sub(r"^<|( range)?>$", "", name)
        return f"<{FOR_PEOPLE[bare]}>" if bare in FOR_PEOPLE else name

    display_type.names_for_people = True  # type: ignore[attr-defined]  # a mark on a function, so that it is wrapped once
    return display_type
