"""Choose the samples of the outbox that are sent next: in order for each child.

Samples that were taken before the clock was set wait until they have a time (`boot IS NULL`),
and all newer ones of the child with them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from gateway.state.database.columns import Unusable, moment
from gateway.state.database.set_aside import read_rows
from gateway.state.outbox.dating import has_undated
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.outbox.samples import QueuedSample, queued_sample
from gateway.state.store import Transaction

COLUMNS = "o.seq, o.child, o.at, o.status, o.payload"

_OLDEST = """
WHERE o.seq IN (
    SELECT seq FROM (
        SELECT (
            SELECT CASE WHEN boot IS NULL THEN seq END FROM outbox WHERE child = c.key
            -- condition
            ORDER BY seq LIMIT 1
        ) AS seq
        FROM children AS c
        WHERE c.device_id IS NOT NULL AND c.parent_id = ?1 AND c.key NOT IN (SELECT value FROM json_each(?2))
    ) WHERE seq IS NOT NULL ORDER BY seq LIMIT ?3
) ORDER BY o.seq
"""
_NEWEST = """
WHERE o.seq IN (
    SELECT seq FROM (
        SELECT c.key, (
            SELECT CASE WHEN boot IS NULL THEN seq END FROM outbox WHERE child = c.key ORDER BY seq DESC LIMIT 1
        ) AS seq
        FROM children AS c JOIN outbox_accounts AS a ON a.child = c.key
        WHERE c.device_id IS NOT NULL AND c.parent_id = ?1 AND c.key NOT IN (SELECT value FROM json_each(?2))
            AND c.key > ?3 AND a.waiting >= ?4
    ) WHERE seq IS NOT NULL ORDER BY key LIMIT ?5
) ORDER BY o.child
"""


class Deliverable(NamedTuple):
    """What waits and can be sent, since its children are registered."""

    samples: int
    children: int


def oldest(
    db: Transaction, limit: int, *, parent_id: str, without: Collection[str], skipping: Collection[int]
) -> list[QueuedSample]:
    """Return the oldest sample of each child registered under this parent, the oldest first.

    It looks at one row for each child, so it takes no longer with millions of samples.
    """
    condition = "AND seq NOT IN (SELECT value FROM json_each(?4))" if skipping else "AND ?4 IS NOT NULL"
    rest = _OLDEST.replace("-- condition", condition)
    return _read(db, rest, parent_id, json.dumps(list(without)), limit, json.dumps(list(skipping)))


def newest(
    db: Transaction, limit: int, *, parent_id: str, after: str, at_least: int, without: Collection[str]
) -> list[QueuedSample]:
    """Return the newest sample of each child after this one, by key, that has at least so many samples."""
    return _read(db, _NEWEST, parent_id, json.dumps(list(without)), after, at_least, limit)


def heads(db: Transaction, children: Collection[str]) -> dict[str, int]:
    """Return the position of the oldest sample of each of these children that has one."""
    query = (
        "SELECT j.value, (SELECT MIN(seq) FROM outbox WHERE child = j.value) AS seq FROM json_each(?) AS j WHERE seq IS NOT NULL"
    )
    return dict(db.execute(query, (json.dumps(list(children)),)))


def deliverable(db: Transaction, parent_id: str) -> Deliverable:
    """Return how much waits of the children registered under this parent."""
    query = (
        "SELECT TOTAL(a.waiting), COUNT(*) FROM outbox_accounts AS a JOIN children AS c ON c.key = a.child"
        " WHERE a.waiting > 0 AND c.device_id IS NOT NULL AND c.parent_id = ?"
    )
    return Deliverable(*map(int, db.execute(query, (parent_id,)).fetchone()))


def oldest_of(db: Transaction, child: str, limit: int, *, skipping: Collection[int]) -> list[QueuedSample]:
    """Return the oldest samples of one child, the oldest first."""
    skipped = "AND o.seq NOT IN (SELECT value FROM json_each(?3))" if skipping else "AND ?3 IS NOT NULL"
    dated = (
        "AND o.seq < COALESCE((SELECT MIN(seq) FROM outbox WHERE child = ?1 AND boot IS NOT NULL), 9e18)"
        if has_undated(db)
        else ""
    )
    rest = f"WHERE o.child = ?1 {dated} {skipped} ORDER BY o.seq LIMIT ?2"
    return _read(db, rest, child, limit, json.dumps(list(skipping)))


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


def _read(db: Transaction, rest: str, *values: object) -> list[QueuedSample]:
    return read_rows(db, "outbox AS o", COLUMNS, queued_sample, rest, values, when_gone=_count_loss)


def _count_loss(db: Transaction, _seq: object, child: object, at: object, *_rest: object) -> None:
    if not db.is_read_only:
        count_loss(db, child, LossReason.UNREADABLE, at, at, 1)
