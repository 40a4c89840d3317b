"""Check the readings of one bus: whose they are, their metrics, values and times. What cannot be used is dropped and counted.

A `Block` costs little: its row is checked once, and its values are checked together by a few functions that loop in C. Only where
these find something odd is each value looked at.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Final

from gateway.field.adapter_data.metrics import checked_metric
from gateway.field.adapter_data.refusals import Refusal, Refusals
from gateway.field.adapter_data.values import LARGEST_INTEGER, PlausibleTimes, Unusable, checked_value, json_bytes
from gateway.models import Block, Metric, MetricRow, Reading, Value
from gateway.plain_text import replace_unprintable, type_name

MOST_READINGS: Final = 10_000
"""The most readings of one transaction."""

MOST_METRICS: Final = 2_000
"""The most different metrics of one child since the start."""

SAMPLE_BYTES: Final = 256 * 1024
"""The most bytes of all values of one child together, with their names, as JSON."""

NUMBER_BYTES: Final = 28
"""What a number, and the signs around it, have at most as JSON."""

MOST_KEPT: Final = 10_000
"""The most metrics and rows of one bus that are known as checked; then all are checked again."""

MOST_STRANGERS: Final = 500
"""The most devices that are no children whose metrics are known as checked."""

MOST_TYPES: Final = 16
"""The most combinations of types of a row that are known as good."""

_NUMBERS: Final = frozenset((int, float, bool, type(None)))


@dataclass(slots=True)
class _RowOfChild:
    """A row of an adapter as it is used for one child."""

    reported: MetricRow
    """Kept, so that no other row gets its id."""
    row: MetricRow
    places: tuple[int, ...] | None
    """The places of the values that are used; `None` for all of them."""
    length: int
    good_types: set[tuple[type, ...]] = field(default_factory=set)
    """Combinations of types of which all values are numbers, and fit what the metrics had before."""


@dataclass(slots=True)
class _KnownChild:
    """What is known of the metrics of one child."""

    kinds: dict[str, str] = field(default_factory=dict)
    """Metric -> what its values are: a number, a text, or a bool; empty while it had none."""
    texts: dict[str, int] = field(default_factory=dict)
    """Metric -> the bytes of its last text."""
    kind_changes: int = 0
    bytes: int = 0
    """Of all names and last values."""
    rows: dict[int, _RowOfChild] = field(default_factory=dict)


class ReadingCheck:
    """The check of the readings of one bus.

    Args:
        refusals: counts what is dropped.
        children: the keys of the children on the bus.
    """

    def __init__(self, refusals: Refusals, children: Container[str]) -> None:
        self.children = children
        self._refusals = refusals
        self._times = PlausibleTimes()
        self._known: dict[str, _KnownChild] = {}
        self._strangers: dict[str, _KnownChild] = {}  # devices that have sent something, and are no children (yet)
        self._metrics: dict[int, tuple[object, Metric | None]] = {}
        self._rows: dict[tuple[Metric, ...], MetricRow] = {}

    def checked(self, readings: object, method: str, own: str | None = None) -> Sequence[Reading]:
        """Return what can be used of what an adapter yielded as the readings of one transaction.

        Args:
            readings: what it yielded.
            method: the method of the adapter, for the log.
            own: the key of the child that it was asked to read; `None` for what was sent unprompted, where any device may have
                sent it. Whoever takes it in drops what is not of a child.
        """
        try:
            if type(readings) is Block:
                return self._block(readings, own)
            return self._each(readings, method, own)
        except BaseException as error:  # noqa: BLE001 - objects of a third-party adapter, which may raise anything, even `SystemExit`
            self._refusals.note(
                Refusal.FORM, f"yields something in {method} that raises {type_name(type(error))} when it is used"
            )
            return ()

    # blocks -----------------------------------------------------------------------------------------------------------

    def _block(self, block: Block, own: str | None) -> Sequence[Reading]:
        values = block.values
        times = len(values) if type(values) in (list, tuple) else 1
        child, at = self._child(block.child, own, times), self._time(block.at, times)
        if child is None or at is None:
            return ()
        if type(values) is not tuple:
            if not isinstance(values, Sequence) or isinstance(values, str | bytes):
                self._refusals.note(Refusal.FORM, f"yields a Block whose values are of the type {type_name(type(values))}")
                return ()
            values = tuple(values)
        known = self._known_child(child)
        row = known.rows.get(id(block.row)) or self._row_of(known, block.row)
        if row is None or len(values) != row.length:
            if row is not None:
                self._refusals.note(Refusal.FORM, f"yields a Block of {len(values)} values for {row.length} metrics")
            return ()
        if row.places is not None:
            values = tuple([values[place] for place in row.places])
        types = tuple(map(type, values))
        if types in row.good_types and _are_usable_numbers(values):
            return Block(child, row.row, values, at)
        return self._row_by_value(known, row, child, values, at)

    def _row_by_value(
        self, known: _KnownChild, row: _RowOfChild, child: str, values: Sequence[object], at: datetime
    ) -> Sequence[Reading]:
        checked: list[tuple[Metric, Value]] = []
        kind_changes = known.kind_changes
        for metric, value in zip(row.row.metrics, values, strict=True):
            usable = self._value(known, metric, value)
            if usable is not _REFUSED:
                checked.append((metric, usable))
        if known.kind_changes > kind_changes:
            row.good_types.clear()  # so that the next change is seen, too
        if len(checked) < len(values):
            return [Reading(child, metric, value, at) for metric, value in checked]
        types = tuple(map(type, values))
        if _NUMBERS.issuperset(types):
            if len(row.good_types) >= MOST_TYPES:
                row.good_types.clear()
            row.good_types.add(types)
        return Block(child, row.row, tuple([value for _, value in checked]), at)

    def _row_of(self, known: _KnownChild, reported: Any) -> _RowOfChild | None:  # noqa: ANN401 - whatever an adapter yields
        if type(reported) is not MetricRow:
            self._refusals.note(Refusal.FORM, f"yields a Block whose row is of the type {type_name(type(reported))}")
            return None
        metrics = tuple(reported.metrics)
        if len(metrics) > MOST_READINGS:
            self._refusals.note(Refusal.SIZE, f"yields a Block of {len(metrics)} metrics", len(metrics))
            return None
        checked = [(place, self._metric(known, metric)) for place, metric in enumerate(metrics)]
        usable = [(place, metric) for place, metric in checked if metric is not None]
        key = tuple(metric for _, metric in usable)
        if len(self._rows) >= MOST_KEPT:
            self._rows.clear()
        row = self._rows.setdefault(key, MetricRow(key))
        places = None if len(usable) == len(metrics) else tuple(place for place, _ in usable)
        if len(known.rows) >= MOST_KEPT // 10:
            known.rows.clear()
        known.rows[id(reported)] = _RowOfChild(reported, row, places, len(metrics))
        return known.rows[id(reported)]

    # single readings --------------------------------------------------------------------------------------------------

    def _each(self, readings: Any, method: str, own: str | None) -> Sequence[Reading]:  # noqa: ANN401 - whatever an adapter yields
        kind = type(readings)
        if not issubclass(kind, Sequence) or issubclass(kind, str | bytes) or kind is Reading:
            self._refusals.note(Refusal.FORM, f"yields something of the type {type_name(kind)} in {method}")
            return ()
        if len(readings) > MOST_READINGS:
            self._refusals.note(Refusal.SIZE, f"yields {len(readings)} readings at once", len(readings))
            return ()
        checked: list[Reading] = []
        seen_child, seen_at, child, at, known = _NOTHING, _NOTHING, None, None, _KnownChild()
        for reading in readings:
            if not issubclass(type(reading), Reading):
                self._refusals.note(
                    Refusal.FORM, f"yields a list in {method} with something of the type {type_name(type(reading))}"
                )
                continue
            reported_child, reported_metric, reported_value, reported_at = tuple.__iter__(reading)
            if child is None or reported_child is not seen_child:  # mostly, all of a list have the same child and time
                seen_child, child = reported_child, self._child(reported_child, own)
                known = known if child is None else self._known_child(child)
            if at is None or reported_at is not seen_at:
                seen_at, at = reported_at, self._time(reported_at)
            metric = None if child is None else self._metric(known, reported_metric)
            if child is None or at is None or metric is None:
                continue
            value = self._value(known, metric, reported_value)
            if value is not _REFUSED:
                checked.append(Reading(child, metric, value, at))
        return checked

    # the parts of a reading -------------------------------------------------------------------------------------------

    def _child(self, child: Any, own: str | None, times: int = 1) -> str | None:  # noqa: ANN401 - as above
        key = str.__str__(child) if issubclass(type(child), str) else None
        if key is None:
            self._refusals.note(Refusal.DEVICE, f"yields readings whose child is of the type {type_name(type(child))}", times)
            return None
        if own is None or key == own or key in self.children:
            return key
        shown = replace_unprintable(key[:80])
        self._refusals.note(Refusal.DEVICE, f'yields readings of "{shown}", which is no child on this bus', times)
        return None

    def _known_child(self, child: str) -> _KnownChild:
        known = self._known.get(child)
        if known is None:
            known = self._strangers.pop(child, None) or _KnownChild()
            is_stranger = child not in self.children
            kept, most = (self._strangers, MOST_STRANGERS) if is_stranger else (self._known, MOST_KEPT)
            if len(kept) >= most:
                del kept[next(iter(kept))]  # devices come and go; what is known of one that stays is learned again
            kept[child] = known
        return known

    def _time(self, at: object, times: int = 1) -> datetime | None:
        try:
            return self._times.checked(at)
        except Unusable as why:
            self._refusals.note(Refusal.TIME, f"yields readings with a time that is {why}", times)
            return None

    def _metric(self, known: _KnownChild, metric: object) -> Metric | None:
        """Return the metric, if it can be used and the child has not too many; each object is checked once."""
        entry = self._metrics.get(id(metric))
        if entry is None:
            entry = metric, self._checked_metric(metric)
            if len(self._metrics) >= MOST_KEPT:
                self._metrics.clear()
            self._metrics[id(metric)] = entry
        usable = entry[1]
        if usable is None:
            self._refusals.note(Refusal.METRIC, "yields a metric that cannot be used")  # told when it was checked
        elif usable.name not in known.kinds and not self._is_room_for(known, usable.name):
            return None
        return usable

    def _checked_metric(self, metric: object) -> Metric | None:
        try:
            usable = checked_metric(metric)
        except Unusable as why:
            self._refusals.note(Refusal.METRIC, f"yields a metric {why}", 0)
            return None
        for what in ("unit", "title"):
            text = getattr(usable, what)
            if isinstance(metric, Metric) and text is not None and not str.__eq__(text, getattr(metric, what)):
                self._refusals.note(Refusal.TEXT, f'yields a metric "{usable.name}" whose {what} is not printable or too long')
        return usable

    def _is_room_for(self, known: _KnownChild, name: str) -> bool:
        size = json_bytes(name) + NUMBER_BYTES
        if len(known.kinds) >= MOST_METRICS or known.bytes + size > SAMPLE_BYTES:
            self._refusals.note(Refusal.SIZE, f"yields more than {len(known.kinds)} different metrics of one device")
            return False
        known.kinds[name] = ""
        known.bytes += size
        return True

    def _value(self, known: _KnownChild, metric: Metric, value: object) -> Any:  # noqa: ANN401 - a value, or the mark for a refused one
        name = metric.name
        try:
            usable = checked_value(value)
        except Unusable as why:
            self._refusals.note(Refusal.VALUE, f'yields a value of "{name}" that is {why}')
            return _REFUSED
        if usable is None:
            return None
        kind = _kind_of(usable)
        if known.kinds.get(name) != kind:
            if known.kinds.get(name):
                known.kind_changes += 1
                self._refusals.note(Refusal.KIND, f'yields a {kind} as "{name}", which was a {known.kinds[name]} before')
            known.kinds[name] = kind
        if type(usable) is str:
            return self._text(known, name, usable)
        if known.texts:
            known.bytes -= known.texts.pop(name, 0)
        return usable

    def _text(self, known: _KnownChild, name: str, text: str) -> Any:  # noqa: ANN401 - a value, or the mark for a refused one
        if not text.isprintable():
            self._refusals.note(Refusal.TEXT, f'yields a text with control characters as "{name}"')
            text = replace_unprintable(text)
        size, before = json_bytes(text), known.texts.get(name, 0)
        if known.bytes - before + size > SAMPLE_BYTES:
            self._refusals.note(Refusal.SIZE, f"yields texts of one device that have more than {SAMPLE_BYTES} bytes together")
            return _REFUSED
        known.bytes += size - before
        known.texts[name] = size
        return text


_REFUSED: Final = object()
_NOTHING: Final[Any] = object()


def _kind_of(value: Value) -> str:
    if type(value) is str:
        return "text"
    return "bool" if type(value) is bool else "number"


def _are_usable_numbers(values: Sequence[Any]) -> bool:
    """Return whether numbers, of which some may be `None`, are finite and not too large; `False` also where that is uncertain."""
    numbers = [*filter(None, values)]
    try:
        return not numbers or (isfinite(sum(numbers)) and max(numbers) < LARGEST_INTEGER and min(numbers) > -LARGEST_INTEGER)
    except OverflowError:
        return False
