"""Say in words about a file what pydantic finds wrong in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.command_secrets import KEY_LIKE
from gateway.plain_numbers import seconds_text
from gateway.toml_lines import Location
from gateway.url_secrets import without_bare_url_user, without_url_user

QUOTED_LENGTH = 60
"""So many characters of a wrong value are shown."""

IN_PLAIN_WORDS: Mapping[str, str] = {
    "bool_parsing": "has to be true or false",
    "bool_type": "has to be true or false",
    "bytes_too_long": "is too long: at most {max_length} bytes",
    "bytes_too_short": "is too short: at least {min_length} byte(s)",
    "bytes_type": "has to be a text, in quotes",
    "dict_type": "has to be a table",
    "enum": "has to be {expected}",
    "float_parsing": "has to be a number",
    "float_type": "has to be a number",
    "finite_number": "has to be a finite number",
    "frozen_set_type": "has to be a list, in [ ]",
    "ip_any_network": "is not an address or a network; write it as 10.0.0.5 or 10.0.0.0/24",
    "path_type": "has to be a path, in quotes",
    "string_pattern_mismatch": "has characters that cannot be in it",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_long": "has too many entries: at most {max_length}",
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "int_from_float": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_type": "has to be a whole number",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be at most {le}",
    "list_type": "has to be a list, in [ ]",
    "literal_error": "has to be {expected}",
    "model_attributes_type": "has to be a table",
    "model_type": "has to be a table",
    "string_too_short": "is too short: at least {min_length} character(s)",
    "string_type": "has to be a text, in quotes",
    "time_delta_parsing": "has to be a number of seconds",
    "time_delta_type": "has to be a number of seconds",
    "union_tag_invalid": "has to be {expected_tags}",
    "union_tag_not_found": "is missing",
    "too_short": "has too few entries: at least {min_length}",
    "tuple_type": "has to be a list, in [ ]",
}
"""pydantic's error types -> a sentence about the file."""


def in_plain_words(details: ErrorDetails) -> str:
    """Return what is wrong, in words about the file."""
    plain = IN_PLAIN_WORDS.get(details["type"])
    if plain is not None:
        return plain.format(**{name: _limit_text(limit) for name, limit in details.get("ctx", {}).items()})
    if details["type"] not in ("value_error", "assertion_error"):
        return "cannot be used"  # the words of pydantic are for programmers
    return beginning_small(without_url_user(details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")))


def beginning_small(sentence: str) -> str:
    """Return a sentence that begins with a small letter, unless it begins with an abbreviation or with something quoted."""
    word = sentence.split(maxsplit=1)[0] if sentence.strip() else ""
    is_plain = word[1:].islower() or len(word) == 1
    return sentence[:1].lower() + sentence[1:] if is_plain else sentence


def _limit_text(limit: object) -> object:
    """Return a limit in plain words: that of a time which may be left out comes as Python writes it."""
    if isinstance(limit, float) and limit.is_integer():
        return int(limit)
    written = re.fullmatch(r"datetime\.timedelta\((.*)\)", str(limit))
    if written is None:
        return limit
    parts = {name: int(number) for name, number in re.findall(r"(\w+)=(-?\d+)", written[1])}
    return seconds_text(timedelta(**parts).total_seconds())


def quoted(given: object, wrong: str, inside: Location, field: FieldInfo | None) -> str:
    """Return what is written, as an addition to what is wrong; nothing where it is a secret or said already."""
    has_secret_name = any(word in str(step) for step in inside for word in ("key", "secret", "token", "password"))
    is_secret = has_secret_name or (field is not None and _is_secret(field.annotation))
    if is_secret or not isinstance(given, str | int | float) or repr(given) in wrong or KEY_LIKE.fullmatch(str(given)):
        return ""
    written = str(given).lower() if isinstance(given, bool) else repr(given[:QUOTED_LENGTH] if isinstance(given, str) else given)
    return f" (it says {without_bare_url_user(written)})"


def _is_secret(annotation: Any) -> bool:  # noqa: ANN401 - annotations are of any type
    return annotation is SecretStr or any(_is_secret(inner) for inner in get_args(annotation))
