"""Lay out the table of devices: its columns, its order and groups, and the two values of each device. Pure.

The values change all the time and the rest seldom, so a page has the values as cells of their own, which are sent alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from gateway.models import Metric
from gateway.status.history import History
from gateway.status.languages.texts import gettext_noop
from gateway.status.render.metric_texts import headline_order
from gateway.status.render.paging import ListPage, ListQuery, list_children
from gateway.status.snapshot import ChildStatus, ChildSummary, LatestValue
from gateway.status.update_intervals import UNKNOWN_INTERVALS, UpdateIntervals

COLUMNS: Final[Mapping[str, str]] = {
    "values": gettext_noop("Values"),
    "age": gettext_noop("Age"),
    "status": gettext_noop("Status"),
    "bus": gettext_noop("Bus"),
    "kind": gettext_noop("Kind"),
    "family": gettext_noop("Family"),
    "serial": gettext_noop("Serial number"),
}
"""The columns that a person may leave out, as they stand in addresses -> their titles."""

USUAL_COLUMNS: Final = ("values", "age", "status", "bus", "kind")
GROUPS: Final[Mapping[str, str]] = {
    "bus": gettext_noop("bus"),
    "family": gettext_noop("family"),
    "status": gettext_noop("status"),
}
_QUIET: Final = frozenset({ChildStatus.SILENT, ChildStatus.UNASKED})


FindIntervals: TypeAlias = Callable[[str], UpdateIntervals]
"""Returns how often the values of a child are expected, by its key."""


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device of the table."""

    child: ChildSummary
    values: Sequence[LatestValue]
    """At most two."""
    at: datetime | None
    """When the newer of them was read."""
    freshness: Sequence[str]
    """Of each value a class of the style sheet: empty, `late` or `old`."""
    group: str | None = None
    """The title of the group that begins with this row."""
    group_size: int = 0


class DeviceTable:
    """Finds the rows of a table of devices, with the values that matter most of each."""

    def __init__(self, history: History, intervals: FindIntervals = lambda key: UNKNOWN_INTERVALS) -> None:
        self._history = history
        self._intervals = intervals
        self._headlines: dict[str, tuple[Sequence[Metric], Sequence[str]]] = {}

    def page(
        self, children: Sequence[ChildSummary], query: ListQuery, *, now: datetime, bus_id: str | None = None
    ) -> tuple[ListPage[ChildSummary], Sequence[DeviceRow]]:
        """Return one page of the table."""
        for key in self._headlines.keys() - {child.key for child in children}:
            del self._headlines[key]
        group_of = _GROUP_OF.get(query.group)
        listing = list_children(
            children, query, bus_id=bus_id, order=self._order(query.sort.removeprefix("-")), group_of=group_of
        )
        sizes = Counter(map(group_of, listing.found)) if group_of is not None else Counter[str]()
        rows, group = [], None
        for child in listing.rows:
            own_group = None if group_of is None else group_of(child)
            begins = own_group if own_group != group else None
            rows.append(self._row(child, now, begins, sizes[own_group or ""]))
            group = own_group
        return listing, rows

    def headlines(self, child: ChildSummary) -> Sequence[LatestValue]:
        """Return the two values that matter most of a child."""
        metrics = self._history.metrics(child.key)
        known = self._headlines.get(child.key)
        if known is None or known[0] != metrics:
            names = [metric.name for metric in metrics]
            values = self._history.latest_of(child.key, names)  # whose names are cleaned for people
            name_of = {id(value): name for name, value in zip(names, values, strict=True)}
            chosen = [name_of[id(value)] for value in headline_order(values, child.family)[:2]]
            known = self._headlines[child.key] = metrics, chosen
        return self._history.latest_of(child.key, known[1])

    def _row(self, child: ChildSummary, now: datetime, group: str | None, size: int) -> DeviceRow:
        values = self.headlines(child)
        at = max((value.at for value in values), default=None)
        intervals = self._intervals(child.key)
        return DeviceRow(child, values, at, [freshness(child.standing, one, now, intervals) for one in values], group, size)

    def _order(self, sort: str) -> Callable[[ChildSummary], tuple[object, ...]] | None:
        if sort == "age":
            return lambda child: (-max((one.at.timestamp() for one in self.headlines(child)), default=0.0),)
        return self._by_value if sort == "values" else None

    def _by_value(self, child: ChildSummary) -> tuple[object, ...]:
        first = next(iter(self.headlines(child)), None)
        value = None if first is None else first.value
        if first is None or isinstance(value, str) or value is None:
            return (2 if first is None else 1, "", str(value), 0.0)
        return 0, first.unit or "", first.metric, -float(value)


def freshness(standing: ChildStatus, value: LatestValue, now: datetime, intervals: UpdateIntervals) -> str:
    """Return the class of a value: values that are not of now are dimmed, by how often they are expected."""
    age = (now - value.at).total_seconds()
    if age > intervals.old_after(value.metric):
        return "old"
    return "late" if age > intervals.late_after(value.metric) or standing in _QUIET else ""


def shown_columns(query: ListQuery) -> Sequence[str]:
    """Return the columns that a person chose, or the usual ones."""
    return [column for column in COLUMNS if column in (query.columns or USUAL_COLUMNS)]


_GROUP_OF: Final[Mapping[str, Callable[[ChildSummary], str]]] = {
    "bus": lambda child: child.bus,
    "family": lambda child: child.family or gettext_noop("no family"),
    "status": lambda child: child.standing.value,
}
