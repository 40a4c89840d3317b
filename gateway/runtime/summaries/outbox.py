"""Summarise the outbox: how many samples wait, and how many were lost for which reason."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cloud.backlog_drain import DrainProgress
from gateway.cloud.refused_samples import RefusedSamples
from gateway.cloud.session import Session
from gateway.errors import StoreError
from gateway.state.outbox import Loss, LossReason, Outbox
from gateway.status.snapshot import DrainSummary, LossSummary, OutboxSummary, RefusalSummary


class OutboxSummarizer:
    """Summarises the outbox; the losses are read again only when there are more of them."""

    def __init__(self, outbox: Outbox, session: Session) -> None:
        self._outbox = outbox
        self._session = session
        self._lost = 0
        self._losses: Sequence[Loss] = ()

    async def summary(self) -> OutboxSummary:
        """Return the state of the outbox right now."""
        outbox, lost = self._outbox, self._outbox.lost
        try:
            oldest_at = await outbox.oldest_at() if outbox.depth else None
            if lost != self._lost:
                self._losses = await outbox.losses()
                self._lost = lost
        except StoreError:  # the problem of the store is shown by itself
            oldest_at = None
        holds_for = outbox.holds_for
        return OutboxSummary(
            depth=outbox.depth,
            capacity=outbox.capacity,
            oldest_at=oldest_at,
            lost=lost,
            losses=_by_reason(self._losses),
            size_bytes=outbox.size_bytes,
            capacity_bytes=outbox.room.bytes,
            bytes_a_day=outbox.bytes_a_day,
            waits_for_clock=outbox.has_undated,
            holds_seconds=None if holds_for is None else holds_for.total_seconds(),
            drain=_drain(self._session.drain.progress),
            refused=_refused(self._session.refused_samples),
        )


def _drain(progress: DrainProgress | None) -> DrainSummary | None:
    if progress is None:
        return None
    return DrainSummary(since=progress.since, sent=progress.sent, left=progress.left, seconds_left=progress.seconds_left)


def _refused(samples: RefusedSamples) -> RefusalSummary | None:
    if not samples:
        return None
    return RefusalSummary(samples=len(samples), children=len(samples.children), why=samples.why)


def _by_reason(losses: Sequence[Loss]) -> tuple[LossSummary, ...]:
    of_reason: dict[LossReason, list[Loss]] = {}
    for loss in losses:
        of_reason.setdefault(loss.why, []).append(loss)
    return tuple(
        LossSummary(
            why=why,
            samples=sum(loss.samples for loss in same),
            children=len({loss.child for loss in same}),
            first_at=min(loss.first_at for loss in same),
            last_at=max(loss.last_at for loss in same),
        )
        for why, same in of_reason.items()
    )
