"""List bad data as adapters with bugs return it, each by name: values, times, metrics, readings, found devices, results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from gateway.adapter import (
    Block,
    BusFact,
    ChildDevice,
    Found,
    Identity,
    IdentityKind,
    Metric,
    MetricRow,
    Reading,
    RecordedFrame,
)
from gateway.testing.exiting_objects import Exiting, ExitingSequence

TERMINAL_TEXT: Final = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\r\n2026-01-01 00:00:00,000 INFO    all is well\x00\u2028"
"""A text that changes the title of a terminal, clears it, turns its text around, and forges a line of the log."""

LONE_SURROGATE: Final = "\ud800"


class Unspeakable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Untouchable:
    """An object that raises whatever is done with it."""

    def _raise(self, *_: object) -> Any:  # noqa: ANN401 - it never returns
        raise Unspeakable

    __str__ = __repr__ = __bool__ = __len__ = __iter__ = __hash__ = __float__ = __int__ = __index__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise


class UntouchableText(str):
    """A text that raises when it is compared, hashed or shown."""

    __slots__ = ()

    def _raise(self, *_: object) -> Any:  # noqa: ANN401 - it never returns
        raise Unspeakable

    __str__ = __repr__ = __hash__ = __len__ = __iter__ = isprintable = _raise
    encode = split = _raise  # type: ignore[assignment]  # worse than the types allow
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise


class UntouchableNumber(float):
    """A number that raises when it is compared or calculated with."""

    def _raise(self, *_: object) -> Any:  # noqa: ANN401 - it never returns
        raise Unspeakable

    __str__ = __repr__ = __hash__ = __float__ = __add__ = __radd__ = __sub__ = __rsub__ = __abs__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise


class BrokenZone(tzinfo):
    """A time zone that raises."""

    def utcoffset(self, at: datetime | None, /) -> timedelta | None:
        """Raise."""
        raise Unspeakable

    dst = utcoffset

    def tzname(self, at: datetime | None, /) -> str | None:
        """Raise."""
        raise Unspeakable


class ArrayNumber:
    """A number of an array library: it behaves like one, and is none."""

    dtype = "float32"

    def __float__(self) -> float:
        return 1.5

    def item(self) -> float:
        """Return the number."""
        return 1.5


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: Final[Mapping[str, Callable[[], object]]] = MappingProxyType(
    {
        "a list": lambda: [1, 2],
        "a dict": lambda: {"a": 1},
        "a list nested deeply": lambda: _nested(5000),
        "an integer of 5,000 digits": lambda: 10**4999,
        "a negative integer of 5,000 digits": lambda: -(10**4999),
        "an integer of 65 bits": lambda: 2**64,
        "not a number": lambda: float("nan"),
        "infinity": lambda: float("-inf"),
        "bytes": lambda: b"\x00\xff",
        "a bytearray": lambda: bytearray(b"12"),
        "a text of 2 MB": lambda: "x" * 2_000_000,
        "a lone surrogate": lambda: LONE_SURROGATE,
        "an escape sequence": lambda: TERMINAL_TEXT,
        "a decimal": lambda: Decimal("1.5"),
        "a fraction": lambda: Fraction(1, 3),
        "a complex number": lambda: 1j,
        "a number of an array": ArrayNumber,
        "a time": lambda: datetime(2026, 1, 1, tzinfo=UTC),
        "a set": lambda: {1},
        "an exception": Unspeakable,
        "a class": lambda: float,
        "an object that raises": Untouchable,
        "a text that raises": lambda: UntouchableText("x"),
        "a number that raises": lambda: UntouchableNumber(1.5),
    }
)
"""Values that no reading may have, or that have to be cleaned, by name."""

TIMES: Final[Mapping[str, Callable[[], object]]] = MappingProxyType(
    {
        "none": lambda: None,
        "a number": lambda: 1767225600.0,
        "a text": lambda: "2026-01-01T00:00:00Z",
        "without a zone": lambda: datetime(2026, 1, 1),  # noqa: DTZ001 - that is the mistake
        "the end of the calendar": lambda: datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        "the beginning of the calendar": lambda: datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
        "before the year 2000": lambda: datetime(1999, 12, 31, tzinfo=UTC),
        "ten years ahead": lambda: datetime.now(UTC) + timedelta(days=3653),
        "a zone that raises": lambda: datetime(2026, 1, 1, tzinfo=BrokenZone()),
    }
)
"""Times that no reading may have."""


def _unchecked_metric(name: object, **fields: object) -> Metric:
    """Return a metric that was made past the checks of its class."""
    metric = Metric("made")
    for field, value in {"name": name, **fields}.items():
        object.__setattr__(metric, field, value)
    return metric


METRICS: Final[Mapping[str, Callable[[], object]]] = MappingProxyType(
    {
        "none": lambda: None,
        "a text": lambda: "power",
        "without a name": lambda: _unchecked_metric(""),
        "the reserved name": lambda: _unchecked_metric("status"),
        "a name that is a number": lambda: _unchecked_metric(7),
        "a name with a zero byte": lambda: Metric("power\x00"),
        "a name with an escape sequence": lambda: Metric(TERMINAL_TEXT),
        "a name of 5,000 characters": lambda: Metric("x" * 5000),
        "a name with a lone surrogate": lambda: Metric(LONE_SURROGATE),
        "a name that raises": lambda: _unchecked_metric(UntouchableText("x")),
        "a unit that is a list": lambda: _unchecked_metric("power", unit=["W"]),
        "a unit with an escape sequence": lambda: Metric("power", TERMINAL_TEXT),
        "a reduction that does not exist": lambda: _unchecked_metric("power", reduce="median"),
        "a dead band that is a text": lambda: _unchecked_metric("power", dead_band="1"),
        "a title that is a number": lambda: _unchecked_metric("power", title=7),
        "a title with an escape sequence": lambda: Metric("power", title=TERMINAL_TEXT),
        "decimals that are a text": lambda: _unchecked_metric("power", decimals="2"),
        "a thousand decimals": lambda: Metric("power", decimals=1000),
        "a headline that is a number": lambda: _unchecked_metric("power", headline=1),
        "a dead band that is not a number": lambda: Metric("power", dead_band=float("nan")),
    }
)
"""Metrics that no reading may have, or that have to be cleaned."""

BatchOf: TypeAlias = Callable[[ChildDevice, datetime], object]

_POWER: Final = Metric("power")
_ROW: Final = MetricRow([_POWER, Metric("voltage")])


def _block(child: object, values: object, at: object, row: object = _ROW) -> Block:
    return Block(child, row, values, at)  # type: ignore[arg-type]  # that is the mistake


class _BrokenSequence(list[Reading]):
    def __iter__(self) -> Any:  # noqa: ANN401 - it never returns
        raise Unspeakable

    def __len__(self) -> int:
        raise Unspeakable


def _change_child(child: ChildDevice, at: datetime) -> list[Reading]:
    for name, value in (("key", "sn:synthetic/stolen"), ("address", ["x"]), ("name", None), ("bus", "elsewhere")):
        object.__setattr__(child, name, value)
    return [Reading("sn:synthetic/stolen", _POWER, 666.0, at)]


_CHANGING: Final = Metric("changing")


def _change_metric(child: ChildDevice, at: datetime) -> list[Reading]:
    object.__setattr__(_CHANGING, "name", "changing" if _CHANGING.name == LONE_SURROGATE else LONE_SURROGATE)
    return [Reading(child.key, _CHANGING, 1.0, at)]


class _OtherBlock(Block):
    __slots__ = ()

    def __len__(self) -> int:
        raise Unspeakable


def _changed_row() -> MetricRow:
    row = MetricRow([_POWER, Metric("voltage")])
    row.names = (LONE_SURROGATE, "status")
    row.plain = True
    return row


def _raising_readings(child: ChildDevice, at: datetime) -> Iterator[Reading]:
    yield Reading(child.key, _POWER, 1.0, at)
    raise Unspeakable


BATCHES: Final[Mapping[str, BatchOf]] = MappingProxyType(
    {
        "none": lambda child, at: None,
        "a text": lambda child, at: "power",
        "a number": lambda child, at: 7,
        "a reading without a list": lambda child, at: Reading(child.key, _POWER, 1.0, at),
        "a dict": lambda child, at: {"power": 1.0},
        "a tuple of three": lambda child, at: [(child.key, _POWER, 1.0)],
        "plain tuples": lambda child, at: [(child.key, _POWER, 1.0, at)],
        "things that are no readings": lambda child, at: [None, 7, "power", Untouchable(), object()],
        "a generator that raises": lambda child, at: _raising_readings(child, at),
        "a sequence that raises": lambda child, at: _BrokenSequence(),
        "an object that raises": lambda child, at: Untouchable(),
        "an object that exits": lambda child, at: Exiting(),
        "a sequence that exits": lambda child, at: ExitingSequence(),
        "things that exit": lambda child, at: [Exiting(), Reading(child.key, Exiting(), 1.0, at)],  # type: ignore[arg-type]  # that is the mistake
        "a child that was changed": _change_child,
        "a metric that changes": _change_metric,
        "a million readings": lambda child, at: [Reading(child.key, _POWER, 1.0, at)] * 1_000_000,
        "50,000 metrics": lambda child, at: [Reading(child.key, Metric(f"m{n}"), n, at) for n in range(50_000)],
        "a child that is none": lambda child, at: [Reading(None, _POWER, 1.0, at)],  # type: ignore[arg-type]  # that is the mistake
        "a child that is unknown": lambda child, at: [Reading("sn:synthetic/nobody", _POWER, 1.0, at)],
        "a child of another bus": lambda child, at: [Reading("sn:synthetic/elsewhere", _POWER, 666.0, at)],
        "a child that is a list": lambda child, at: [Reading([child.key], _POWER, 1.0, at)],  # type: ignore[arg-type]  # that is the mistake
        "a child that raises": lambda child, at: [Reading(UntouchableText(child.key), _POWER, 1.0, at)],
        "a child that is an object": lambda child, at: [Reading(Untouchable(), _POWER, 1.0, at)],  # type: ignore[arg-type]  # that is the mistake
        "a text, then a number": lambda child, at: [
            Reading(child.key, _POWER, "on", at),
            Reading(child.key, _POWER, 1.0, at),
        ],
        "a block with too few values": lambda child, at: _block(child.key, [1.0], at),
        "a block with too many values": lambda child, at: _block(child.key, [1.0] * 1000, at),
        "a block without a child": lambda child, at: _block(None, [1.0, 2.0], at),
        "a block of another bus": lambda child, at: _block("sn:synthetic/elsewhere", [666.0, 666.0], at),
        "a block without values": lambda child, at: _block(child.key, None, at),
        "a block whose values are a text": lambda child, at: _block(child.key, "12", at),
        "a block whose values raise": lambda child, at: _block(child.key, Untouchable(), at),
        "a block with bad values": lambda child, at: _block(child.key, [float("nan"), [1]], at),
        "a block of huge integers": lambda child, at: _block(child.key, [10**4999, -(10**4999)], at),
        "a block with a lone surrogate": lambda child, at: _block(child.key, [1.0, LONE_SURROGATE], at),
        "a block without a row": lambda child, at: _block(child.key, [1.0, 2.0], at, None),
        "a block whose row is a list": lambda child, at: _block(child.key, [1.0, 2.0], at, ["power", "voltage"]),
        "a block whose row was changed": lambda child, at: _block(child.key, [1.0, 2.0], at, _changed_row()),
        "a block of a class that raises": lambda child, at: _OtherBlock(child.key, _ROW, [1.0, 2.0], at),
    }
)
"""What `read` may not yield, or only in part, by name."""


def _with(**fields: object) -> Callable[[Found], object]:
    def change(found: Found) -> object:
        return replace(found, **fields)  # type: ignore[arg-type]  # that is the mistake

    return change


FOUND: Final[Mapping[str, Callable[[Found], object]]] = MappingProxyType(
    {
        "a text": lambda found: "device",
        "a dict": lambda found: {"address": found.address},
        "a number": lambda found: 7,
        "an object that raises": lambda found: Untouchable(),
        "an object that exits": lambda found: Exiting(),
        "an address that is none": _with(address=None),
        "an address that is a number": _with(address=17),
        "an address with an escape sequence": _with(address=TERMINAL_TEXT),
        "an address of 5,000 characters": _with(address="a" * 5000),
        "an address that raises": _with(address=UntouchableText("bad")),
        "no identity": _with(identity=None),
        "an identity that is a text": _with(identity="sn:1"),
        "an identity without a value": _with(identity=Identity(IdentityKind.MAC, "")),
        "an identity of another kind": _with(identity=Identity("imei", "1")),  # type: ignore[arg-type]  # that is the mistake
        "an identity with an escape sequence": _with(identity=Identity(IdentityKind.SERIAL_NUMBER, f"a/{TERMINAL_TEXT}")),
        "an identity with a lone surrogate": _with(identity=Identity(IdentityKind.SERIAL_NUMBER, f"a/{LONE_SURROGATE}")),
        "an identity of 5,000 characters": _with(identity=Identity(IdentityKind.SERIAL_NUMBER, "a" * 5000)),
        "an identity that raises": _with(identity=Identity(IdentityKind.SERIAL_NUMBER, UntouchableText("x"))),
        "no name": _with(name=None),
        "an empty name": _with(name=""),
        "a name that is bytes": _with(name=b"device"),
        "a name with an escape sequence": _with(name=TERMINAL_TEXT),
        "a name with a lone surrogate": _with(name=f"device {LONE_SURROGATE}"),
        "a name of 2 MB": _with(name="x" * 2_000_000),
        "a name that raises": _with(name=UntouchableText("x")),
        "a model that is a number": _with(model=7),
        "a model with an escape sequence": _with(model=TERMINAL_TEXT),
        "a serial number that is a list": _with(serial_number=["1"]),
        "firmware that is a tuple": _with(firmware_version=(1, 0)),
        "a profile that is an object": _with(profile=Untouchable()),
        "evidence that is none": _with(evidence=None),
        "evidence that is a list": _with(evidence=[("asked", "answered")]),
        "evidence with an escape sequence": _with(evidence={TERMINAL_TEXT: TERMINAL_TEXT}),
        "evidence that raises": _with(evidence={"asked": Untouchable(), "again": UntouchableText("x")}),
        "evidence of 2 MB": _with(evidence={f"question {n}": "x" * 2000 for n in range(1000)}),
        "values with a lone surrogate": _with(says={LONE_SURROGATE: LONE_SURROGATE}),
        "a confidence that is a number": _with(confidence=0.9),
    }
)
"""What `discover`, `identify` and `listen` may not report of a device, or only cleaned, by name."""


_ANYTHING: Final[Mapping[str, Callable[[], object]]] = MappingProxyType(
    {
        "none": lambda: None,
        "a number": lambda: 7,
        "a text": lambda: TERMINAL_TEXT,
        "a list of objects": lambda: [object(), None, Untouchable()],
        "a dict of objects": lambda: {"all": object(), 7: Untouchable()},
        "an object that raises": Untouchable,
        "an object that exits": Exiting,
    }
)


def _frame(*parts: Any) -> RecordedFrame:  # noqa: ANN401 - whatever a bad adapter puts into it
    return RecordedFrame(*parts)


RESULTS: Final[Mapping[str, Mapping[str, Callable[[], object]]]] = MappingProxyType(
    {
        "poll_groups": {
            **_ANYTHING,
            "an interval that is a number": lambda: {"all": 1.0},
            "an interval of zero": lambda: {"all": timedelta(0)},
            "an interval below zero": lambda: {"all": timedelta(seconds=-1)},
            "an interval of ages": lambda: {"all": timedelta.max},
            "a group that is none": lambda: {None: timedelta(seconds=1)},
            "a group with an escape sequence": lambda: {TERMINAL_TEXT: timedelta(seconds=1)},
            "10,000 groups": lambda: {f"g{n}": timedelta(seconds=1) for n in range(10_000)},
        },
        "planned_reads": _ANYTHING,
        "remarks": {**_ANYTHING, "a remark with an escape sequence": lambda: [TERMINAL_TEXT], "2 MB": lambda: ["x" * 2_000_000]},
        "bus_remarks": {
            **_ANYTHING,
            "a remark with an escape sequence": lambda: [TERMINAL_TEXT],
            "2 MB": lambda: ["x" * 2_000_000],
        },
        "metrics": {**_ANYTHING, "metrics that are texts": lambda: {"all": ["power"]}},
        "commands": _ANYTHING,
        "may_be_quiet": {"a number": lambda: 7, "below zero": lambda: timedelta(-1), "an object that raises": Untouchable},
        "recent_frames": {**_ANYTHING, "a frame with an escape sequence": lambda: [TERMINAL_TEXT]},
        "recorded_frames": {
            **_ANYTHING,
            "a frame without parts": lambda: [_frame(object())],
            "a frame of no time": lambda: [_frame("00", 7)],
        },
        "bus_facts": {**_ANYTHING, "a fact without a name": lambda: [BusFact(TERMINAL_TEXT, "x")]},
        "point_map": {"a number": lambda: 7, "an object that raises": Untouchable, "2 MB": lambda: "x" * 2_000_000},
        "configuration_model": {"a number": lambda: 7, "a class": lambda: dict, "an object that raises": Untouchable},
        "planned_writes": _ANYTHING,
        "execute": {**_ANYTHING, "a text that raises": lambda: UntouchableText("x")},
        "read_back": _ANYTHING,
        "differing_settings": _ANYTHING,
        "configure": _ANYTHING,
    }
)
"""What a method may not return for the bad device, by the name of the method and of the kind."""
