"""Profile files to profiles: ours, and those of an integrator."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.ble.advertisements import full_uuid
from adapters.ble.profile import Profile
from adapters.ble.standard import measuring, points_of

OURS = Path(__file__).parent / "profiles"
"""The folder of the profiles that come with the gateway."""


class ProfileError(ValueError):
    """A profile cannot be used; the text names the file, the line, the point and what would be right."""


def parse(text: str, file: Path) -> Profile:
    """Return the profile in this text.

    Keys of `[defaults]` count for each point that does not say them itself. The points of the standard services that it names
    come after its own; one of the same name is left to the profile.

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
    own = [{**defaults, **point} if isinstance(point, dict) else point for point in points]
    content["points"] = [*own, *_included(content.get("services"), own, text, file)]
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        told = sorted(_problems(error, own, text))
        raise ProfileError("\n".join(f"{file}:{line}: {problem}" for line, problem in told)) from error
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


def _included(services: object, own: Sequence[object], text: str, file: Path) -> Iterator[dict[str, Any]]:
    """Yield the points of the standard services that the profile does not have itself; what is no list is told by the grammar."""
    said = {point.get("metric") for point in own if isinstance(point, dict)}
    for service in services if isinstance(services, list) else []:
        try:
            points = points_of(full_uuid(str(service)))
        except (KeyError, ValueError):
            line = _line(text, ["services"])
            raise ProfileError(
                f"{file}:{line}: services: {service!r} is no standard service that we know; there are {', '.join(measuring())}"
            ) from None
        yield from (point for point in points if point["metric"] not in said)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProfileError(f"{file}: cannot be read: {why}") from error


def _problems(error: ValidationError, points: Sequence[object], text: str) -> Iterator[tuple[int, str]]:
    """Yield each mistake with its line."""
    for problem in error.errors():
        where, line = [str(part) for part in problem["loc"]], _line(text, problem["loc"])
        if len(where) > 1 and where[0] == "points" and isinstance(point := points[int(where[1])], dict):
            where = [f"point `{point.get('metric', where[1])}`", *where[2:]]
        told = problem["msg"].removeprefix("Value error, ")
        if not where and (named := re.search(r"`([^`]+)`", told)) is not None:
            line = _line_with(text.splitlines(), rf'(metric|name)\s*=\s*"{re.escape(named[1])}"', 0, None) or line
        yield line, ": ".join([*filter(None, [".".join(where)]), told])


def _line(text: str, where: Sequence[int | str]) -> int:
    """Return the line of the key at this place of the file, or of the table that it would be in; TOML itself tells no lines."""
    lines = text.splitlines()
    keys = [str(part) for part in where if isinstance(part, str)]
    start, end = 0, None
    if len(where) > 1 and isinstance(where[1], int):
        headers = [at for at, line in enumerate(lines) if re.match(rf"\s*\[\[{re.escape(keys[0])}\]\]", line)]
        if where[1] < len(headers):
            start = headers[where[1]]
            end = next((at for at in range(start + 1, len(lines)) if lines[at].lstrip().startswith("[")), None)
            keys = keys[1:]
    for key in reversed(keys):
        if (found := _line_with(lines, rf"(\[+\s*)?{re.escape(key)}\b", start, end)) is not None:
            return found
    return start + 1


def _line_with(lines: Sequence[str], pattern: str, start: int, end: int | None) -> int | None:
    return next((at + 1 for at in range(start, end or len(lines)) if re.match(rf"\s*{pattern}", lines[at])), None)
