"""Find all mistakes of a table at once, also those that its validation hides behind others. Pure.

pydantic compares the keys of a table with each other only when each is right by itself. So what is wrong is left out, and the
rest is validated again, until nothing new comes. What seems wrong only because something was left out is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import SettingMistake, SettingsMistakes
from gateway.toml_lines import Location

MOST_ROUNDS: Final = 12

_ABSENCE: Final = frozenset({"missing", "too_short", "string_too_short"})
"""The types of the errors that follow from something that was left out."""

_NO_LIST: Final = frozenset({"list_type", "tuple_type"})

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Validated(Generic[ModelT]):
    """The result of a validation."""

    model: ModelT | None
    """What was validated, without what is wrong; `None` when nothing can be made of the rest."""
    errors: tuple[ErrorDetails, ...]
    """All errors, with their locations in the table as it was given."""
    left_out: LeftOut = field(default_factory=lambda: LeftOut())

    @property
    def is_right(self) -> bool:
        """Whether there is no error."""
        return not self.errors


@dataclass(slots=True)
class LeftOut:
    """What was left out of a table, since it is wrong."""

    locations: list[Location] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """The texts in it: another part of the table may name one of them, which is no further mistake then."""
    has_lists: bool = False
    """Whether it has what should have been a list, with names that are not known."""

    def concerns(self, location: Location) -> bool:
        """Whether something at this location, in it or around it was left out."""
        return any(location[: len(one)] == one or one[: len(location)] == location for one in self.locations)

    def follows(self, location: Location, wrong: str) -> bool:
        """Whether a mistake is there only because something was left out."""
        if self.has_lists and wrong.startswith("there is no "):
            return True
        return (bool(location) and self.concerns(location)) or any(repr(name) in wrong for name in self.names)


def validate_all(validate: Callable[[dict[str, Any]], ModelT], table: Mapping[str, Any]) -> Validated[ModelT]:
    """Validate a table, and find all of its mistakes.

    Args:
        validate: returns the model of a table, or raises a `ValidationError`.
        table: the table, of what TOML can express.
    """
    rest = Rest(table)
    errors: list[ErrorDetails] = []
    for _ in range(MOST_ROUNDS):
        try:
            return Validated(validate(rest.table), tuple(errors), rest.left_out)
        except ValidationError as error:
            found = error.errors(include_url=False)
        for one in found:
            one["loc"] = rest.original(one["loc"])
        errors += list(_fresh(found, rest.left_out, is_first=not errors))
        if not rest.leave_out(found):
            break
    return Validated(None, tuple(errors), rest.left_out)


def mistakes_in(details: ErrorDetails) -> Sequence[SettingMistake]:
    """Return the mistakes that a validator of ours has found, if this error is one of those."""
    cause = details.get("ctx", {}).get("error")
    return cause.mistakes if isinstance(cause, SettingsMistakes) else ()


def _fresh(found: Sequence[ErrorDetails], left_out: LeftOut, *, is_first: bool) -> Iterator[ErrorDetails]:
    """Yield the errors that do not follow from others."""
    places = [tuple(one["loc"]) for one in found]
    for details, place in zip(found, places, strict=True):
        has_cause = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if details["type"] in _ABSENCE and (has_cause or left_out.concerns(place)):
            continue
        if is_first:
            yield details
        elif mistakes := [one for one in mistakes_in(details) if not left_out.follows((*place, *one.location), one.wrong)]:
            yield {**details, "ctx": {"error": SettingsMistakes(mistakes)}}
        elif not mistakes_in(details) and place and not left_out.concerns(place):
            yield details


class Rest:
    """A table without what is wrong in it, and the locations of its parts in the table as it was given."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._whole = table
        self.left_out = LeftOut()
        self.table, self._indexes = self._without()

    def original(self, location: tuple[int | str, ...]) -> Location:
        """Return where a location of the rest is in the whole table."""
        whole: list[int | str] = []
        for step in location:
            indexes = self._indexes.get(tuple(whole))
            whole.append(indexes[step] if isinstance(step, int) and indexes is not None and step < len(indexes) else step)
        return tuple(whole)

    def leave_out(self, errors: Sequence[ErrorDetails]) -> bool:
        """Leave out what has these errors; return whether that changes anything."""
        before = len(self.left_out.locations)
        for details in errors:
            self.left_out.has_lists |= details["type"] in _NO_LIST
            part = self._part(details["loc"])
            if part is not None and part not in self.left_out.locations:
                self.left_out.locations.append(part)
                self.left_out.names.update(texts_in(_at(self._whole, part)))
        self.table, self._indexes = self._without()
        return len(self.left_out.locations) > before

    def drop(self, location: Location) -> bool:
        """Leave out what is at a location; return whether that changes anything."""
        if not location or location in self.left_out.locations:
            return False
        self.left_out.locations.append(location)
        self.table, self._indexes = self._without()
        return True

    def _part(self, location: Location) -> Location | None:
        """Return the part of the table to leave out: the outermost item of a list on the way, else the key itself."""
        value: Any = self._whole
        for depth, step in enumerate(location):
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
            if isinstance(step, int):
                return location[: depth + 1]
        return location or None

    def _without(self) -> tuple[dict[str, Any], dict[Location, list[int]]]:
        indexes: dict[Location, list[int]] = {}

        def copied(value: Any, place: Location) -> Any:  # noqa: ANN401 - any TOML value
            if isinstance(value, Mapping):
                return {key: copied(one, (*place, key)) for key, one in value.items() if (*place, key) not in out}
            if isinstance(value, list | tuple):
                kept = indexes[place] = [index for index in range(len(value)) if (*place, index) not in out]
                return [copied(value[index], (*place, index)) for index in kept]
            return value

        out = set(self.left_out.locations)
        return copied(self._whole, ()), indexes


def _at(value: Any, location: Location) -> Any:  # noqa: ANN401 - any TOML value
    for step in location:
        value = value[step]
    return value


def texts_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - any TOML value
    """Yield the texts in a part of a table that others may name."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_in(one)
