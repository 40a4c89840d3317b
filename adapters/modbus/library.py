"""Profile files to profiles: ours, and those of an integrator."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.modbus.profile import Profile

OURS = Path(__file__).parent / "profiles"
"""The folder of the profiles that come with the gateway."""


class ProfileError(ValueError):
    """A profile cannot be used; the text names the file, the point and what would be right."""


def parse(text: str, file: Path) -> Profile:
    """Return the profile in this text.

    Keys of `[defaults]` count for each point that does not say them itself.

    Raises:
        ProfileError: the text is no TOML or no profile; `file` is named in the error.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{file}: {error}") from error
    defaults, points = content.pop("defaults", {}), content.get("points", [])
    if not isinstance(defaults, dict):
        raise ProfileError(f"{file}: `defaults` has to be a table, written as [defaults]")
    if not isinstance(points, list):
        raise ProfileError(f"{file}: `points` has to be a list of tables, each written as [[points]]")
    content["points"] = [{**defaults, **point} if isinstance(point, dict) else point for point in points]
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        raise ProfileError("\n".join(f"{file}: {problem}" for problem in _problems(error, points))) from error
    if profile.name != file.stem:
        raise ProfileError(f"{file}: it is called {profile.name!r} inside; name and file must agree")
    return profile


def load(folders: Iterable[Path]) -> dict[str, Profile]:
    """Return all profiles of these folders by name; one of a later folder replaces its namesake.

    Raises:
        ProfileError: a folder cannot be read, or a file in it is no profile.
    """
    profiles: dict[str, Profile] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ProfileError(f"{folder}: there is no such folder")
        for file in sorted(folder.glob("*.toml")):
            profiles[file.stem] = parse(_text(file), file)
    return profiles


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProfileError(f"{file}: cannot be read: {why}") from error


def _problems(error: ValidationError, points: list[Any]) -> Iterator[str]:
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        if len(where) > 1 and where[0] == "points" and isinstance(point := points[int(where[1])], dict):
            where = [f"point `{point.get('metric', where[1])}`", *where[2:]]
        yield ": ".join([*filter(None, [".".join(where)]), problem["msg"].removeprefix("Value error, ")])
