"""Queue the samples that the cloud has not accepted yet: on disk, in order, bounded, with every loss recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from gateway.errors import StoreError
from gateway.models import Sample
from gateway.state.database.single_instance import real_path
from gateway.state.outbox import draining
from gateway.state.outbox.accounts import (
    Account,
    Totals,
    mend_accounts,
    read_accounts,
    read_totals,
    sum_up_accounts,
)
from gateway.state.outbox.bounds import KEEP_FOR, MOST_BYTES, Bounds, DiskSpace, Room, room
from gateway.state.outbox.dating import DatedSamples, boot_offsets, date_some, has_undated
from gateway.state.outbox.forecast import FillRate
from gateway.state.outbox.losses import Loss, LossReason, count_loss, read_losses, sum_up_losses
from gateway.state.outbox.putting import PreparedSamples, insert, prepare
from gateway.state.outbox.samples import QueuedSample
from gateway.state.outbox.settled import SettledSamples, remove_settled
from gateway.state.outbox.thinning import Thinning, disk_space, drop_expired
from gateway.state.store import Store, Transaction
from gateway.state.wall_clock import WallClock
from gateway.state.writes import runs_to_completion
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

T = TypeVar("T")

EXPIRED_EVERY_SECONDS = 60.0

FULL_UNTIL = 0.5
"""An outbox that was full is told to be full again only after so much of it was sent."""


class Outbox:
    """Samples are sent at least once, in order for each child.

    When there is no room for more, the child with the most gives first, and in its older half every second sample: a long outage
    loses detail before it loses time. Each lost sample is in `losses`, and in the account of its child. What the hub has settled
    while the store fails is not sent again, and removed when the store takes again.

    Args:
        store: where the samples are kept.
        most_samples: how many may wait.
        most_bytes: what they may take up in the store, about.
        keep_for: how old they may become.
        min_free_bytes: what has to stay free on the disk of the store.
        clock: tells whether the times of samples are right; without it they are.
    """

    def __init__(
        self,
        store: Store,
        *,
        most_samples: int,
        most_bytes: int = MOST_BYTES,
        keep_for: timedelta = KEEP_FOR,
        min_free_bytes: int = 0,
        clock: WallClock | None = None,
    ) -> None:
        self._store = store
        self._bounds = Bounds(samples=most_samples, bytes=most_bytes, keep_for=keep_for, free_bytes=min_free_bytes)
        self._clock = clock
        self._look_for_expired_at = 0.0
        self._has_undated = False
        self._totals = Totals()
        self._room = Room(most_samples, most_bytes, is_disk_full=False)
        self._rate = FillRate()
        self._thinning = Thinning()
        self._settled = SettledSamples()
        self._is_full = False
        self._refused_children: set[str] = set()
        self.arrived = asyncio.Event()
        """Set whenever a sample was put in; the reader clears it before it reads."""

    @property
    def capacity(self) -> int:
        """The number of samples that fit before older ones are dropped, whatever their size."""
        return self._bounds.samples

    @property
    def depth(self) -> int:
        """The number of samples that wait."""
        return max(self._totals.waiting - len(self._settled), 0)

    @property
    def size_bytes(self) -> int:
        """What the samples that wait take up in the store, about."""
        return self._totals.bytes

    @property
    def room(self) -> Room:
        """How much may wait, by the settings and the disk, as of the last sample that was put in."""
        return self._room

    @property
    def holds_for(self) -> timedelta | None:
        """How long nothing is lost from now on at the present rate if the cloud takes nothing; `None` while that is not known."""
        return self._rate.holds_for(loop_time(), self._room, self._totals, self._bounds.keep_for)

    @property
    def bytes_a_day(self) -> int | None:
        """How many bytes are put in a day at the present rate; `None` while that is not known."""
        rate = self._rate.a_day(loop_time())
        return None if rate is None else rate.bytes

    @property
    def is_working(self) -> bool:
        """Whether the store takes everything; one that has failed does not count as working after a single small write."""
        return self._store.problem is None

    @property
    def lost(self) -> int:
        """The number of samples that were lost since the store was created."""
        return self._totals.lost

    async def load(self) -> None:
        """Read the accounts that an earlier run left; it takes no longer with many samples."""

        def work(db: Transaction) -> Totals:
            mend_accounts(db)
            sum_up_losses(db)
            sum_up_accounts(db)
            return read_totals(db)

        self._totals = await self._store.transact(work)
        self._has_undated = await self._store.transact(has_undated)
        if self.depth:
            self.arrived.set()

    @runs_to_completion
    async def put(self, samples: Sequence[Sample]) -> None:
        """Store the samples; they are on disk when this returns.

        Those of children that stay deleted or were retired are left out. One that cannot be stored is lost, and costs no other.

        Raises:
            StoreError: none of them is stored.
        """
        if not samples:
            return
        prepared = prepare(samples, self._clock)
        self._has_undated |= any(row.boot is not None for row in prepared.rows)
        before = self._before()
        dropped = await self._write(lambda db: self._insert(db, prepared, before))
        self._rate.record(loop_time(), samples=len(prepared.rows), size_bytes=sum(row.size_bytes for row in prepared.rows))
        for child, why in prepared.refused.items():
            if child not in self._refused_children:
                log.error("%s: a sample cannot be stored: %s. Others of it are not logged", child, why)
        self._refused_children |= prepared.refused.keys()
        if dropped and not self._is_full:
            full = "the disk is nearly full" if self._room.is_disk_full else "full"
            log.warning(
                "outbox: %s with %d samples (%d MB); older ones are thinned out to make room",
                full,
                self.depth,
                self.size_bytes >> 20,
            )
        fill = max(self.depth / self._room.samples, self.size_bytes / self._room.bytes)
        self._is_full = bool(dropped) or (self._is_full and fill > FULL_UNTIL)
        self.arrived.set()

    async def oldest(
        self, limit: int, *, parent_id: str, without: Collection[str] = (), skipping: Collection[int] = ()
    ) -> list[QueuedSample]:
        """Return the oldest sample of each child registered under this parent, the oldest first.

        At most `limit`, none of the children in `without`, and none at the positions in `skipping`.

        Raises:
            StoreError: it cannot be read, or too much of what was sent cannot be removed.
        """
        skipped = await self._skipped(skipping)
        return await self._transact(lambda db: draining.oldest(db, limit, parent_id=parent_id, without=without, skipping=skipped))

    async def oldest_of(self, child: str, limit: int, *, skipping: Collection[int] = ()) -> list[QueuedSample]:
        """Return the oldest samples of one child, the oldest first; it raises as `oldest`."""
        skipped = await self._skipped(skipping)
        return await self._transact(lambda db: draining.oldest_of(db, child, limit, skipping=skipped))

    async def newest(
        self, limit: int, *, parent_id: str, after: str, at_least: int, without: Collection[str] = ()
    ) -> list[QueuedSample]:
        """Return the newest sample of each child, by key after this one, that has at least so many; it raises as `oldest`."""
        skipped = await self._skipped()
        return await self._transact(
            lambda db: draining.newest(
                db, limit, parent_id=parent_id, after=after, at_least=at_least, without=without, skipping=skipped
            )
        )

    async def heads(self, children: Collection[str]) -> dict[str, int]:
        """Return the position of the oldest sample of each of these children that has one."""
        skipped = self._settled.seqs
        return await self._transact(lambda db: draining.heads(db, children, skipping=skipped))

    async def deliverable(self, parent_id: str) -> draining.Deliverable:
        """Return how much waits of the children registered under this parent."""
        await self._remove_settled()
        settled = self._settled.by_child()
        return await self._transact(lambda db: draining.deliverable(db, parent_id, settled=settled))

    async def has_several_of_a_child(self) -> bool:
        """Return whether some child has more than one sample."""
        settled = self._settled.by_child()
        return await self._transact(lambda db: draining.has_several_of_a_child(db, settled=settled))

    async def last_samples(self, children: Collection[str]) -> dict[str, QueuedSample]:
        """Return the sample of each of these children that has exactly one, by child: for an outbox that is nearly empty."""
        skipped, settled = self._settled.seqs, self._settled.by_child()
        return await self._transact(lambda db: draining.last_samples(db, children, skipping=skipped, settled=settled))

    @runs_to_completion
    async def confirm(self, accepted: Iterable[QueuedSample]) -> None:
        """Remove samples that the hub has accepted; while the store fails they are remembered instead."""
        self._settled.add(accepted, None)
        await self._remove_settled()

    @runs_to_completion
    async def drop(self, refused: Sequence[QueuedSample], why: LossReason) -> None:
        """Remove samples that the hub will never accept, and record them as lost; while the store fails as `confirm`."""
        self._settled.add(refused, why)
        await self._remove_settled()

    @runs_to_completion
    async def drop_child(self, child: str, why: LossReason) -> int:
        """Remove all samples of one child, record them as lost, and return how many there were."""

        def work(db: Transaction) -> int:
            query = "SELECT MIN(at), MAX(at), COUNT(*) FROM outbox WHERE child = ?"
            first, last, samples = db.execute(query, (child,)).fetchone()
            if samples:
                count_loss(db, child, why, first, last, samples)
                db.execute("DELETE FROM outbox WHERE child = ?", (child,))
            return int(samples)

        return await self._write(work)

    async def oldest_at(self) -> datetime | None:
        """Return the time of the oldest waiting sample; `None` when none waits."""
        skipped = self._settled.seqs
        return await self._transact(lambda db: draining.oldest_at(db, skipping=skipped))

    async def losses(self) -> list[Loss]:
        """Return all losses since the store was created: for each child and reason those of several periods."""
        return await self._transact(read_losses)

    async def accounts(self) -> list[Account]:
        """Return what became of the samples of each child."""
        return await self._transact(read_accounts)

    @property
    def has_undated(self) -> bool:
        """Whether samples wait for their time: they were taken before the clock was set, and are not sent until it is."""
        return self._has_undated

    @runs_to_completion
    async def date_samples(self) -> DatedSamples:
        """Give samples their time that were taken before the clock was set, if it is known now, and return how many."""
        clock, dated = self._clock, DatedSamples()
        if not self._has_undated or clock is None or (offset := clock.offset()) is None:
            return dated
        offsets = await self._store.transact(lambda db: boot_offsets(db, clock.boot, offset))
        while some := await self._store.transact(lambda db: date_some(db, clock.boot, offsets)):
            dated += some
        self._has_undated = await self._store.transact(has_undated)
        self.arrived.set()
        return dated

    def _before(self) -> datetime | None:
        """Return the time before which samples are too old, from time to time; `None` where the clock could be wrong."""
        now = loop_time()
        if self._clock is None or now < self._look_for_expired_at:
            return None
        self._look_for_expired_at = now + EXPIRED_EVERY_SECONDS
        right = self._clock.confirmed_now()
        return None if right is None else right - self._bounds.keep_for

    def _insert(self, db: Transaction, prepared: PreparedSamples, before: datetime | None) -> int:
        insert(db, prepared)
        if before is not None:
            drop_expired(db, before)
        self._room = room(self._bounds, read_totals(db).bytes, self._disk_space(db))
        return self._thinning.make_room(db, self._room, added=len(prepared.rows))

    def _disk_space(self, db: Transaction) -> DiskSpace | None:
        return disk_space(db, real_path(self._store.path).parent) if self._bounds.free_bytes else None

    async def _skipped(self, skipping: Collection[int] = ()) -> list[int]:
        """Return the positions that are not sent; while too many cannot be removed, nothing is.

        Raises:
            StoreError: they cannot be removed.
        """
        if self._settled.is_full:
            await self._write(_do_nothing)
        return [*skipping, *self._settled.seqs]

    async def _remove_settled(self) -> None:
        if self._settled:
            try:
                await self._write(_do_nothing)
            except StoreError as error:
                self._settled.not_removed(error)

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the store when what the hub has settled is removed, in the same transaction: no row of it gets lost."""
        settled = self._settled.present()

        def removing(db: Transaction) -> T:
            remove_settled(db, settled)
            return work(db)

        result = await self._transact(removing)
        self._settled.removed(settled)
        return result

    async def _transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the store, and take over the sum of the accounts if it has changed anything."""

        def counted(db: Transaction) -> tuple[T, Totals | None]:
            changes = db.total_changes
            result = work(db)
            return result, read_totals(db) if db.total_changes != changes else None

        result, totals = await self._store.transact(counted, may_be_lost=True)
        if totals is not None:
            self._totals = totals
        return result


def _do_nothing(_db: Transaction) -> None:
    """Change nothing but what every write does."""
