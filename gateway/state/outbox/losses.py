"""Count the samples that will never arrive, by child and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.state.store import Transaction

THINNED = "the outbox was full: thinned"
"""The reason that is counted for samples that were dropped to make room for newer ones. Part of stored data."""

REJECTED = "the hub rejected it"
"""The reason that is counted for samples that the hub does not take; its own reason follows. Part of stored data."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Samples of one child that will never arrive."""

    child: str
    why: str
    first_at: datetime
    last_at: datetime
    samples: int


def count_loss(db: Transaction, child: str, why: str, first: str, last: str, samples: int) -> None:
    """Add samples that will never arrive to those of the same child and reason."""
    db.execute(
        "INSERT INTO losses (child, why, first_at, last_at, samples) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (child, why) DO UPDATE SET first_at = MIN(first_at, excluded.first_at),"
        " last_at = MAX(last_at, excluded.last_at), samples = samples + excluded.samples",
        (child, why, first, last, samples),
    )


def read_losses(db: Transaction) -> list[Loss]:
    """Return all losses since the store was created, one for each child and reason."""
    rows = db.execute("SELECT child, why, first_at, last_at, samples FROM losses ORDER BY last_at")
    return [Loss(child, why, datetime.fromisoformat(a), datetime.fromisoformat(b), n) for child, why, a, b, n in rows]
