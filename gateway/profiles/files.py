"""Load and check the TOML files of device profiles, and report each mistake with its line.

Every adapter has profiles of its own grammar; what a file is, and how a mistake in it is told, is the same for all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import SettingsProblem
from gateway.file_mistakes.hidden_mistakes import Rest
from gateway.file_mistakes.toml_mistakes import read_tables
from gateway.profiles.mistakes import FoundMistake, find_mistakes
from gateway.toml_lines import Location, line_of
from gateway.toml_text import read_toml

Content: TypeAlias = dict[str, object]
"""What a file says, before it is known to be a profile."""

ProfileT = TypeVar("ProfileT", bound=BaseModel)

MOST_BYTES: Final = 1_000_000
"""The largest file that can be a profile: one with 2,000 points takes a quarter of it."""

MOST_MISTAKES: Final = 100
"""So many mistakes of a file are told."""


class Source(BaseModel):
    """Where the facts of a profile come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str = Field(min_length=3, description="name and number of the maker's document, or of the best one there is")
    edition: str = Field(min_length=1, description="its edition, revision or date")
    section: str = Field(min_length=1, description="the section, table or pages that were read")
    checked_against: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        default=(), description="public implementations and published captures that agree"
    )
    differences: tuple[Annotated[str, Field(min_length=12)], ...] = Field(
        default=(), description="where the sources differ, who is right and why: one sentence each"
    )

    @property
    def edition_of_document(self) -> str:
        """Return the document with its edition, as a list of profiles shows it."""
        return f"{self.document}, {self.edition}"

    def __str__(self) -> str:
        """Return where a person looks it up."""
        return f"{self.edition_of_document}, {self.section}"


class ProfileError(ValueError):
    """A profile cannot be used; each line of the text names the file, the line, the point and what would be right.

    Args:
        lines: what is wrong, each with its place; one of a template shows it in lines of its own.
        problems: the same for a program; empty where the file could not be read.
        strangeness: how many values are at no place of the grammar, or missing: most of them in a profile for another adapter.
    """

    def __init__(self, *lines: str, problems: Sequence[SettingsProblem] = (), strangeness: int = 0) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.problems = tuple(problems)
        self.strangeness = strangeness


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
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        try:
            content: Content = read_toml(text)
            self.complete(content)
            profile = self.grammar.model_validate(content)
        except (tomllib.TOMLDecodeError, ValidationError, Mistake) as error:
            raise self._error(text, file) from error
        if content["name"] != file.stem:
            raise self._error(text, file)
        return profile

    def read(self, file: Path) -> ProfileT:
        """Return the profile in this file.

        Raises:
            ProfileError: it cannot be read, or holds no profile; the file is named in the error.
        """
        return self.parse(read_text(file), file)

    def _error(self, text: str, file: Path) -> ProfileError:
        """Return the error with everything that is wrong in this text."""
        read = read_tables(text)
        problems, strangeness = [_named(one) for one in read.problems], 0
        if read.is_whole:
            found = list(self._mistakes(read.tables, file))
            strangeness = sum(one.strangeness for one in found)
            told = [_problem(one, read.tables, read.text) for one in found]
            problems += [one for one in told if not _is_unread(one, read.keys_left_out)]
        kept = sorted(dict.fromkeys(problems), key=lambda one: one.line or 1)
        lines = [_line(file, one) for one in kept[:MOST_MISTAKES]]
        if len(kept) > MOST_MISTAKES:
            lines.append(f"{file}: and {len(kept) - MOST_MISTAKES} more mistakes")
        return ProfileError(*lines, problems=kept, strangeness=strangeness)

    def _mistakes(self, tables: Content, file: Path) -> Iterator[FoundMistake]:
        """Yield everything that is wrong in the tables of a file, with its place in them."""
        rest = Rest(tables)
        for _ in range(MOST_MISTAKES):
            content = deepcopy(rest.table)
            try:
                self.complete(content)
            except Mistake as mistake:
                where = rest.original(mistake.where)
                yield FoundMistake(where, str(mistake))
                if not rest.drop(where):
                    return
            else:
                break
        for one in find_mistakes(self.grammar, content):
            place = _in_defaults(one.location, rest.table, content)
            if not place or not rest.left_out.concerns(place):
                yield replace(one, location=rest.original(place))
        if isinstance(name := content.get("name"), str) and name != file.stem:
            yield FoundMistake(("name",), f"it is called {name!r} inside; name and file must agree")

    def load(self, folders: Iterable[Path] = ()) -> dict[str, ProfileT]:
        """Return the built-in profiles and those of these folders by name; one of a later folder replaces its namesake.

        The built-in ones are read once in a process, and shared: they do not change while it runs.

        Raises:
            ProfileError: a folder cannot be read, or a file in it is no profile.
        """
        profiles = dict(_built_in(self)) if self.folder is not None else {}
        wrong: list[ProfileError] = []
        for folder in folders:
            profiles |= _read_folder(self, folder, wrong)
        _raise_all(wrong)
        return profiles


