"""Choose the samples of the outbox that are sent next: in order for each child.

Samples that were taken before the clock was set wait until they have a time (`boot IS NULL`),
and all newer ones of the child with them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from gateway import strict_json
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
            SELECT CASE WHEN boot IS NULL THEN seq END FROM outbox WHERE child = c.key
            -- condition
            ORDER BY seq DESC LIMIT 1
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
    rest = _OLDEST.replace("-- condition", _skipping("?4", skipping))
    return _read(db, rest, parent_id, strict_json.dumps(list(without)), limit, strict_json.dumps(list(skipping)))


def newest(
    db: Transaction, limit: int, *, parent_id: str, after: str, at_least: int, without: Collection[str], skipping: Collection[int]
) -> list[QueuedSample]:
    """Return the newest sample of each child after this one, by key, that has at least so many samples."""
    rest = _NEWEST.replace("-- condition", _skipping("?6", skipping))
    return _read(db, rest, parent_id, strict_json.dumps(list(without)), after, at_least, limit, strict_json.dumps(list(skipping)))


def heads(db: Transaction, children: Collection[str], *, skipping: Collection[int]) -> dict[str, int]:
    """Return the position of the oldest sample of each of these children that has one."""
    query = (
        f"SELECT j.value, (SELECT MIN(seq) FROM outbox WHERE child = j.value {_skipping('?2', skipping)}) AS seq"  # noqa: S608 - ours
        " FROM json_each(?1) AS j WHERE seq IS NOT NULL"
    )
    return dict(db.execute(query, (strict_json.dumps(list(children)), strict_json.dumps(list(skipping)))))


def deliverable(db: Transaction, parent_id: str, *, settled: Mapping[str, int]) -> Deliverable:
    """Return how much waits of the children registered under this parent, without so many samples of each that are settled."""
    query = (
        "SELECT a.child, a.waiting FROM outbox_accounts AS a JOIN children AS c ON c.key = a.child"
        " WHERE a.waiting > 0 AND c.device_id IS NOT NULL AND c.parent_id = ?"
    )
    left = [waiting - settled.get(child, 0) for child, waiting in db.execute(query, (parent_id,))]
    left = [samples for samples in left if samples > 0]
    return Deliverable(sum(left), len(left))


def oldest_of(db: Transaction, child: str, limit: int, *, skipping: Collection[int]) -> list[QueuedSample]:
    """Return the oldest samples of one child, the oldest first."""
    dated = (
        "AND o.seq < COALESCE((SELECT MIN(seq) FROM outbox WHERE child = ?1 AND boot IS NOT NULL), 9e18)"
        if has_undated(db)
        else ""
    )
    rest = f"WHERE o.child = ?1 {dated} {_skipping('?3', skipping, 'o.seq')} ORDER BY o.seq LIMIT ?2"
    return _read(db, rest, child, limit, strict_json.dumps(list(skipping)))


def has_several_of_a_child(db: Transaction, *, settled: Mapping[str, int]) -> bool:
    """Return whether some child has more than one sample, without so many of each that are settled."""
    query = "SELECT child, waiting FROM outbox_accounts WHERE waiting > 1"
    return any(waiting - settled.get(child, 0) > 1 for child, waiting in db.execute(query))


def last_samples(
    db: Transaction, children: Collection[str], *, skipping: Collection[int], settled: Mapping[str, int]
) -> dict[str, QueuedSample]:
    """Return the sample of each of these children that has exactly one, by child, without those that are settled."""
    waiting_of = db.execute("SELECT child, waiting FROM outbox_accounts WHERE waiting > 0").fetchall()
    with_one = [child for child, waiting in waiting_of if child in children and waiting - settled.get(child, 0) == 1]
    skipped = _skipping("?2", skipping, "o.seq")
    rest = f"WHERE o.boot IS NULL AND o.child IN (SELECT value FROM json_each(?1)) {skipped}"  # noqa: S608 - our own text
    return {one.sample.child: one for one in _read(db, rest, strict_json.dumps(with_one), strict_json.dumps(list(skipping)))}


def oldest_at(db: Transaction, *, skipping: Collection[int]) -> datetime | None:
    """Return the time of the oldest sample; `None` when none waits, or when its time is not known."""
    query = f"SELECT at FROM outbox WHERE TRUE {_skipping('?1', skipping)} ORDER BY seq LIMIT 1"  # noqa: S608 - our own text
    row = db.execute(query, (strict_json.dumps(list(skipping)),)).fetchone()
    try:
        return None if row is None else moment(row[0], "at")
    except Unusable:
        return None


def _skipping(parameter: str, seqs: Collection[int], column: str = "seq") -> str:
    """Return the condition that leaves out the positions in this parameter; without any it costs nothing."""
    if not seqs:
        return f"AND {parameter} IS NOT NULL"
    return f"AND {column} NOT IN (SELECT value FROM json_each({parameter}))"  # noqa: S608 - our own text


def _read(db: Transaction, rest: str, *values: object) -> list[QueuedSample]:
    return read_rows(db, "outbox AS o", COLUMNS, queued_sample, rest, values, when_gone=_count_loss)


def _count_loss(db: Transaction, _seq: object, child: object, at: object, *_rest: object) -> None:
    if not db.is_read_only:
        count_loss(db, child, LossReason.UNREADABLE, at, at, 1)
