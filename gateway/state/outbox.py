"""Queue the samples that the cloud has not accepted yet: on disk, in order, bounded, with every loss counted."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.hub import MESSAGE_BYTES
from gateway.models import Sample, Status, Value
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion

log = logging.getLogger(__name__)

THINNED = "the outbox was full: thinned"
"""The reason that is counted for samples that were dropped to make room for newer ones. Part of stored data."""

REJECTED = "the hub rejected it"
"""The reason that is counted for samples that the hub does not take; its own reason follows. Part of stored data."""

PART_BYTES = MESSAGE_BYTES - 8 * 1024
"""A sample with more bytes of values becomes several: the hub merges messages (device API reference, section 5.1)."""


@dataclass(frozen=True, slots=True)
class QueuedSample:
    """A sample in the outbox, with its position in the queue."""

    seq: int
    sample: Sample
    size_bytes: int
    """The length of its values as JSON: about what it adds to the body of a call."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Samples of one child that will never arrive."""

    child: str
    why: str
    first_at: datetime
    last_at: datetime
    samples: int


class Outbox:
    """Samples are sent at least once, in order for each child; at most `most_samples` are kept.

    When it is full, every second sample of its older half is dropped, child by child, so that a long outage loses detail before
    it loses time. `losses` counts the dropped ones.
    """

    def __init__(self, store: Store, *, most_samples: int) -> None:
        self._store = store
        self._most = most_samples
        self._depth = 0
        self._lost = 0
        self.arrived = asyncio.Event()
        """Set whenever a sample was put in; the reader clears it before it reads."""

    @property
    def capacity(self) -> int:
        """The number of samples that fit before older ones are dropped."""
        return self._most

    @property
    def depth(self) -> int:
        """The number of samples that wait."""
        return self._depth

    @property
    def lost(self) -> int:
        """The number of samples that were lost since the store was created."""
        return self._lost

    async def load(self) -> None:
        """Count the samples that an earlier run left."""
        self._depth, self._lost = await self._store.transact(_count_all)
        if self._depth:
            self.arrived.set()

    @runs_to_completion
    async def put(self, samples: Sequence[Sample]) -> None:
        """Store the samples, all or none; they are on disk when this returns.

        Those of children that stay deleted or were retired are left out.
        """
        if not samples:
            return
        rows = [_row(part) for sample in samples for part in _parts(sample)]

        def work(db: Transaction) -> tuple[int, int]:
            kept = db.executemany(_INSERT, rows).rowcount
            surplus = _count(db) - self._most
            return kept, _thin(db, surplus) if surplus > 0 else 0

        kept, lost = await self._store.transact(work)
        self._depth += kept - lost
        self._lost += lost
        if lost:
            log.warning("outbox: full with %d samples; dropped %d older ones to make room", self._most, lost)
        self.arrived.set()

    async def oldest(self, limit: int, *, parent_id: str, without: Collection[str] = ()) -> list[QueuedSample]:
        """Return the oldest sample of each child registered under this parent, the oldest first.

        At most `limit`, and none of the children in `without`.
        """

        def work(db: Transaction) -> list[QueuedSample]:
            rows = db.execute(
                "SELECT o.seq, o.child, o.at, o.status, o.payload FROM children c"
                " JOIN outbox o ON o.seq = (SELECT MIN(seq) FROM outbox WHERE child = c.key)"
                " WHERE c.device_id IS NOT NULL AND c.parent_id = ? ORDER BY o.seq LIMIT ?",
                (parent_id, limit + len(without)),
            )
            return [_queued(row) for row in rows if row[1] not in without][:limit]

        return await self._store.transact(work)

    async def oldest_of(self, child: str, limit: int) -> list[QueuedSample]:
        """Return the oldest samples of one child, the oldest first."""
        rows = await self._store.transact(
            lambda db: db.execute(
                "SELECT seq, child, at, status, payload FROM outbox WHERE child = ? ORDER BY seq LIMIT ?", (child, limit)
            ).fetchall()
        )
        return [_queued(row) for row in rows]

    async def has_several_of_a_child(self) -> bool:
        """Return whether some child has more than one sample."""
        query = "SELECT 1 FROM outbox GROUP BY child HAVING COUNT(*) > 1 LIMIT 1"
        return await self._store.transact(lambda db: db.execute(query).fetchone() is not None)

    async def last_samples(self, children: Collection[str]) -> dict[str, QueuedSample]:
        """Return the sample of each of these children that has exactly one, by child: for an outbox that is nearly empty."""

        def work(db: Transaction) -> dict[str, QueuedSample]:
            query = "SELECT MIN(seq), child, at, status, payload FROM outbox GROUP BY child HAVING COUNT(*) = 1"
            return {row[1]: _queued(row) for row in db.execute(query) if row[1] in children}

        return await self._store.transact(work)

    @runs_to_completion
    async def confirm(self, accepted: Iterable[QueuedSample]) -> None:
        """Remove samples that the hub has accepted."""
        seqs = [(one.seq,) for one in accepted]
        if seqs:
            deleted = await self._store.transact(lambda db: _delete(db, seqs))
            self._depth -= deleted  # not in one line: the depth must be read after the wait

    @runs_to_completion
    async def drop(self, refused: Sequence[QueuedSample], why: str) -> None:
        """Remove samples that the hub will never accept, and count them as lost."""

        def work(db: Transaction) -> int:
            gone = [one.sample for one in refused if _delete(db, [(one.seq,)])]
            for sample in gone:
                _count_loss(db, sample.child, why, sample.at.isoformat(), sample.at.isoformat(), 1)
            return len(gone)

        dropped = await self._store.transact(work)
        self._depth -= dropped
        self._lost += dropped

    @runs_to_completion
    async def drop_child(self, child: str, why: str) -> int:
        """Remove all samples of one child, count them as lost, and return how many there were."""

        def work(db: Transaction) -> int:
            first, last, samples = db.execute(
                "SELECT MIN(at), MAX(at), COUNT(*) FROM outbox WHERE child = ?", (child,)
            ).fetchone()
            if samples:
                _count_loss(db, child, why, first, last, samples)
                db.execute("DELETE FROM outbox WHERE child = ?", (child,))
            return int(samples)

        dropped = await self._store.transact(work)
        self._depth -= dropped
        self._lost += dropped
        return dropped

    async def oldest_at(self) -> datetime | None:
        """Return the time of the oldest waiting sample; `None` when none waits."""
        (at,) = await self._store.transact(
            lambda db: db.execute("SELECT at FROM outbox ORDER BY seq LIMIT 1").fetchone() or (None,)
        )
        return None if at is None else datetime.fromisoformat(at)

    async def losses(self) -> list[Loss]:
        """Return all losses since the store was created, one for each child and reason."""
        rows = await self._store.transact(
            lambda db: db.execute("SELECT child, why, first_at, last_at, samples FROM losses ORDER BY last_at").fetchall()
        )
        return [Loss(child, why, datetime.fromisoformat(a), datetime.fromisoformat(b), n) for child, why, a, b, n in rows]


