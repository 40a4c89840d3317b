"""Choose the samples of the outbox that are sent next: in order for each child."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from gateway.state.outbox.losses import UNUSABLE, count_loss
from gateway.state.outbox.samples import QueuedSample, queued_sample
from gateway.state.set_aside import read_rows
from gateway.state.store import Transaction


def oldest(db: Transaction, limit: int, *, parent_id: str, without: Collection[str]) -> list[QueuedSample]:
    """Return the oldest sample of each child registered under this parent, the oldest first."""
    rest = (
        "JOIN children AS c ON o.seq = (SELECT MIN(seq) FROM outbox WHERE child = c.key)"
        " WHERE c.device_id IS NOT NULL AND c.parent_id = ? ORDER BY o.seq LIMIT ?"
    )
    waiting = _read(db, "outbox AS o", "o.seq, o.child, o.at, o.status, o.payload", rest, parent_id, limit + len(without))
    return [one for one in waiting if one.sample.child not in without][:limit]


def oldest_of(db: Transaction, child: str, limit: int) -> list[QueuedSample]:
    """Return the oldest samples of one child, the oldest first."""
    return _read(db, "outbox", "seq, child, at, status, payload", "WHERE child = ? ORDER BY seq LIMIT ?", child, limit)


def has_several_of_a_child(db: Transaction) -> bool:
    """Return whether some child has more than one sample."""
    return db.execute("SELECT 1 FROM outbox GROUP BY child HAVING COUNT(*) > 1 LIMIT 1").fetchone() is not None


def last_samples(db: Transaction, children: Collection[str]) -> dict[str, QueuedSample]:
    """Return the sample of each of these children that has exactly one, by child."""
    single = _read(db, "outbox", "MIN(seq), child, at, status, payload", "GROUP BY child HAVING COUNT(*) = 1")
    return {one.sample.child: one for one in single if one.sample.child in children}


def oldest_at(db: Transaction) -> datetime | None:
    """Return the time of the oldest sample; `None` when there is none."""
    waiting = _read(db, "outbox", "seq, child, at, status, payload", "ORDER BY seq LIMIT 1")
    return waiting[0].sample.at if waiting else None


def _read(db: Transaction, table: str, columns: str, rest: str, *values: object) -> list[QueuedSample]:
    return read_rows(db, table, columns, queued_sample, rest, values, when_gone=_count_unusable)


def _count_unusable(db: Transaction, _seq: object, child: object, at: object, *_rest: object) -> None:
    count_loss(db, child, UNUSABLE, at, at, 1)
