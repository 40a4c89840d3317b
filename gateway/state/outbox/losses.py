"""Record the samples that will never arrive: of which child, from when to when, how many, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from gateway.state.database.columns import Unusable, moment, number, text
from gateway.state.database.set_aside import read_rows
from gateway.state.outbox.accounts import UNKNOWN_CHILD, add_to_account
from gateway.state.store import Transaction

ADJACENT_WITHIN = timedelta(hours=1)
"""Losses of one child for one reason that are no further apart are one record."""

MOST_OF_A_CHILD = 8
"""The most records of one child and reason: beyond it, its two oldest ones become one."""

MOST_RECORDS = 20_000
"""Beyond it, the records of children that are gone are summed up."""


class LossReason(StrEnum):
    """Why a sample never arrives. The values are part of stored data, and end the sentence "... was lost because"."""

    THINNED = "the outbox was full: thinned"
    """Every second one was dropped, so that the rest still shows the course."""
    DROPPED = "the outbox was full: dropped"
    EXPIRED = "it was too old"
    REJECTED = "the hub rejected it"
    MERGED = "the store failed: only the newest values were kept"
    """Its values are in the next sample, as far as that has no newer ones."""
    UNSTORABLE = "it has a value that cannot be stored"
    UNREADABLE = "damaged in the store"
    RETIRED = "the child was retired"
    DELETED = "the child was deleted in the cloud"
    OTHER = "another reason"

    @property
    def is_intended(self) -> bool:
        """Whether a person wanted it: nobody has to be told."""
        return self in (LossReason.RETIRED, LossReason.DELETED)


@dataclass(frozen=True, slots=True)
class Loss:
    """Samples of one child that will never arrive."""

    child: str
    why: LossReason
    first_at: datetime
    last_at: datetime
    samples: int


_REASONS: Mapping[object, LossReason] = {reason.value: reason for reason in LossReason}


def count_loss(db: Transaction, child: object, why: LossReason, first: object, last: object, samples: int) -> None:
    """Record samples that will never arrive, with the times of the first and the last of them.

    Child and times are columns of the outbox, so they may be damaged: then something that can be stored takes their place.
    """
    add_to_account(db, child, lost=samples)
    child = child if isinstance(child, str) else UNKNOWN_CHILD
    first, last = (_moment(at).isoformat() for at in (first, last))
    before = db.execute(
        "SELECT seq, first_at, last_at FROM losses WHERE child = ? AND why = ? ORDER BY seq DESC LIMIT 1", (child, why.value)
    ).fetchone()
    if before is not None and _are_adjacent(before[1], before[2], first, last):
        db.execute(
            "UPDATE losses SET first_at = MIN(first_at, ?), last_at = MAX(last_at, ?), samples = samples + ? WHERE seq = ?",
            (first, last, samples, before[0]),
        )
    else:
        db.execute(
            "INSERT INTO losses (child, why, first_at, last_at, samples) VALUES (?, ?, ?, ?, ?)",
            (child, why.value, first, last, samples),
        )
        _bound(db, child, why)


def read_losses(db: Transaction) -> list[Loss]:
    """Return all losses since the store was created, for each child and reason those of several periods."""
    return read_rows(db, "losses", "child, why, first_at, last_at, samples", _loss, "ORDER BY seq")


def sum_up_losses(db: Transaction) -> None:
    """Sum up the records of children that are gone, where there are too many records."""
    if db.execute("SELECT COUNT(*) FROM losses").fetchone()[0] <= MOST_RECORDS:
        return
    gone = "FROM losses WHERE child NOT IN (SELECT key FROM children)"
    sums = db.execute(f"SELECT why, MIN(first_at), MAX(last_at), SUM(samples) {gone} GROUP BY why").fetchall()
    db.execute(f"DELETE {gone}")
    db.executemany("INSERT INTO losses (child, why, first_at, last_at, samples) VALUES ('', ?, ?, ?, ?)", sums)


def _loss(child: object, why: object, first: object, last: object, samples: object) -> Loss:
    reason = _REASONS.get(why, LossReason.OTHER)
    return Loss(text(child, "child"), reason, moment(first, "first_at"), moment(last, "last_at"), number(samples, "samples"))


def _bound(db: Transaction, child: str, why: LossReason) -> None:
    rows = db.execute(
        "SELECT seq, first_at, last_at, samples FROM losses WHERE child = ? AND why = ? ORDER BY seq", (child, why.value)
    ).fetchall()
    if len(rows) <= MOST_OF_A_CHILD:
        return
    (seq, *_), (_, first, last, samples) = rows[1], rows[0]
    db.execute(
        "UPDATE losses SET first_at = MIN(first_at, ?), last_at = MAX(last_at, ?), samples = samples + ? WHERE seq = ?",
        (first, last, samples, seq),
    )
    db.execute("DELETE FROM losses WHERE seq = ?", (rows[0][0],))


def _are_adjacent(first_before: object, last_before: object, first: str, last: str) -> bool:
    return (
        _moment(first) - _moment(last_before) <= ADJACENT_WITHIN and _moment(first_before) - _moment(last) <= ADJACENT_WITHIN
    )  # fmt: skip


def _moment(written: object) -> datetime:
    """Return a time of a column, in UTC; the present one where it is damaged: that is no reason to lose the record."""
    try:
        return moment(written, "at").astimezone(UTC)
    except Unusable:
        return datetime.now(UTC)
