"""Write and read what was last known of each child: in two tables, since its values change always and its state rarely. Pure."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from gateway import strict_json
from gateway.models import Metric, Reach, Reading, Value
from gateway.state.database.columns import Unusable
from gateway.state.database.set_aside import UNREADABLE
from gateway.state.database.sqlite import Transaction

MOST_BYTES: Final = 1024 * 1024
"""More than any child needs; a damaged row must not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedChange:
    """A child stopped answering, or answered again."""

    at: datetime
    reach: Reach
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedState:
    """Whether a child answered, and what is known about that."""

    reach: Reach
    since: datetime | None
    why: str | None
    cause: str | None = None
    """A word of `gateway.causes`, as it was written."""
    special_step: str | None = None
    """What to do in this very case."""
    is_of_bus: bool = False
    changes: tuple[ObservedChange, ...] = ()
    """The latest first."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """How it was identified: questions and answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedFailures:
    """Failed transactions of one kind."""

    kind: str
    cause: str
    times: int
    last_at: datetime
    last_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedValues:
    """What a child said last, and how often it failed."""

    answered_at: datetime | None
    values: tuple[Reading, ...]
    """The last one of each metric."""
    failures: tuple[ObservedFailures, ...] = ()


def write_state(db: Transaction, child: str, state: ObservedState) -> None:
    """Write the state of a child over the one before."""
    content = {
        "reach": state.reach.value,
        "since": _seconds(state.since),
        "why": state.why,
        "cause": state.cause,
        "special_step": state.special_step,
        "is_of_bus": state.is_of_bus,
        "changes": [[_seconds(one.at), one.reach.value, one.why] for one in state.changes],
        "evidence": dict(state.evidence),
    }
    db.execute("INSERT OR REPLACE INTO child_states VALUES (?, ?)", (child, strict_json.dumps(content)))


def write_values(db: Transaction, child: str, values: ObservedValues) -> None:
    """Write the values of a child over those before."""
    content = {
        "answered_at": _seconds(values.answered_at),
        "values": [_cells(*one) for one in values.values],
        "failures": [[one.kind, one.cause, one.times, _seconds(one.last_at), one.last_text] for one in values.failures],
    }
    packed = zlib.compress(strict_json.dumps(content).encode(), 6)
    db.execute("INSERT OR REPLACE INTO child_values VALUES (?, ?)", (child, packed))


def remove_children(db: Transaction, children: Iterable[str]) -> None:
    """Forget children."""
    keys = [(child,) for child in children]
    db.executemany("DELETE FROM child_states WHERE child = ?", keys)
    db.executemany("DELETE FROM child_values WHERE child = ?", keys)


def read_states(db: Transaction) -> dict[str, ObservedState]:
    """Return the state of each child; rows that cannot be read are left out."""
    states: dict[str, ObservedState] = {}
    for child, content in db.execute("SELECT child, content FROM child_states"):
        try:
            states[str(child)] = _state(_object(content))
        except (*UNREADABLE, OSError):
            continue
    return states


def read_values(db: Transaction) -> dict[str, ObservedValues]:
    """Return the values of each child; rows that cannot be read are left out."""
    values: dict[str, ObservedValues] = {}
    for child, content in db.execute("SELECT child, content FROM child_values"):
        try:
            unpacker = zlib.decompressobj()
            plain = unpacker.decompress(content, MOST_BYTES)
            values[str(child)] = _values(str(child), _object(plain.decode()))
        except (*UNREADABLE, OSError, zlib.error):
            continue
    return values


def _object(content: object) -> dict[str, Any]:
    if not isinstance(content, str):
        raise Unusable("content is no text")
    made = json.loads(content)
    if not isinstance(made, dict):
        raise Unusable("content is no object")
    return made


def _state(made: Mapping[str, Any]) -> ObservedState:
    return ObservedState(
        reach=Reach(made["reach"]),
        since=_optional_moment(made["since"]),
        why=_optional_text(made["why"]),
        cause=_optional_text(made.get("cause")),
        special_step=_optional_text(made.get("special_step")),
        is_of_bus=bool(made.get("is_of_bus")),
        changes=tuple(
            ObservedChange(at=_moment(at), reach=Reach(reach), why=_optional_text(why)) for at, reach, why in made["changes"]
        ),
        evidence={str(question): str(answer) for question, answer in made["evidence"].items()},
    )


def _values(child: str, made: Mapping[str, Any]) -> ObservedValues:
    return ObservedValues(
        answered_at=_optional_moment(made["answered_at"]),
        values=tuple(
            Reading(child, _metric(name, unit, *shown), _value(value), _moment(at))
            for name, unit, value, at, *shown in made["values"]
        ),
        failures=tuple(
            ObservedFailures(kind=str(kind), cause=str(cause), times=int(times), last_at=_moment(at), last_text=str(text))
            for kind, cause, times, at, text in made.get("failures", ())
        ),
    )


def _cells(_child: str, metric: Metric, value: Value, at: datetime) -> list[object]:
    cells: list[object] = [metric.name, metric.unit, _plain(value), _seconds(at)]
    shown: list[object] = [metric.title, metric.decimals, metric.headline]
    return cells if shown == [None, None, False] else [*cells, *shown]


def _metric(name: object, unit: object, *shown: object) -> Metric:
    title, decimals, headline = shown or (None, None, False)
    if decimals is not None and not isinstance(decimals, int):
        raise Unusable("decimals are no number")
    return Metric(str(name), _optional_text(unit), title=_optional_text(title), decimals=decimals, headline=bool(headline))


def _value(value: object) -> Value:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise Unusable("a value is none")


def _plain(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else round(at.timestamp(), 3)


def _moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Unusable("a time is none")
    return datetime.fromtimestamp(seconds, UTC)


def _optional_moment(seconds: object) -> datetime | None:
    return None if seconds is None else _moment(seconds)


def _optional_text(words: object) -> str | None:
    return None if words is None else str(words)
