"""Make room in the outbox: the child with the most gives first, in detail before time, and events last."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from gateway.state.outbox.accounts import read_totals, recount
from gateway.state.outbox.bounds import DiskSpace, Room
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.store import Transaction

LOOKED_AT = 2_000
"""How many of the oldest samples are looked at for their age at a time."""

DROPPED_AT_ONCE = 2_500
"""How many samples a child gives at a time: to drop half a million would hold up everything else that is stored."""

LEAST_DROPPED = 10_000
"""How many may be dropped each time that samples are put in, beside as many as those: a disk that was filled by others is
vacated step by step, since each step needs room in the log, too."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """What is left of the samples of a child of which every second one is dropped."""

    after: int
    last: int
    is_event: int


@dataclass(slots=True)
class Thinning:
    """Drops samples where there is no room for all. A restart begins the halves of the children anew."""

    passes: dict[str, _Pass] = field(default_factory=dict)
    """By child, those that are not at their end."""

    def make_room(self, db: Transaction, room: Room, *, added: int) -> int:
        """Drop samples until the outbox fits into the room, or many were dropped, and return how many.

        Whoever has the most gives first: the older half of its samples loses every second one. A child below its fair share is
        therefore never touched for the sake of one above it.

        Args:
            db: the transaction.
            room: how much may wait.
            added: how many were put in by this transaction.
        """
        lost, most_lost = 0, LEAST_DROPPED + 2 * added
        while lost < most_lost:
            totals = read_totals(db)
            surplus, surplus_bytes = totals.waiting - room.samples, totals.bytes - room.bytes
            if (surplus <= 0 and surplus_bytes <= 0) or totals.waiting <= 1:
                break
            most = "waiting" if surplus > 0 else "bytes"
            child, waiting = db.execute(
                f"SELECT child, waiting FROM outbox_accounts WHERE waiting > 0 ORDER BY {most} DESC LIMIT 1"  # noqa: S608 - one of two
            ).fetchone()
            if waiting < 4:  # of many children with next to nothing each, none has too much
                share = max(surplus, 1 + surplus_bytes * totals.waiting // max(totals.bytes, 1))
                dropped = _drop_oldest(db, min(share, most_lost))
            else:
                dropped = self._thin(db, child, waiting)
            if not dropped:
                recount(db)
            lost += dropped
        return lost

    def _thin(self, db: Transaction, child: str, waiting: int) -> int:
        """Drop every second sample of the older half of a child, or of the next part of it, and return how many."""
        if (begun := self.passes.pop(child, None)) is not None and (dropped := self._go_on(db, child, begun)):
            return dropped
        # events only where there is nothing else
        for rows, is_event in ((waiting // 2, 0), (waiting - 1, 0), (waiting // 2, 1)):
            query = "SELECT seq FROM outbox WHERE child = ? ORDER BY seq LIMIT 1 OFFSET ?"
            last = db.execute(query, (child, rows - 1)).fetchone()
            if last is not None and (dropped := self._go_on(db, child, _Pass(0, last[0], is_event))):
                return dropped
        oldest = db.execute("SELECT seq FROM outbox WHERE child = ? ORDER BY is_event, seq LIMIT 1", (child,)).fetchone()
        return _drop(db, oldest or (), LossReason.DROPPED)

    def _go_on(self, db: Transaction, child: str, begun: _Pass) -> int:
        query = "SELECT seq FROM outbox WHERE child = ? AND seq > ? AND seq <= ? AND is_event = ? ORDER BY seq LIMIT ?"
        rows = db.execute(query, (child, begun.after, begun.last, begun.is_event, 2 * DROPPED_AT_ONCE)).fetchall()
        if len(rows) == 2 * DROPPED_AT_ONCE:
            self.passes[child] = replace(begun, after=rows[-1][0])
        return _drop(db, [seq for (seq,) in rows[1::2]], LossReason.THINNED)


def drop_expired(db: Transaction, before: datetime) -> int:
    """Drop samples that were taken before this moment, and return how many; only the oldest ones are looked at."""
    query = "SELECT seq FROM (SELECT seq, at, boot FROM outbox ORDER BY seq LIMIT ?) WHERE at < ? AND boot IS NULL"
    return _drop(db, [seq for (seq,) in db.execute(query, (LOOKED_AT, before.isoformat()))], LossReason.EXPIRED)


def disk_space(db: Transaction, folder: Path) -> DiskSpace | None:
    """Return the space on the disk of the store; `None` where it cannot be asked."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    (pages,), (page_bytes,) = db.execute("PRAGMA freelist_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    return DiskSpace(total=disk.f_blocks * disk.f_frsize, free=disk.f_bavail * disk.f_frsize + pages * page_bytes)


def _drop_oldest(db: Transaction, samples: int) -> int:
    """Drop the oldest samples of all children, events last."""
    query = "SELECT seq FROM outbox ORDER BY is_event, seq LIMIT ?"
    return _drop(db, [seq for (seq,) in db.execute(query, (samples,))], LossReason.DROPPED)


def _drop(db: Transaction, seqs: Iterable[int], why: LossReason) -> int:
    """Drop samples, and record for each child how many."""
    gone: dict[object, tuple[str, str, int]] = {}
    for seq in seqs:
        ((child, at),) = db.execute("DELETE FROM outbox WHERE seq = ? RETURNING child, at", (seq,)).fetchall()
        at = str(at)
        first, last, samples = gone.get(child, (at, at, 0))
        gone[child] = (min(first, at), max(last, at), samples + 1)
    for child, (first, last, samples) in gone.items():
        count_loss(db, child, why, first, last, samples)
    if not all(isinstance(child, str) for child in gone):  # damaged: the account of its child has it still
        recount(db)
    return sum(samples for *_, samples in gone.values())