def _count(db: Transaction) -> int:
    return int(db.execute("SELECT COUNT(*) FROM outbox").fetchone()[0])


def _count_all(db: Transaction) -> tuple[int, int]:
    return _count(db), int(db.execute("SELECT COALESCE(SUM(samples), 0) FROM losses").fetchone()[0])


_INSERT = (
    "INSERT INTO outbox (child, at, status, payload) SELECT ?1, ?2, ?3, ?4"
    " WHERE NOT EXISTS (SELECT 1 FROM children WHERE key = ?1 AND state = 'deleted')"
    " AND NOT EXISTS (SELECT 1 FROM met WHERE key = ?1 AND decision = 'ignore')"
)


def _parts(sample: Sample) -> Iterator[Sample]:
    """Yield the sample, or several with the same values together, each of which fits into one message."""
    if len(sample.values) < 2 or len(_payload(sample.values)) <= PART_BYTES:
        yield sample
        return
    values = list(sample.values.items())
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        yield from _parts(replace(sample, values=dict(half)))


def _row(sample: Sample) -> tuple[str, str, str, str]:
    return sample.child, sample.at.astimezone(UTC).isoformat(), sample.status.value, _payload(sample.values)


def _payload(values: Mapping[str, Value]) -> str:
    """Return the values as JSON; a value of another type, which breaks the adapter contract, becomes text."""
    return json.dumps(dict(values), separators=(",", ":"), default=str)


def _queued(row: tuple[int, str, str, str, str]) -> QueuedSample:
    seq, child, at, status, payload = row
    return QueuedSample(
        seq, Sample(child, datetime.fromisoformat(at), Status(status), json.loads(payload)), len(payload.encode())
    )


def _delete(db: Transaction, seqs: list[tuple[int]]) -> int:
    return db.executemany("DELETE FROM outbox WHERE seq = ?", seqs).rowcount


def _thin(db: Transaction, surplus: int) -> int:
    """Drop at least `surplus` samples and return how many were dropped."""
    middle = db.execute(
        "SELECT seq FROM outbox ORDER BY seq LIMIT 1 OFFSET (SELECT COUNT(*) / 2 FROM outbox)"
    ).fetchone()[0]  # fmt: skip
    every_second = (
        "SELECT seq FROM (SELECT seq, ROW_NUMBER() OVER (PARTITION BY child ORDER BY seq) AS place FROM outbox WHERE seq < ?)"
        " WHERE place % 2 = 0"
    )
    lost = _drop_selected(db, every_second, middle)
    if lost < surplus:
        lost += _drop_selected(db, "SELECT seq FROM outbox ORDER BY seq LIMIT ?", surplus - lost)
    return lost


def _drop_selected(db: Transaction, selection: str, argument: int) -> int:
    groups = db.execute(
        f"SELECT child, MIN(at), MAX(at), COUNT(*) FROM outbox WHERE seq IN ({selection}) GROUP BY child",  # noqa: S608 - our own text
        (argument,),
    ).fetchall()
    for child, first, last, samples in groups:
        _count_loss(db, child, THINNED, first, last, samples)
    return db.execute(f"DELETE FROM outbox WHERE seq IN ({selection})", (argument,)).rowcount  # noqa: S608 - our own text


def _count_loss(db: Transaction, child: str, why: str, first: str, last: str, samples: int) -> None:
    db.execute(
        "INSERT INTO losses (child, why, first_at, last_at, samples) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (child, why) DO UPDATE SET first_at = MIN(first_at, excluded.first_at),"
        " last_at = MAX(last_at, excluded.last_at), samples = samples + excluded.samples",
        (child, why, first, last, samples),
    )
