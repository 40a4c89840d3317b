"""Find all mistakes of a profile at once, and say each in words about the file. Pure.

pydantic compares the keys of a table only when each is right by itself. So what is wrong is left out, and the rest is validated
again, with every check between keys run. What seems wrong only because something was left out is not told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.file_mistakes.hidden_mistakes import Rest, texts_in
from gateway.file_mistakes.validation_messages import in_plain_words, quoted
from gateway.profiles.checks import FoundMistakes
from gateway.profiles.key_suggestions import meant_word
from gateway.toml_lines import Location

MOST_ROUNDS: Final = 40

_ABSENCE: Final = re.compile(r"\b(there is no|no query has|at least one|needs points|is missing)\b")
_OF_TOO_FEW: Final = re.compile(r"\b(at least one|no query has|needs points)\b")
_OF_ABSENT_KEYS: Final = re.compile(r"\b(without|missing|needs?|either|exactly one|belongs? to)\b|^set `")
_OF_NAMES_ALONE: Final = re.compile(r"\b(twice|there is no)\b")
_TYPES: Final = re.compile(
    r"_(type|parsing|attributes_type)$|^(literal_error|enum|none_required|int_from_float|union_tag_invalid)$"
)


_PATTERNS: Final[Mapping[str, str]] = {
    "^[a-z0-9][a-z0-9-]*$": "lower-case letters, digits and hyphens, such as power-meter",
    "^[a-z][a-z0-9_]*$": "lower-case letters, digits and underscores, such as set_point",
    r"^[a-z][a-z0-9_]*\..+$": "a query or message and its field, such as idn.serial",
    r"^[\w.]+:\w+$": "a module and a class, such as package.module:Class",
}
"""The patterns of the grammars -> what a text that fits them is."""


@dataclass(frozen=True, slots=True)
class FoundMistake:
    """One thing that is wrong in a profile."""

    location: Location
    """Where, in the content of the file; empty for what concerns the whole."""
    wrong: str
    right: str = ""
    """What would be right, as a sentence; empty where `wrong` says it."""
    strangeness: int = 0
    """How many values have no place in the grammar, or are missing: in a profile for another adapter it is most of them."""


def find_mistakes(grammar: type[BaseModel], content: Mapping[str, Any]) -> list[FoundMistake]:
    """Return everything that is wrong in the content of a profile; nothing where it is right."""
    mended = _Mended(grammar, content)
    found, rest, lenient = [*_missing_keys(grammar, content), *mended.mistakes], Rest(mended.content), _lenient(grammar)
    for place in mended.without_meaning:
        rest.drop(place)
    for _ in range(MOST_ROUNDS):
        checks = FoundMistakes()
        try:
            profile = lenient.model_validate(rest.table, context=checks)
        except ValidationError as error:
            details = [_placed(one, rest, mended.content) for one in error.errors(include_url=False)]
        else:
            told = [one for one in _of_checks(checks, profile, rest) if _is_news(one, rest, mended)]
            return [replace(one, location=mended.written(one.location)) for one in found + told]
        fresh = [one for one in details if not rest.left_out.concerns(one["loc"]) and not mended.follows(one)]
        found += _told(fresh, grammar, mended.content)
        parts = {_part(one, mended.content) for one in details}
        if not sum(rest.drop(part) for part in parts):
            break
    return [replace(one, location=mended.written(one.location)) for one in found]


class _Mended:
    """The content of a profile with each unknown key under the name that was probably meant.

    So the rest can be checked as it was meant: a typing error hides no other mistake.
    """

    def __init__(self, grammar: type[BaseModel], content: Mapping[str, Any]) -> None:
        self.content: dict[str, Any] = deepcopy(dict(content))
        self.mistakes: list[FoundMistake] = []
        self.without_meaning: list[Location] = []
        self._renamed: dict[Location, str] = {}
        try:
            _lenient(grammar).model_validate(self.content, context=FoundMistakes())
        except ValidationError as error:
            rest = Rest(self.content)
            unknown = [one for one in error.errors(include_url=False) if one["type"] == "extra_forbidden"]
            for place in dict.fromkeys(_placed(one, rest, content)["loc"] for one in unknown):
                self._mend(place, grammar, content)

    def _mend(self, place: Location, grammar: type[BaseModel], content: Mapping[str, Any]) -> None:
        owner, _ = _owner(grammar, place, content)
        if owner is None or (key := str(place[-1])) in owner.model_fields:
            return
        self.mistakes.append(
            FoundMistake(place, "no such key", _right_key(place, owner, grammar), strangeness=_count(_at(content, place)))
        )
        meant = meant_word(key, _keys_of(owner))
        table = _at(self.content, place[:-1])
        if meant is None or meant in table:
            self.without_meaning.append(place)
        else:
            table[meant] = table.pop(key)
            self._renamed[*place[:-1], meant] = key

    def follows(self, details: ErrorDetails) -> bool:
        """Whether an error may be there only because a key means something else than it was taken for."""
        place = details["loc"]
        is_word = details["type"] in ("enum", "literal_error") and isinstance(details["input"], str)
        return not is_word and any(place[: len(renamed)] == renamed for renamed in self._renamed)

    def written(self, place: Location) -> Location:
        """Return a place as the file has it."""
        return tuple(self._renamed.get(place[: depth + 1], step) for depth, step in enumerate(place))


@lru_cache(maxsize=16)
def _lenient(grammar: type[BaseModel]) -> type[BaseModel]:
    """Return the grammar with no key of the whole required: what is missing is told, and the rest checked all the same."""
    fields: dict[str, Any] = {}
    for name, field in grammar.model_fields.items():
        if field.is_required():
            optional = copy(field)
            optional.default = None
            fields[name] = (field.annotation, optional)
    return create_model(grammar.__name__, __base__=grammar, **fields)


def _missing_keys(grammar: type[BaseModel], content: Mapping[str, Any]) -> Iterator[FoundMistake]:
    """Yield each key of the whole that a profile needs and this one has not, also not under another name."""
    meant = {meant_word(key, grammar.model_fields) for key in content if key not in grammar.model_fields}
    for name, field in grammar.model_fields.items():
        if field.is_required() and name not in content and name not in meant:
            yield FoundMistake((name,), "is missing", _purpose(field), strangeness=1)


def _placed(details: ErrorDetails, rest: Rest, content: Mapping[str, Any]) -> ErrorDetails:
    """Return an error with its location in the content: without the names of the choices that pydantic has tried."""
    place: list[int | str] = []
    inside: Any = content
    original = rest.original(details["loc"])
    for depth, step in enumerate(original):
        following = _inside(inside, step)
        if following is None and not (depth == len(original) - 1 and details["type"] == "missing"):
            continue  # the name of a choice
        inside = following
        place.append(step)
    if details["type"].startswith("union_tag"):
        tag = str(details["ctx"]["discriminator"]).strip("'")
        place.append(tag)
        details = {**details, "input": details["input"].get(tag) if isinstance(details["input"], dict) else None}
    return {**details, "loc": tuple(place)}


def _part(details: ErrorDetails, content: Mapping[str, Any]) -> Location:
    """Return what to leave out for an error: the key, or the table that lacks one."""
    location: Location = details["loc"]
    if details["type"] == "missing":
        return location[:-1]
    inside: Any = content
    for depth, step in enumerate(location):
        try:
            inside = inside[step]
        except (LookupError, TypeError):
            return location[:depth]
    return location[:-1] if details["type"].startswith("union_tag") else location


def _told(details: Iterable[ErrorDetails], grammar: type[BaseModel], content: Mapping[str, Any]) -> Iterator[FoundMistake]:
    """Yield errors of keys as mistakes: one for each place, though pydantic tells one for each choice."""
    ordered = sorted(details, key=lambda one: [str(step) for step in one["loc"]])
    places = [one["loc"] for one in ordered]
    for place, alike in groupby(ordered, key=lambda one: one["loc"]):
        here = list(alike)
        is_deeper = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if is_deeper:  # it was tried as another type, too; and a list is too short without what is wrong in it
            here = [one for one in here if not _TYPES.search(one["type"]) and one["type"] != "too_short"]
        if here:
            yield from _mistakes_at(place, here, grammar, content)


def _mistakes_at(
    place: Location, here: Sequence[ErrorDetails], grammar: type[BaseModel], content: Mapping[str, Any]
) -> Iterator[FoundMistake]:
    _, field = _owner(grammar, place, content)
    first = here[0]
    if first["type"] == "extra_forbidden":
        return  # it is mended before
    if first["type"] == "missing":
        yield FoundMistake(place, "is missing", _purpose(field), strangeness=1)
    else:
        words = list(dict.fromkeys(map(_words, here)))
        plain = [one.removeprefix("has to be ") for one in words if one.startswith("has to be ")]
        if len(plain) > 1:
            words = [f"has to be {' or '.join(plain)}", *(one for one in words if not one.startswith("has to be "))]
        for wrong in words:
            suggestion = _meant_value(first["input"], wrong) if _TYPES.search(first["type"]) else ""
            is_own = first["type"] in ("value_error", "assertion_error")
            right = "" if is_own else (suggestion or _purpose(field)).strip()
            yield FoundMistake(place, wrong + ("" if is_own else quoted(first["input"], wrong, place, field)), right)


def _meant_value(given: object, wrong: str) -> str:
    meant = meant_word(given, re.findall(r"'([^']+)'", wrong)) if isinstance(given, str) else None
    return "" if meant is None else f"Did you mean {meant!r}?"


def _right_key(place: Location, owner: type[BaseModel] | None, grammar: type[BaseModel]) -> str:
    known = sorted(_keys_of(owner)) if owner is not None else []
    key = str(place[-1])
    if (meant := meant_word(key, known)) is not None:
        return f"Did you mean {meant!r}?"
    if len(place) > 1 and key in _keys_of(grammar):
        return f"It belongs at the top of the file, before the first [table]. Known here: {', '.join(known)}"
    home = next((name for name, field in grammar.model_fields.items() if _has_key(field, key) and name not in place), None)
    belongs = f"It belongs in {home!r}. " if home is not None else ""
    return f"{belongs}Known here: {', '.join(known)}"


def _has_key(field: FieldInfo, key: str) -> bool:
    return any(key in model.model_fields for model in _models_in(field.annotation))


def _purpose(field: FieldInfo | None) -> str:
    return f"It is for: {field.description}" if field is not None and field.description else ""


def _at(content: Any, place: Location) -> Any:  # noqa: ANN401 - any TOML value
    for step in place:
        content = content[step]
    return content


def _count(value: object) -> int:
    """Return how many plain values are in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inner is None else sum(map(_count, inner))


