"""Put samples into the table: rows made before the transaction, and what cannot be a row recorded as lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.models import Sample
from gateway.state.database.columns import Unusable
from gateway.state.database.set_aside import UNREADABLE
from gateway.state.outbox.accounts import add_to_account
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.outbox.samples import SampleRow, rows_of
from gateway.state.store import Transaction
from gateway.state.wall_clock import WallClock

INSERT = (
    "INSERT INTO outbox (child, at, status, payload, is_event, boot, ticks) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
    " WHERE NOT EXISTS (SELECT 1 FROM children WHERE key = ?1 AND state = 'deleted')"
    " AND NOT EXISTS (SELECT 1 FROM met WHERE key = ?1 AND decision = 'ignore')"
)


@dataclass(frozen=True, slots=True)
class LostSamples:
    """Samples of one child that are lost before they are stored."""

    child: str
    why: LossReason
    first_at: str
    last_at: str
    samples: int


@dataclass(slots=True)
class PreparedSamples:
    """Samples as they go into the table."""

    rows: list[SampleRow] = field(default_factory=list)
    lost: list[LostSamples] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Why a sample cannot be stored, by child, for a person."""


def prepare(samples: Sequence[Sample], clock: WallClock | None) -> PreparedSamples:
    """Return the samples as rows, and those that cannot be stored as lost.

    With a clock that is not set, the rows have the time since the boot instead.
    """
    prepared = PreparedSamples()
    for sample in samples:
        at = _time(sample.at)
        child = str(sample.child).encode("utf-8", "replace").decode()
        if sample.merged:
            first_at = at if sample.merged_from is None else _time(sample.merged_from)
            prepared.lost.append(LostSamples(child, LossReason.MERGED, first_at, at, sample.merged))
        try:
            prepared.rows += rows_of(sample) if clock is None else _dated_rows(sample, clock)
        except Unusable as error:
            prepared.lost.append(LostSamples(child, LossReason.UNSTORABLE, at, at, 1))
            prepared.refused[child] = str(error)
    return prepared


def _dated_rows(sample: Sample, clock: WallClock) -> list[SampleRow]:
    try:
        taken = clock.taken_at(sample.at)
    except UNREADABLE as error:
        raise Unusable(f"its time is not possible ({type(error).__name__})") from error
    rows = rows_of(replace(sample, at=taken.at))
    return rows if taken.ticks is None else [row._replace(boot=clock.boot, ticks=taken.ticks) for row in rows]


def insert(db: Transaction, prepared: PreparedSamples) -> None:
    """Store rows and losses."""
    db.executemany(INSERT, prepared.rows)
    for lost in prepared.lost:
        add_to_account(db, lost.child, produced=lost.samples)
        count_loss(db, lost.child, lost.why, lost.first_at, lost.last_at, lost.samples)


def _time(at: datetime) -> str:
    try:
        return at.astimezone(UTC).isoformat()
    except UNREADABLE:
        return datetime.now(UTC).isoformat()
