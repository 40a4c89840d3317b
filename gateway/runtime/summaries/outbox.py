"""Summarise the outbox: how many samples wait, and how many were lost for which reason."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import StoreError
from gateway.state.outbox import Loss, Outbox
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
        return OutboxSummary(
            depth=outbox.depth, capacity=outbox.capacity, oldest_at=oldest_at, lost=lost, losses=_by_reason(self._losses)
        )


def _by_reason(losses: Sequence[Loss]) -> tuple[LossSummary, ...]:
    summaries: dict[str, LossSummary] = {}
    for loss in losses:
        before = summaries.get(loss.why)
        summaries[loss.why] = LossSummary(
            why=loss.why,
            samples=loss.samples + (before.samples if before else 0),
            children=1 + (before.children if before else 0),
            first_at=min(loss.first_at, before.first_at) if before else loss.first_at,
            last_at=max(loss.last_at, before.last_at) if before else loss.last_at,
        )
    return tuple(summaries.values())
