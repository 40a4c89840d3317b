r"""Read a field of a template that holds a list: `{signal_#:/[01]/}`, one value for each item. Pure.

The value of item 3 is the field `signal_3`. A regular expression matches one item; a `d` or `f` behind it makes numbers of the
items, `by " "` names the text between two, `from 0` the number of the first. Of an expression with one group, the group is the
value. Where it has two, the device numbers the items itself: the first group is the number; `from 1` is that of what it calls 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from sys import intern

from adapters.serial.framing.notation import text_bytes
from adapters.serial.profile.fields import Field, decode_text, finite_number
from gateway.adapter import Value

MAX_ITEMS = 512
"""Items that are read; further ones are ignored."""

MAX_DIGITS = 19
"""Characters of a whole number, its sign included."""

LIST_FORMATS = '/regular expression/ of one item, then maybe d or f, by "text between two", from 0'

_FORMAT = re.compile(r'/(?P<item>.+)/(?P<kind>[df])?(?: by "(?P<by>(?:[^"\\]|\\.)+)")?(?: from (?P<first>\d{1,3}))?')
_NUMBERED_GROUPS = 2


def list_field(name: str, written: str) -> Field:
    """Return the field of a list; its names are those of all items that it can have.

    Raises:
        ValueError: there is no such format; the message says how it is written.
    """
    found = _FORMAT.fullmatch(written)
    if found is None:
        raise ValueError(f"the list {name!r} is not written as {LIST_FORMATS}")
    item, by = _compiled(found["item"]), text_bytes(found["by"] or "")
    is_numbered = item.groups == _NUMBERED_GROUPS
    first = int(found["first"] or (0 if is_numbered else 1))
    stem = name.removesuffix("#")

    def read(raw: bytes) -> Iterator[tuple[str, Value]]:
        for at, one in enumerate(_items(raw, item, by)):
            number = first + (int(one[1]) if is_numbered else at)
            yield f"{stem}{number}", _value(one[item.groups], found["kind"])

    def no_list(_values: Sequence[Value]) -> bytes:
        raise ValueError(f"{name}: a list can be read, but not sent")

    plain = re.sub(rb"(?<!\\)\((?!\?)", b"(?:", item.pattern)
    pattern = plain + b"(?:" + re.escape(by) + plain + b")*"
    return Field(_names(stem, first), pattern, lambda raw: [], no_list, read_list=read)


@cache
def _names(stem: str, first: int) -> tuple[str, ...]:
    """Return the names that the items can have: each is kept once, since several answers have the same."""
    return tuple(intern(f"{stem}{number}") for number in range(first, first + MAX_ITEMS))


def _compiled(written: str) -> re.Pattern[bytes]:
    try:
        compiled = re.compile(written.encode(), re.DOTALL)
    except re.error as error:
        raise ValueError(f"{written!r} is not a regular expression: {error}") from error
    if compiled.groups > _NUMBERED_GROUPS or compiled.fullmatch(b"") is not None:
        raise ValueError(f"{written!r} is to match one item, with at most two groups: its number and its value")
    return compiled


def _items(raw: bytes, item: re.Pattern[bytes], by: bytes) -> Iterator[re.Match[bytes]]:
    at = 0
    for _ in range(MAX_ITEMS):
        found = item.match(raw, at)
        if found is None:
            return
        yield found
        at = found.end() + len(by)


def _value(raw: bytes, kind: str | None) -> Value:
    match kind:
        case "d" if len(raw) <= MAX_DIGITS:
            return int(raw)
        case "d":
            raise ValueError("a whole number has fewer digits")
        case "f":
            return finite_number(decode_text(raw))
        case _:
            return decode_text(raw)