def _keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys of a table; `defaults` is one of a profile with points, though it is applied before."""
    is_whole = {"source", "points"} <= model.model_fields.keys()
    return [*model.model_fields, *(("defaults",) if is_whole else ())]


def _owner(
    grammar: type[BaseModel], place: Location, content: Mapping[str, Any]
) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the model of the table that has the last key of a place, and the field of that key."""
    owner: type[BaseModel] | None = grammar
    field: FieldInfo | None = None
    inside: Any = content
    for depth, step in enumerate(place):
        inside = _inside(inside, step)
        if isinstance(step, int):
            continue
        named = owner.model_fields.get(step) if owner is not None else None
        if depth == len(place) - 1:
            return owner, named
        if named is not None:
            field, table = named, inside[0] if isinstance(inside, list) and inside else inside
            owner = _likeliest(list(_models_in(named.annotation)), table)
    return owner, field


def _inside(inside: Any, step: int | str) -> Any:  # noqa: ANN401 - any TOML value
    """Return what is at the next step; `None` where there is nothing."""
    if isinstance(inside, dict):
        return inside.get(step)
    return inside[step] if isinstance(inside, list) and isinstance(step, int) and step < len(inside) else None


def _likeliest(models: Sequence[type[BaseModel]], table: object) -> type[BaseModel] | None:
    """Return the model that a table was meant for: by a key that names it, else by the number of common keys."""
    if not isinstance(table, dict):
        return models[0] if models else None
    return max(
        models, key=lambda model: (_is_named_in(model, table), len(model.model_fields.keys() & table.keys())), default=None
    )