@cache
def _built_in(files: ProfileFiles[Any]) -> Mapping[str, Any]:
    """Return the profiles that come with the adapter."""
    wrong: list[ProfileError] = []
    profiles = {} if files.folder is None else _read_folder(files, files.folder, wrong)
    _raise_all(wrong)
    return profiles


def _read_folder(files: ProfileFiles[ProfileT], folder: Path, wrong: list[ProfileError]) -> dict[str, ProfileT]:
    """Return the profiles in a folder by name; files that are none are added to `wrong`.

    Raises:
        ProfileError: there is no such folder.
    """
    if not folder.is_dir():
        raise ProfileError(f"{folder}: there is no such folder")
    profiles: dict[str, ProfileT] = {}
    for file in sorted(folder.glob("*.toml")):
        try:
            profiles[file.stem] = files.read(file)
        except ProfileError as error:
            wrong.append(error)
    return profiles


def _raise_all(wrong: Sequence[ProfileError]) -> None:
    if wrong:
        problems = [problem for error in wrong for problem in error.problems]
        raise ProfileError(*(line for error in wrong for line in error.lines), problems=problems)


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


def read_text(file: Path) -> str:
    """Return the text of a profile.

    Raises:
        ProfileError: there is none, or it is no text of a size that a profile has.
    """
    try:
        if not S_ISREG(file.stat().st_mode):
            what = "it is a folder" if file.is_dir() else "it is no regular file"
            raise ProfileError(f"{file}: cannot be read: {what}")
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ProfileError(f"{file}: cannot be read: {why}") from error
    if len(content) > MOST_BYTES:
        raise ProfileError(f"{file}: cannot be read: it has more than {MOST_BYTES / 1e6:.0f} MB: that is no profile")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ProfileError(f"{file}:{line}: cannot be read: it is not UTF-8 text; save it as UTF-8") from error


def _problem(mistake: FoundMistake, content: Content, text: str) -> SettingsProblem:
    """Return a mistake with its line; a check of the whole names what is wrong in its text."""
    where = _where(mistake.location, content)
    line = line_of(text, mistake.location or _meant(mistake.wrong, content)) or 1
    return SettingsProblem(where, mistake.wrong, mistake.right, line)


def _named(problem: SettingsProblem) -> SettingsProblem:
    """Return a mistake in the writing without the words for a configuration."""
    wrong, right = problem.wrong.replace("a configuration", "a profile"), problem.right.replace("[[adapter]]", "[[points]]")
    return replace(problem, where="", wrong=wrong, right=right)


def _line(file: Path, problem: SettingsProblem) -> str:
    is_named = problem.wrong.startswith((f"{problem.where}: ", f"`{problem.where}` "))
    where = f"{problem.where}: " if problem.where and not is_named else ""
    return f"{file}:{problem.line or 1}: {where}{problem.wrong}{f'. {problem.right}' if problem.right else ''}"


def _is_unread(problem: SettingsProblem, keys_left_out: Collection[str]) -> bool:
    """Whether something seems to be wrong since the line that has it is no TOML."""
    return problem.where.rpartition(".")[2] in keys_left_out or any(f"`{key}`" in problem.wrong for key in keys_left_out)


def _in_defaults(place: Location, written: Content, content: Content) -> Location:
    """Return the place of a mistake in the file: in `[defaults]`, where a point has the key from there."""
    defaults, points = written.get("defaults"), written.get("points")
    if len(place) < 3 or place[0] != "points" or not isinstance(place[1], int) or not isinstance(defaults, dict):
        return place
    own = points[place[1]] if isinstance(points, list) and place[1] < len(points) else {}
    is_default = place[2] in defaults and isinstance(own, dict) and place[2] not in own
    return ("defaults", *place[2:]) if is_default else place


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
    name = table.get("name", table.get("metric"))
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
    alike = [one for one in tables if _one_of(str(one[0][-2])) == kind] or tables
    place, table = alike[-1 if "twice" in told else 0]
    keys = key.split(".") if key else ["name" if "name" in table else "metric"]
    return (*place, *keys)


def _tables(inside: object, place: Location = ()) -> Iterator[tuple[Location, dict[str, object]]]:
    """Yield all tables in lists, with their places."""
    steps = enumerate(inside) if isinstance(inside, list) else inside.items() if isinstance(inside, dict) else ()
    for step, table in steps:
        if isinstance(step, int) and isinstance(table, dict):
            yield (*place, step), table
        yield from _tables(table, (*place, step))
