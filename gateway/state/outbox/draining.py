"""Choose the samples of the outbox that are sent next: in order for each child."""

from __future__ import annotations

from collections.abc import Collection

from gateway.state.outbox.samples import QueuedSample, queued_sample
from gateway.state.store import Transaction


def oldest(db: Transaction, limit: int, *, parent_id: str, without: Collection[str]) -> list[QueuedSample]:
    """Return the oldest sample of each child registered under this parent, the oldest first."""
    rows = db.execute(
        "SELECT o.seq, o.child, o.at, o.status, o.payload FROM children c"
        " JOIN outbox o ON o.seq = (SELECT MIN(seq) FROM outbox WHERE child = c.key)"
        " WHERE c.device_id IS NOT NULL AND c.parent_id = ? ORDER BY o.seq LIMIT ?",
        (parent_id, limit + len(without)),
    )
    return [queued_sample(row) for row in rows if row[1] not in without][:limit]


def oldest_of(db: Transaction, child: str, limit: int) -> list[QueuedSample]:
    """Return the oldest samples of one child, the oldest first."""
    query = "SELECT seq, child, at, status, payload FROM outbox WHERE child = ? ORDER BY seq LIMIT ?"
    return [queued_sample(row) for row in db.execute(query, (child, limit))]


def has_several_of_a_child(db: Transaction) -> bool:
    """Return whether some child has more than one sample."""
    return db.execute("SELECT 1 FROM outbox GROUP BY child HAVING COUNT(*) > 1 LIMIT 1").fetchone() is not None


def last_samples(db: Transaction, children: Collection[str]) -> dict[str, QueuedSample]:
    """Return the sample of each of these children that has exactly one, by child."""
    query = "SELECT MIN(seq), child, at, status, payload FROM outbox GROUP BY child HAVING COUNT(*) = 1"
    return {row[1]: queued_sample(row) for row in db.execute(query) if row[1] in children}