def _is_named_in(model: type[BaseModel], table: Mapping[str, object]) -> bool:
    return any(get_args(field.annotation) == (table.get(name),) for name, field in model.model_fields.items() if name in table)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations are of any type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _of_checks(checks: FoundMistakes, profile: BaseModel, rest: Rest) -> Iterator[FoundMistake]:
    """Yield what the checks have found, with the places of the tables that they have checked."""
    places = {id(table): place for place, table in _tables(profile, ())}
    for table, told in checks.by_check:
        if id(table) in places:  # else the table was one of the choices that pydantic has tried
            for wrong in _words_of(told):
                yield FoundMistake(rest.original(places[id(table)]), wrong)


def _words_of(told: ValueError | str) -> list[str]:
    if isinstance(told, ValidationError):  # a check has made a table of its own
        return [_words(one) for one in told.errors(include_url=False)]
    return [str(told)]


def _words(details: ErrorDetails) -> str:
    """Return what is wrong with a key, with what a text may look like."""
    written = _PATTERNS.get(details.get("ctx", {}).get("pattern", "")) if details["type"] == "string_pattern_mismatch" else None
    return in_plain_words(details) if written is None else f"has to be {written}"


def _tables(value: object, place: Location) -> Iterator[tuple[Location, BaseModel]]:
    if isinstance(value, BaseModel):
        yield place, value
        for name in type(value).model_fields:
            yield from _tables(getattr(value, name), (*place, name))
    elif isinstance(value, tuple | list):
        for index, one in enumerate(value):
            yield from _tables(one, (*place, index))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _tables(one, (*place, key))


