"""Turn samples into rows of the outbox and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC

from gateway.hub import MESSAGE_BYTES
from gateway.models import Sample, Status, Value
from gateway.state.columns import Unusable, json_object, moment, number, text

PART_BYTES = MESSAGE_BYTES - 8 * 1024
"""A sample with more bytes of values becomes several: the hub merges messages (device API reference, section 5.1)."""


@dataclass(frozen=True, slots=True)
class QueuedSample:
    """A sample in the outbox, with its position in the queue."""

    seq: int
    sample: Sample
    size_bytes: int
    """The length of its values as JSON: about what it adds to the body of a call."""


def parts_of(sample: Sample) -> Iterator[Sample]:
    """Yield the sample, or several with the same values together, each of which fits into one message."""
    if len(sample.values) < 2 or len(_payload(sample.values)) <= PART_BYTES:
        yield sample
        return
    values = list(sample.values.items())
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        yield from parts_of(replace(sample, values=dict(half)))


def row_of(sample: Sample) -> tuple[str, str, str, str]:
    """Return the sample as the columns child, at, status and payload."""
    return sample.child, sample.at.astimezone(UTC).isoformat(), sample.status.value, _payload(sample.values)


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


def _payload(values: Mapping[str, Value]) -> str:
    """Return the values as JSON; a value of another type, which breaks the adapter contract, becomes text."""
    return json.dumps(dict(values), separators=(",", ":"), default=str)
