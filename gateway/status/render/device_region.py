"""Render the table of devices and its cells; what looks as it did the last time is not rendered again. Pure.

An open page is rendered every other second, and most of its table has not changed since: the rows change when a device does, and
its values when it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Final

from markupsafe import Markup

from gateway.status.languages.texts import current_language
from gateway.status.render.device_table import DeviceRow
from gateway.status.render.paging import ListPage
from gateway.status.render.templates import Templates
from gateway.status.snapshot import ChildSummary, LatestValue

MOST_TABLES: Final = 16
"""Tables of so many open pages are kept, some 50 kB each."""
MOST_CELLS: Final = 4096

_Parts = tuple[tuple[ChildSummary, str | None, int], ...]


def cell_mark(cell: str) -> str:
    """Return what stands in a region in the place of this cell."""
    return f"\0{cell}\0"


class DeviceRegion:
    """Renders the table of devices on the overview and on the page of a bus."""

    def __init__(self, templates: Templates) -> None:
        self._render = templates.render
        self._value_cell, self._age_cell = (templates.macro("_cells.html", name) for name in ("value_cell", "age_cell"))
        self._tables: dict[Hashable, tuple[_Parts, str]] = {}
        self._cells: dict[Hashable, str] = {}

    def table(
        self, listing: ListPage[ChildSummary], rows: Sequence[DeviceRow], columns: Sequence[str], bus_id: str | None
    ) -> str:
        """Return one page of the table, with a `cell_mark` in the place of each cell."""
        place = (current_language().code, bus_id, tuple(columns), listing.query, listing.total, listing.page)
        parts = tuple((row.child, row.group, row.group_size) for row in rows)
        known = self._tables.pop(place, None)
        if known is None or known[0] != parts:
            html = self._render("_children.html", listing=listing, rows=rows, columns=columns, bus_id=bus_id, cell=_cell)
            known = parts, html
        self._tables[place] = known  # as the last one that was used
        if len(self._tables) > MOST_TABLES:
            del self._tables[next(iter(self._tables))]
        return known[1]

    def cells(self, rows: Sequence[DeviceRow], columns: Sequence[str]) -> Mapping[str, str]:
        """Return the cells of these rows, by the id of their element."""
        cells: dict[str, str] = {}
        for position, row in enumerate(rows):
            if "values" in columns:
                for number in range(2):
                    value = row.values[number] if number < len(row.values) else None
                    freshness = "" if value is None else row.freshness[number]
                    cells[f"v{position}_{number}"] = self._shown_value(value, freshness)
            if "age" in columns:
                cells[f"v{position}_age"] = self._shown_age(row.at)
        return cells

    def _shown_value(self, value: LatestValue | None, freshness: str) -> str:
        if value is None:
            return ""
        shown = (value.metric, value.title, type(value.value), value.value, value.unit, value.decimals, freshness)
        return self._known_cell(shown, lambda: self._value_cell(value, freshness))

    def _shown_age(self, at: datetime | None) -> str:
        shown = None if at is None else at.replace(microsecond=0)
        return self._known_cell(shown, lambda: self._age_cell(at))

    def _known_cell(self, shown: Hashable, render: Callable[[], str]) -> str:
        key = (current_language().code, shown)
        html = self._cells.get(key)
        if html is None:
            if len(self._cells) >= MOST_CELLS:
                self._cells.clear()
            html = self._cells[key] = render()
        return html


def _cell(row: int, name: object) -> Markup:
    return Markup(cell_mark(f"v{row}_{name}"))  # noqa: S704 - a mark, made of a number and a word of the template