def _is_news(mistake: FoundMistake, rest: Rest, mended: _Mended) -> bool:
    """Whether a check would find it also if nothing had been left out."""
    return not any(
        _follows(mistake, place, mended.content) for place in rest.left_out.locations if place not in mended.without_meaning
    )


def _follows(mistake: FoundMistake, left_out: Location, content: Mapping[str, Any]) -> bool:
    """Whether a mistake may be there only because something was left out."""
    item, name = _item_of(left_out, content)
    is_whole = left_out == item
    if mistake.location:
        is_around = mistake.location == left_out[: len(mistake.location)]
        return is_around and (is_whole or _speaks_of(mistake.wrong, str(left_out[-1])))
    if is_whole or not item:
        group = str(left_out[0]).removesuffix("ies").removesuffix("s")
        is_nameless = name is None and _ABSENCE.search(mistake.wrong) is not None and group in mistake.wrong
        return is_nameless or (is_whole and (_names(mistake.wrong, left_out, content) or bool(_OF_TOO_FEW.search(mistake.wrong))))
    return f"`{name}`" in mistake.wrong and _OF_NAMES_ALONE.search(mistake.wrong) is None


def _names(wrong: str, place: Location, content: Mapping[str, Any]) -> bool:
    """Whether a sentence names any text of what is at a place."""
    inside = _at(content, place)
    return any(f"`{text}`" in wrong or repr(text) in wrong for text in texts_in(inside))


def _speaks_of(wrong: str, key: str) -> bool:
    return key in re.findall(r"\w+", wrong) or _OF_ABSENT_KEYS.search(wrong) is not None


def _item_of(place: Location, content: Mapping[str, Any]) -> tuple[Location, str | None]:
    """Return the innermost table of a list that a place is in, and its name; an empty place where there is none."""
    inside: Any = content
    item: tuple[Location, str | None] = ((), None)
    for depth, step in enumerate(place):
        inside = inside[step]
        if isinstance(step, int) and isinstance(inside, dict):
            name = inside.get("metric", inside.get("name"))
            item = (place[: depth + 1], name if isinstance(name, str) else None)
    return item
