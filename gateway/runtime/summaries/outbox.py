"""Summarise the outbox: how many samples wait, and how many were lost for which reason."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import StoreError
from gateway.state.outbox import Loss, LossReason, Outbox
from gateway.status.snapshot import LossSummary, OutboxSummary


class OutboxSummarizer:
    """Summarises the outbox; the losses are read again only when there are more of them."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
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
            holds_seconds=None if holds_for is None else holds_for.total_seconds(),
        )


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
