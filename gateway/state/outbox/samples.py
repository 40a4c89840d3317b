"""Turn samples into rows of the outbox and back; what cannot be stored or read costs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import NamedTuple

from gateway import strict_json
from gateway.hub import MESSAGE_BYTES
from gateway.models import Sample, Status, Value
from gateway.state.database.columns import Unusable, json_object, moment, number, text
from gateway.state.database.set_aside import UNREADABLE

PART_BYTES = MESSAGE_BYTES - 8 * 1024
"""A sample with more bytes of values becomes several: the hub merges messages (device API reference, section 5.1)."""

WIDEST_INTEGER = 128
"""An integer of more bits is no number that the hub could take (section 5.1), and Python refuses to read thousands of digits."""

MAX_QUOTED = 120


@dataclass(frozen=True, slots=True)
class QueuedSample:
    """A sample in the outbox, with its position in the queue."""

    seq: int
    sample: Sample
    size_bytes: int
    """The length of its values as JSON: about what it adds to the body of a call."""


class SampleRow(NamedTuple):
    """A sample as the columns of its row."""

    child: str
    at: str
    status: str
    payload: str
    is_event: bool
    boot: str | None = None
    """The boot in which it was taken, where its time is not known yet."""
    ticks: float | None = None
    """The seconds since that boot."""

    @property
    def size_bytes(self) -> int:
        """What it takes up in the store, as the accounts count it."""
        return len(self.payload) + 2 * len(self.child) + 64


def parts_of(sample: Sample) -> Iterator[Sample]:
    """Yield the sample, or several with the same values together, each of which fits into one message."""
    if len(sample.values) < 2 or len(_payload(sample.values)) <= PART_BYTES:
        yield sample
        return
    values = list(sample.values.items())
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        yield from parts_of(replace(sample, values=dict(half)))


def rows_of(sample: Sample) -> list[SampleRow]:
    """Return the rows of a sample.

    Raises:
        Unusable: it cannot be stored.
    """
    try:
        sample.child.encode()
        at = sample.at.astimezone(UTC).isoformat()
        return [
            SampleRow(part.child, at, part.status.value, _payload(part.values), part.is_event)
            for part in parts_of(replace(sample, values={name: _storable(name, value) for name, value in sample.values.items()}))
        ]
    except Unusable:
        raise
    except UNREADABLE as error:
        raise Unusable(f"it cannot be stored ({type(error).__name__})") from error


def queued_sample(seq: object, child: object, at: object, status: object, payload: object) -> QueuedSample:
    """Return the sample in the columns seq, child, at, status and payload.

    Raises:
        ValueError: one of them is damaged, or no message can contain it.
    """
    values: dict[str, Value] = {}
    for name, value in json_object(payload, "payload").items():
        if not isinstance(value, bool | int | float | str | None):
            raise Unusable("payload has a list or an object in it")
        values[name] = value
    sample = Sample(text(child, "child"), moment(at, "at"), Status(text(status, "status")), values)
    return QueuedSample(number(seq, "seq"), sample, len(text(payload, "payload").encode()))


def _storable(name: str, value: object) -> Value:
    """Return a value as it can be stored and sent: one of a foreign type as text, a number that is none as `None`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= WIDEST_INTEGER else None
    if isinstance(value, Mapping | list | tuple | set | frozenset | bytes | bytearray):
        raise Unusable(f"{name[:MAX_QUOTED]} is a {type(value).__name__}, and a metric has one value")
    return str(value).encode("utf-8", "replace").decode()


def _payload(values: Mapping[str, Value]) -> str:
    return strict_json.dumps(dict(values), separators=(",", ":"))
