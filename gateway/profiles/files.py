"""Load and check the TOML files of device profiles, and report each mistake with its line.

Every adapter has profiles of its own grammar; what a file is, and how a mistake in it is told, is the same for all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.toml_lines import Location, line_of
from gateway.toml_text import read_toml

Content: TypeAlias = dict[str, object]
"""What a file says, before it is known to be a profile."""

ProfileT = TypeVar("ProfileT", bound=BaseModel)


class Source(BaseModel):
    """Where the facts of a profile come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str = Field(min_length=3, description="name and number of the maker's document, or of the best one there is")
    edition: str = Field(min_length=1, description="its edition, revision or date")
    section: str = Field(min_length=1, description="the section, table or pages that were read")
    checked_against: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        default=(), description="public implementations and published captures that agree"
    )

    @property
    def edition_of_document(self) -> str:
        """Return the document with its edition, as a list of profiles shows it."""
        return f"{self.document}, {self.edition}"

    def __str__(self) -> str:
        """Return where a person looks it up."""
        return f"{self.edition_of_document}, {self.section}"


class ProfileError(ValueError):
    """A profile cannot be used; the text names the file, the line, the point and what would be right."""


class Mistake(ValueError):
    """One thing that is wrong in a file: raised by what completes its content.

    Args:
        where: the keys that lead there.
        told: what is wrong, and what would be right.
    """

    def __init__(self, where: Location, told: str) -> None:
        super().__init__(told)
        self.where = where


def as_they_are(_content: Content) -> None:
    """Complete nothing: the file says all."""


@dataclass(frozen=True, slots=True)
class ProfileFiles(Generic[ProfileT]):
    """The profile files of one adapter."""

    grammar: type[ProfileT]
    """What a profile may say. One of its fields is `name`."""
    complete: Callable[[Content], None] = as_they_are
    """Adds what a file leaves out, before it is checked; raises `Mistake`."""
    folder: Path | None = None
    """The folder of the profiles that come with the adapter."""

    def parse(self, text: str, file: Path) -> ProfileT:
        """Return the profile in this text.

        Raises:
            ProfileError: the text is no TOML or no profile; `file` is named in the error.
        """
        try:
            content: Content = read_toml(text)
        except tomllib.TOMLDecodeError as error:
            raise ProfileError(f"{file}: {error}") from error
        try:
            self.complete(content)
            profile = self.grammar.model_validate(content)
        except ValidationError as error:
            told = sorted(_problems(error, content, text))
            raise ProfileError("\n".join(f"{file}:{line}: {problem}" for line, problem in told)) from error
        except Mistake as mistake:
            raise ProfileError(f"{file}:{line_of(text, mistake.where) or 1}: {mistake}") from mistake
        if content["name"] != file.stem:
            raise ProfileError(f"{file}: it is called {content['name']!r} inside; name and file must agree")
        return profile

    def read(self, file: Path) -> ProfileT:
        """Return the profile in this file.

        Raises:
            ProfileError: it cannot be read, or holds no profile; the file is named in the error.
        """
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ProfileError(f"{file}: cannot be read: {why}") from error
        return self.parse(text, file)

    def load(self, folders: Iterable[Path] = ()) -> dict[str, ProfileT]:
        """Return the built-in profiles and those of these folders by name; one of a later folder replaces its namesake.

        Raises:
            ProfileError: a folder cannot be read, or a file in it is no profile.
        """
        profiles: dict[str, ProfileT] = {}
        for folder in (*((self.folder,) if self.folder is not None else ()), *folders):
            if not folder.is_dir():
                raise ProfileError(f"{folder}: there is no such folder")
            for file in sorted(folder.glob("*.toml")):
                profiles[file.stem] = self.read(file)
        return profiles


def apply_defaults(content: Content) -> None:
    """Let the keys of `[defaults]` count for each of the `[[points]]` that does not say them itself.

    Raises:
        Mistake: one of the two is not what it has to be.
    """
    defaults, points = content.pop("defaults", {}), content.get("points", [])
    if not isinstance(defaults, dict):
        raise Mistake(("defaults",), "`defaults` has to be a table, written as [defaults]")
    if not isinstance(points, list):
        raise Mistake(("points",), "`points` has to be a list of tables, each written as [[points]]")
    content["points"] = [{**defaults, **point} if isinstance(point, dict) else point for point in points]


def _problems(error: ValidationError, content: Content, text: str) -> Iterator[tuple[int, str]]:
    """Yield each mistake with its line."""
    for problem in error.errors(include_url=False):
        told, place = problem["msg"].removeprefix("Value error, "), problem["loc"]
        where = _where(place, content)
        yield line_of(text, place or _meant(told, content)) or 1, f"{where}: {told}" if where else told


def _where(place: Location, content: Content) -> str:
    """Return how a person finds a place: a table of a list by its name, `point `temperature`.unit`; all else by its key."""
    where = ""
    inside: object = content
    for step in place:
        inside, outside = _inside(inside, step), inside
        if isinstance(step, int) and isinstance(outside, list) and (name := _name_of(inside)) is not None:
            listed, _, kind = where.rpartition(".")
            where = f"{f'{listed}: ' if listed else ''}{_one_of(kind)} `{name}`"
        else:
            where += f".{step}" if where else str(step)
    return where


def _inside(tables: object, step: int | str) -> object:
    """Return what is at the next step; `None` where the step is none of the file: a missing key, the name of a choice."""
    if isinstance(tables, dict):
        return tables.get(step)
    return tables[step] if isinstance(tables, list) and isinstance(step, int) and step < len(tables) else None


def _name_of(table: object) -> str | None:
    if not isinstance(table, dict):
        return None
    name = table.get("metric", table.get("name"))
    return name if isinstance(name, str) else None


def _one_of(kind: str) -> str:
    """Return what one of many is called: a point of `points`, a query of `queries`."""
    return f"{kind.removesuffix('ies')}y" if kind.endswith("ies") else kind.removesuffix("s")


def _meant(told: str, content: Content) -> Location:
    """Return the place that a complaint of the whole file speaks of: "identity.model: ..." or "query `power`.ask: ..."."""
    if (dotted := re.match(r"[\w.]+(?=: )", told)) is not None:
        return tuple(dotted[0].split("."))
    named = re.search(r"(?:(\w+) )?`([^`]+)`(?:\.([\w.]+))?", told)
    if named is None:
        return ()
    kind, name, key = named.groups()
    tables = [(place, table) for place, table in _tables(content) if _name_of(table) == name]
    if not tables:
        return ()
    place, table = next((one for one in tables if _one_of(str(one[0][-2])) == kind), tables[0])
    keys = key.split(".") if key else ["metric" if "metric" in table else "name"]
    return (*place, *keys)


def _tables(inside: object, place: Location = ()) -> Iterator[tuple[Location, dict[str, object]]]:
    """Yield all tables in lists, with their places."""
    steps = enumerate(inside) if isinstance(inside, list) else inside.items() if isinstance(inside, dict) else ()
    for step, table in steps:
        if isinstance(step, int) and isinstance(table, dict):
            yield (*place, step), table
        yield from _tables(table, (*place, step))
