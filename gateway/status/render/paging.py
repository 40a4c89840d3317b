"""Which children and found devices stand on a page of a list: searched, sorted, in pages. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from gateway.models import Confidence
from gateway.state.records import Decision
from gateway.status.snapshot import ChildLine, Standing, WaitingDevice

PER_PAGE: Final = 100
SEARCH_LENGTH: Final = 100

T = TypeVar("T", ChildLine, WaitingDevice)

_ORDER: Final = {standing: place for place, standing in enumerate(Standing)}
_SURE: Final = {confidence: place for place, confidence in enumerate(Confidence)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants to see of a list."""

    search: str = ""
    show: str = ""
    """Of children: `trouble`, `fine` or a standing; of found devices: `ignored`; all others when empty."""
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Read an address; what makes no sense in it counts as left out."""
        page = query.get("page", "")
        return cls(
            search=query.get("search", "").strip()[:SEARCH_LENGTH],
            show=query.get("show", "")[:20],
            page=int(page) if re.fullmatch(r"[1-9][0-9]{0,5}", page) else 1,
        )

    def query(self, **other: str | int) -> str:
        """Return this as the query of an address, with other values for what is named."""
        values = {"search": self.search, "show": self.show, "page": self.page} | other
        said = {name: value for name, value in values.items() if value not in ("", 1)}
        return f"?{urlencode(said, errors='replace')}" if said else "?"


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list."""

    rows: Sequence[T]
    total: int
    """How many there are on all pages."""
    page: int
    pages: int
    wanted: Wanted

    @property
    def first(self) -> int:
        """The place of its first row among all, from 1."""
        return (self.page - 1) * PER_PAGE + 1


def list_children(
    children: Iterable[ChildLine], wanted: Wanted, *, bus_id: str | None = None, without_trouble: bool = False
) -> Listing[ChildLine]:
    """Return the page that is wanted: those first that most need a person, then by name.

    `without_trouble` leaves those out that are not fine, where they stand above the list.
    """
    shown = _shows(wanted.show)
    rows = [
        child
        for child in children
        if (bus_id is None or child.bus_id == bus_id)
        and shown(child.standing)
        and not (without_trouble and child.standing.is_trouble)
    ]
    return _page(sorted(_found(rows, wanted, _words_of_child), key=_child_order), wanted)


def list_waiting(devices: Iterable[WaitingDevice], wanted: Wanted) -> Listing[WaitingDevice]:
    """Return the page that is wanted: those first that are known best, then by name."""
    is_ignored = wanted.show == "ignored"
    rows = [device for device in devices if (device.decision is Decision.IGNORE) == is_ignored]
    return _page(sorted(_found(rows, wanted, _words_of_device), key=_device_order), wanted)


def _shows(show: str) -> Callable[[Standing], bool]:
    if show == "trouble":
        return lambda standing: standing.is_trouble
    return (lambda standing: standing == show) if show in list(Standing) else (lambda _: True)


def _found(rows: Sequence[T], wanted: Wanted, words_of: Callable[[T], Iterable[str | None]]) -> Sequence[T]:
    words = wanted.search.casefold().split()
    if not words:
        return rows
    return [row for row in rows if _has_all(words, " ".join(filter(None, words_of(row))).casefold())]


def _has_all(words: Iterable[str], text: str) -> bool:
    return all(word in text for word in words)


def _page(rows: Sequence[T], wanted: Wanted) -> Listing[T]:
    pages = max(1, ceil(len(rows) / PER_PAGE))
    page = min(wanted.page, pages)
    return Listing(rows[(page - 1) * PER_PAGE : page * PER_PAGE], len(rows), page, pages, wanted)


def _words_of_child(child: ChildLine) -> Iterable[str | None]:
    return child.name, child.found_as, child.key, child.entry, child.bus, child.address, child.kind, child.why


def _words_of_device(device: WaitingDevice) -> Iterable[str | None]:
    return (
        *(device.name, device.found_as, device.key, device.entry, device.bus, device.address),
        *(device.manufacturer, device.model, device.profile, device.family, device.why),
    )


def _child_order(child: ChildLine) -> tuple[int, Sequence[tuple[int, str]], str]:
    return _ORDER[child.standing], _natural(child.name), child.id


def _device_order(device: WaitingDevice) -> tuple[bool, int, Sequence[tuple[int, str]], str]:
    return device.profile is None, _SURE[device.confidence], _natural(device.name), device.id


@lru_cache(maxsize=4096)
def _natural(name: str) -> Sequence[tuple[int, str]]:
    """Return what puts `unit 9` before `unit 10`."""
    return [
        (int(part), "") if part.isascii() and part.isdigit() and len(part) < 19 else (-1, part)
        for part in re.split(r"([0-9]+)", name.casefold())
    ]
