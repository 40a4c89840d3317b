"""Choose the samples of the outbox that are sent next: in order for each child.

Samples that were taken before the clock was set wait until they have a time (`boot IS NULL`),
and all newer ones of the child with them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from gateway.state.columns import Unusable, moment
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.outbox.samples import QueuedSample, queued_sample
from gateway.state.set_aside import read_rows
from gateway.state.store import Transaction

COLUMNS = "o.seq, o.child, o.at, o.status, o.payload"


def oldest(db: Transaction, limit: int, *, parent_id: str, without: Collection[str]) -> list[QueuedSample]:
    """Return the oldest sample of each child registered under this parent, the oldest first."""
    rest = (
        "JOIN children AS c ON o.seq = (SELECT MIN(seq) FROM outbox WHERE child = c.key)"
        " WHERE c.device_id IS NOT NULL AND c.parent_id = ? AND o.boot IS NULL ORDER BY o.seq LIMIT ?"
    )
    waiting = _read(db, rest, parent_id, limit + len(without))
    return [one for one in waiting if one.sample.child not in without][:limit]


def oldest_of(db: Transaction, child: str, limit: int) -> list[QueuedSample]:
    """Return the oldest samples of one child, the oldest first."""
    rest = (
        "WHERE o.child = ?1 AND o.seq < COALESCE("
        "(SELECT MIN(seq) FROM outbox WHERE child = ?1 AND boot IS NOT NULL), 9e18) ORDER BY o.seq LIMIT ?2"
        if _has_undated(db)
        else "WHERE o.child = ?1 ORDER BY o.seq LIMIT ?2"
    )
    return _read(db, rest, child, limit)


def has_several_of_a_child(db: Transaction) -> bool:
    """Return whether some child has more than one sample."""
    return db.execute("SELECT 1 FROM outbox_accounts WHERE waiting > 1 LIMIT 1").fetchone() is not None


def last_samples(db: Transaction, children: Collection[str]) -> dict[str, QueuedSample]:
    """Return the sample of each of these children that has exactly one, by child."""
    single = _read(db, "JOIN outbox_accounts AS a ON a.child = o.child WHERE a.waiting = 1 AND o.boot IS NULL")
    return {one.sample.child: one for one in single if one.sample.child in children}


def oldest_at(db: Transaction) -> datetime | None:
    """Return the time of the oldest sample; `None` when none waits, or when its time is not known."""
    row = db.execute("SELECT at FROM outbox ORDER BY seq LIMIT 1").fetchone()
    try:
        return None if row is None else moment(row[0], "at")
    except Unusable:
        return None


def _has_undated(db: Transaction) -> bool:
    return db.execute("SELECT 1 FROM outbox WHERE boot IS NOT NULL LIMIT 1").fetchone() is not None


def _read(db: Transaction, rest: str, *values: object) -> list[QueuedSample]:
    return read_rows(db, "outbox AS o", COLUMNS, queued_sample, rest, values, when_gone=_count_loss)


def _count_loss(db: Transaction, _seq: object, child: object, at: object, *_rest: object) -> None:
    if not db.is_read_only:
        count_loss(db, child, LossReason.UNREADABLE, at, at, 1)
