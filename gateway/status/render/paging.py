"""Search, sort and page the lists of children and of found devices. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlencode

from gateway.models import Confidence
from gateway.state.records import Decision
from gateway.status.snapshot import ChildStatus, ChildSummary, WaitingDevice

PER_PAGE: Final = 100
MAX_SEARCH_LENGTH: Final = 100

SORTS: Final = ("name", "values", "age", "status", "bus", "kind", "family", "serial")
GROUPS: Final = ("bus", "family", "status")
COLUMNS: Final = ("values", "age", "status", "bus", "kind", "family", "serial")
MOST_SHOWN: Final = 40
"""Characters of a wrong value that a page repeats."""

MOST_UNKNOWN: Final = 5
"""Wrong parameters that a page names."""

ChildOrder: TypeAlias = Callable[[ChildSummary], tuple[object, ...]]
"""Returns the sort key of a child."""

T = TypeVar("T", ChildSummary, WaitingDevice)

_STATUS_ORDER: Final = {status: place for place, status in enumerate(ChildStatus)}
_CONFIDENCE_ORDER: Final = {confidence: place for place, confidence in enumerate(Confidence)}


class UnknownParameter(NamedTuple):
    """A query parameter that no list has, or that has no such value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The search, filter and page number of a list, as they stand in an address."""

    search: str = ""
    show: str = ""
    """For children `trouble` or a status; for found devices `ignored`; empty for all others."""
    page: int = 1
    sort: str = ""
    """The column that children are sorted by, with a `-` before it from the end; empty for the worst status first."""
    group: str = ""
    """What children are grouped by: `bus`, `family` or `status`; empty for one list."""
    columns: tuple[str, ...] = ()
    """The columns that are shown; empty for the usual ones."""
    unknown: tuple[UnknownParameter, ...] = ()
    """What the address has besides, and what counts as missing."""

    @classmethod
    def parse(cls, parameters: Mapping[str, str], columns: Sequence[str] = ()) -> ListQuery:
        """Read the query parameters of an address; invalid ones count as missing, and are in `unknown`."""
        wrong = {name for name, value in parameters.items() if value and not PARAMETERS.get(name, _never)(value)}
        unknown = [UnknownParameter(name[:MOST_SHOWN], parameters[name][:MOST_SHOWN]) for name in parameters if name in wrong]
        unknown += [UnknownParameter("column", one[:MOST_SHOWN]) for one in columns if one not in COLUMNS]
        given = {name: value for name, value in parameters.items() if name not in wrong}
        return cls(
            search=given.get("search", "").strip()[:MAX_SEARCH_LENGTH],
            show=given.get("show", ""),
            page=int(given.get("page") or 1),
            sort=given.get("sort", ""),
            group=given.get("group", ""),
            columns=tuple(dict.fromkeys(column for column in columns if column in COLUMNS)),
            unknown=tuple(dict.fromkeys(unknown))[:MOST_UNKNOWN],
        )

    def encode(self, **changes: str | int) -> str:
        """Return the query part of an address, with these parameters changed."""
        own = {"search": self.search, "show": self.show, "page": self.page, "sort": self.sort, "group": self.group}
        values = own | changes
        given = [(name, value) for name, value in values.items() if value not in ("", 1)]
        given += [("column", column) for column in self.columns]
        return f"?{urlencode(given, errors='replace')}" if given else "?"

    def sorted_by(self, column: str) -> str:
        """Return the query part for this order, or for its reverse where it is this order already."""
        return self.encode(sort=f"-{column}" if self.sort == column else column, page=1)


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """One page of a list."""

    rows: Sequence[T]
    total: int
    """Number of rows on all pages."""
    page: int
    pages: int
    query: ListQuery
    found: Sequence[T] = ()
    """The rows of all pages."""

    @property
    def first(self) -> int:
        """The position of its first row in the whole list, from 1."""
        return (self.page - 1) * PER_PAGE + 1


def _never(value: str) -> bool:
    del value
    return False


PARAMETERS: Final[Mapping[str, Callable[[str], bool]]] = {
    "search": lambda value: True,
    "show": lambda value: value in ("trouble", "ignored", *ChildStatus),
    "page": lambda value: re.fullmatch(r"[1-9][0-9]{0,5}", value) is not None,
    "sort": lambda value: value.removeprefix("-") in SORTS,
    "group": lambda value: value in GROUPS,
    "column": lambda value: True,
}
"""The query parameters of lists -> whether they can have a value; columns are there several times, and checked each."""


def list_children(
    children: Iterable[ChildSummary],
    query: ListQuery,
    *,
    bus_id: str | None = None,
    order: ChildOrder | None = None,
    group_of: Callable[[ChildSummary], str] | None = None,
) -> ListPage[ChildSummary]:
    """Return the requested page: by group, then as the query says, else children that most need a person first, then by name.

    Args:
        children: all children.
        query: which of them, and in which order.
        bus_id: the bus on which they are; `None` for all buses.
        order: the order of the query, where the children themselves do not know it.
        group_of: the group of a child.
    """
    is_shown = _status_filter(query.show)
    rows = [child for child in children if (bus_id is None or child.bus_id == bus_id) and is_shown(child.standing)]
    found = sorted(_matching(rows, query, _texts_of_child), key=child_order)
    column = query.sort.removeprefix("-")
    by_column = order or CHILD_ORDERS.get(column)
    if by_column is not None:
        found.sort(key=by_column, reverse=query.sort.startswith("-"))
    elif query.sort.startswith("-"):
        found.reverse()
    if group_of is not None:
        found.sort(key=lambda child: (_natural_order(group_of(child)),))
    return _page(found, query)


def list_waiting(devices: Iterable[WaitingDevice], query: ListQuery) -> ListPage[WaitingDevice]:
    """Return the requested page: the devices that were identified best first, then by name."""
    is_ignored = query.show == "ignored"
    rows = [device for device in devices if (device.decision is Decision.IGNORE) == is_ignored]
    return _page(sorted(_matching(rows, query, _texts_of_device), key=_device_order), query)


def _status_filter(show: str) -> Callable[[ChildStatus], bool]:
    if show == "trouble":
        return lambda status: status.is_trouble
    return (lambda status: status == show) if show in list(ChildStatus) else (lambda _: True)


def _matching(rows: Sequence[T], query: ListQuery, texts_of: Callable[[T], Iterable[str | None]]) -> Sequence[T]:
    words = query.search.casefold().split()
    if not words:
        return rows
    return [row for row in rows if _has_all(words, " ".join(filter(None, texts_of(row))).casefold())]


def _has_all(words: Iterable[str], text: str) -> bool:
    return all(word in text for word in words)


def _page(rows: Sequence[T], query: ListQuery) -> ListPage[T]:
    pages = max(1, ceil(len(rows) / PER_PAGE))
    page = min(query.page, pages)
    return ListPage(rows[(page - 1) * PER_PAGE : page * PER_PAGE], len(rows), page, pages, query, rows)


def _texts_of_child(child: ChildSummary) -> Iterable[str | None]:
    return (
        *(child.name, child.found_as, child.key, child.entry, child.bus, child.address, child.kind, child.why),
        *(child.family, child.serial_number),
    )


def _texts_of_device(device: WaitingDevice) -> Iterable[str | None]:
    return (
        *(device.name, device.found_as, device.key, device.entry, device.bus, device.address),
        *(device.manufacturer, device.model, device.profile, device.family, device.why),
    )


def child_order(child: ChildSummary) -> tuple[int, Sequence[tuple[int, str]], str]:
    """Return a sort key that puts children first that most need a person, then goes by name."""
    return _STATUS_ORDER[child.standing], _natural_order(child.name), child.id


def _device_order(device: WaitingDevice) -> tuple[bool, int, Sequence[tuple[int, str]], str]:
    return device.profile is None, _CONFIDENCE_ORDER[device.confidence], _natural_order(device.name), device.id


@lru_cache(maxsize=4096)
def _natural_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts `unit 9` before `unit 10`."""
    return [
        (int(part), "") if part.isascii() and part.isdigit() and len(part) < 19 else (-1, part)
        for part in re.split(r"([0-9]+)", name.casefold())
    ]


CHILD_ORDERS: Final[Mapping[str, ChildOrder]] = {
    "name": lambda child: (_natural_order(child.name),),
    "bus": lambda child: (child.entry, _natural_order(child.bus), _natural_order(child.address)),
    "kind": lambda child: (_natural_order(child.kind or "\uffff"),),
    "family": lambda child: (child.family or "\uffff",),
    "serial": lambda child: (_natural_order(child.serial_number or "\uffff"),),
}
"""The orders of a table by its columns; that by status is the usual one."""
