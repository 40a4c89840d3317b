"""Queue the samples that the cloud has not accepted yet: on disk, in order, bounded, with every loss counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from gateway.models import Sample
from gateway.state.outbox import draining
from gateway.state.outbox.losses import Loss, count_loss, read_losses
from gateway.state.outbox.samples import QueuedSample, parts_of, row_of
from gateway.state.outbox.thinning import thin
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion

log = logging.getLogger(__name__)

T = TypeVar("T")


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
        rows = [row_of(part) for sample in samples for part in parts_of(sample)]

        def work(db: Transaction) -> tuple[int, int]:
            kept = db.executemany(_INSERT, rows).rowcount
            surplus = _count(db) - self._most
            return kept, thin(db, surplus) if surplus > 0 else 0

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
        return await self._look(lambda db: draining.oldest(db, limit, parent_id=parent_id, without=without))

    async def oldest_of(self, child: str, limit: int) -> list[QueuedSample]:
        """Return the oldest samples of one child, the oldest first."""
        return await self._look(lambda db: draining.oldest_of(db, child, limit))

    async def has_several_of_a_child(self) -> bool:
        """Return whether some child has more than one sample."""
        return await self._store.transact(draining.has_several_of_a_child)

    async def last_samples(self, children: Collection[str]) -> dict[str, QueuedSample]:
        """Return the sample of each of these children that has exactly one, by child: for an outbox that is nearly empty."""
        return await self._look(lambda db: draining.last_samples(db, children))

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
                count_loss(db, sample.child, why, sample.at.isoformat(), sample.at.isoformat(), 1)
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
                count_loss(db, child, why, first, last, samples)
                db.execute("DELETE FROM outbox WHERE child = ?", (child,))
            return int(samples)

        dropped = await self._store.transact(work)
        self._depth -= dropped
        self._lost += dropped
        return dropped

    async def oldest_at(self) -> datetime | None:
        """Return the time of the oldest waiting sample; `None` when none waits."""
        return await self._look(draining.oldest_at)

    async def losses(self) -> list[Loss]:
        """Return all losses since the store was created, one for each child and reason."""
        return await self._store.transact(read_losses)

    async def _look(self, work: Callable[[Transaction], T]) -> T:
        """Return what `work` finds, and count the samples that it had to set aside."""

        def counted(db: Transaction) -> tuple[T, int]:
            return work(db), sum(row.table == "outbox" for row in db.set_aside)

        found, unusable = await self._store.transact(counted)
        self._depth -= unusable
        self._lost += unusable
        return found


def _count(db: Transaction) -> int:
    return int(db.execute("SELECT COUNT(*) FROM outbox").fetchone()[0])


def _count_all(db: Transaction) -> tuple[int, int]:
    return _count(db), int(db.execute("SELECT COALESCE(SUM(samples), 0) FROM losses").fetchone()[0])


_INSERT = (
    "INSERT INTO outbox (child, at, status, payload) SELECT ?1, ?2, ?3, ?4"
    " WHERE NOT EXISTS (SELECT 1 FROM children WHERE key = ?1 AND state = 'deleted')"
    " AND NOT EXISTS (SELECT 1 FROM met WHERE key = ?1 AND decision = 'ignore')"
)


def _delete(db: Transaction, seqs: list[tuple[int]]) -> int:
    return db.executemany("DELETE FROM outbox WHERE seq = ?", seqs).rowcount
