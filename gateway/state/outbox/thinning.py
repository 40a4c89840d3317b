"""Make room in the outbox: the child with the most gives first, in detail before time, and events last."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from gateway.state.outbox.accounts import read_totals, recount
from gateway.state.outbox.bounds import DiskSpace, Room
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.store import Transaction

LOOKED_AT = 2_000
"""How many of the oldest samples are looked at for their age at a time."""


def make_room(db: Transaction, room: Room) -> int:
    """Drop samples until the outbox fits into the room, and return how many.

    Whoever has the most gives first: the older half of its samples loses every second one. A child below its fair share is
    therefore never touched for the sake of one above it.
    """
    lost = 0
    while True:
        totals = read_totals(db)
        surplus, surplus_bytes = totals.waiting - room.samples, totals.bytes - room.bytes
        if (surplus <= 0 and surplus_bytes <= 0) or totals.waiting <= 1:
            return lost
        most = "waiting" if surplus > 0 else "bytes"
        child, waiting = db.execute(
            f"SELECT child, waiting FROM outbox_accounts WHERE waiting > 0 ORDER BY {most} DESC LIMIT 1"  # noqa: S608 - one of two
        ).fetchone()
        if waiting < 4:  # of many children with next to nothing each, none has too much
            share = max(surplus, 1 + surplus_bytes * totals.waiting // max(totals.bytes, 1))
            dropped = _drop_oldest(db, share)
        else:
            dropped = _thin(db, child, waiting)
        if not dropped:
            recount(db)
        lost += dropped


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


def _thin(db: Transaction, child: str, waiting: int) -> int:
    """Drop every second sample of the older half of a child, which has at least four; events only where there is nothing else."""
    for rows, is_event in ((waiting // 2, 0), (waiting - 1, 0), (waiting // 2, 1)):
        query = (
            "SELECT seq, ROW_NUMBER() OVER (ORDER BY seq) AS place"
            " FROM (SELECT seq, is_event FROM outbox WHERE child = ? ORDER BY seq LIMIT ?) WHERE is_event = ?"
        )
        second = [seq for seq, place in db.execute(query, (child, rows, is_event)) if place % 2 == 0]
        if second:
            return _drop(db, second, LossReason.THINNED)
    oldest = db.execute("SELECT seq FROM outbox WHERE child = ? ORDER BY is_event, seq LIMIT 1", (child,)).fetchone()
    return _drop(db, oldest or (), LossReason.DROPPED)


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
