"""Write what the units of a model refuse as a text for the adapter's memory, and read it again. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.modbus.client.pdu import MAX_REGISTERS, Table
from adapters.modbus.polling.bisection import LengthLimit
from adapters.modbus.polling.refusals import CONFIRMED_BY_ONE, Refusal
from adapters.modbus.polling.unit_refusals import Facts, KnownLimit
from adapters.modbus.polling.units import read_from_text

MOST_FACTS: Final = 500
"""The most points and boundaries that are stored for a model."""


def facts_as_text(facts: Facts) -> str:
    """Return facts as a text that `facts_from_text` reads."""
    limit = facts.limit
    return json.dumps(
        {
            "points": {metric: _stored(refusal) for metric, refusal in sorted(facts.points.items())[:MOST_FACTS]},
            "boundaries": [
                [str(table), address, *_stored(refusal)]
                for (table, address), refusal in sorted(facts.boundaries.items())[:MOST_FACTS]
            ],
            "limit": None if limit is None else [limit.length.works, limit.length.fails, *_stored(limit.refusal)],
        },
        allow_nan=False,
    )


def facts_from_text(text: str | None) -> Facts:
    """Return the facts in a text; none where it is missing, damaged, or of an earlier version, which believed one refusal."""
    try:
        stored = json.loads(text or "{}")
        return Facts(
            points={str(metric): _refusal(*refusal) for metric, refusal in _items(stored["points"])},
            boundaries={(Table(table), int(at)): _refusal(*refusal) for table, at, *refusal in stored["boundaries"]},
            limit=None if stored["limit"] is None else _limit(*stored["limit"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Facts()


def _items(stored: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(stored.items())[:MOST_FACTS]


def _stored(refusal: Refusal) -> list[str | int | None]:
    return [str(refusal.read), refusal.code, refusal.since.isoformat()]


def _refusal(read: str, code: int | None, since: str) -> Refusal:
    parsed, at = read_from_text(read), datetime.fromisoformat(since)
    if parsed is None or at.tzinfo is None or not (code is None or 0 <= code <= 0xFF):
        raise ValueError(f"{read!r}, {code!r} and {since!r} are no refusal")
    return Refusal(parsed, code, at, next_at=0.0, times=CONFIRMED_BY_ONE)


def _limit(works: int, fails: int, *refusal: Any) -> KnownLimit:  # noqa: ANN401 - JSON, which is checked behind
    if not 0 < works < fails <= MAX_REGISTERS:
        raise ValueError(f"{works} and {fails} are no limit")
    return KnownLimit(LengthLimit(works, fails), _refusal(*refusal))
