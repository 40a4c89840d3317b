"""Count the samples that will never arrive, by child and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.state.columns import moment, number, text
from gateway.state.set_aside import read_rows
from gateway.state.store import Transaction

THINNED = "the outbox was full: thinned"
"""The reason that is counted for samples that were dropped to make room for newer ones. Part of stored data."""

REJECTED = "the hub rejected it"
"""The reason that is counted for samples that the hub does not take; its own reason follows. Part of stored data."""

UNUSABLE = "damaged in the store"
"""The reason that is counted for samples that cannot be read any more, and are set aside. Part of stored data."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Samples of one child that will never arrive."""

    child: str
    why: str
    first_at: datetime
    last_at: datetime
    samples: int


def count_loss(db: Transaction, child: object, why: str, first: object, last: object, samples: int) -> None:
    """Add samples that will never arrive to those of the same child and reason.

    Child and times are columns of the outbox, so they may be damaged: then something that can be stored takes their place.
    """
    now = datetime.now(UTC).isoformat()
    child = child if isinstance(child, str) else "unknown"
    first, last = (at if isinstance(at, str) else now for at in (first, last))
    db.execute(
        "INSERT INTO losses (child, why, first_at, last_at, samples) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (child, why) DO UPDATE SET first_at = MIN(first_at, excluded.first_at),"
        " last_at = MAX(last_at, excluded.last_at), samples = samples + excluded.samples",
        (child, why, first, last, samples),
    )


def read_losses(db: Transaction) -> list[Loss]:
    """Return all losses since the store was created, one for each child and reason."""
    return read_rows(db, "losses", "child, why, first_at, last_at, samples", _loss, "ORDER BY last_at")


def _loss(child: object, why: object, first: object, last: object, samples: object) -> Loss:
    return Loss(
        text(child, "child"), text(why, "why"), moment(first, "first_at"), moment(last, "last_at"), number(samples, "samples")
    )
