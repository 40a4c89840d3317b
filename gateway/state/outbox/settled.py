"""Remember the samples that the cloud has accepted or rejected, and that are still in the table since the store fails.

They are in memory alone: after a kill they are sent once more.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.state.outbox.accounts import add_to_account
from gateway.state.outbox.losses import LossReason, count_loss
from gateway.state.outbox.samples import QueuedSample
from gateway.state.store import Transaction

log = logging.getLogger(__name__)

MOST_SETTLED = 5_000
"""With so many nothing more is sent until the store takes again: about a megabyte of memory, and a moment to remove."""


@dataclass(frozen=True, slots=True)
class _Settled:
    child: str
    at: str
    lost: LossReason | None
    """Why it is lost; `None` for a sample that the cloud has."""


class SettledSamples:
    """Samples whose rows are to be removed, by their position."""

    def __init__(self) -> None:
        self._by_seq: dict[int, _Settled] = {}
        self._is_told = False

    def __len__(self) -> int:
        return len(self._by_seq)

    @property
    def is_full(self) -> bool:
        """Whether no more are to be sent before some are removed."""
        return len(self._by_seq) >= MOST_SETTLED

    @property
    def seqs(self) -> list[int]:
        """Their positions."""
        return list(self._by_seq)

    def by_child(self) -> Counter[str]:
        """Return how many there are of each child."""
        return Counter(one.child for one in self._by_seq.values())

    def add(self, samples: Iterable[QueuedSample], lost: LossReason | None) -> None:
        """Remember samples that the cloud has, or that are lost; those at position 0 are in the table no more."""
        for one in samples:
            if one.seq > 0:
                self._by_seq[one.seq] = _Settled(one.sample.child, one.sample.at.isoformat(), lost)

    def present(self) -> dict[int, _Settled]:
        """Return those of this moment, for a transaction."""
        return dict(self._by_seq)

    def removed(self, seqs: Iterable[int]) -> None:
        """Forget those whose rows are gone."""
        for seq in seqs:
            self._by_seq.pop(seq, None)
        if self._is_told and not self._by_seq:
            self._is_told = False
            log.info("outbox: what was sent while the store failed is removed now")

    def not_removed(self, error: Exception) -> None:
        """Tell once that rows stay although their samples are settled."""
        if not self._is_told:
            self._is_told = True
            log.warning(
                "outbox: what the cloud has taken cannot be removed; it is not sent again unless the gateway restarts: %s", error
            )


def remove_settled(db: Transaction, settled: Mapping[int, _Settled]) -> None:
    """Remove the rows and count them in the accounts; one that is gone already is counted already."""
    delivered: Counter[str] = Counter()
    for seq, one in settled.items():
        if not db.execute("DELETE FROM outbox WHERE seq = ?", (seq,)).rowcount:
            continue
        if one.lost is None:
            delivered[one.child] += 1
        else:
            count_loss(db, one.child, one.lost, one.at, one.at, 1)
    for child, samples in delivered.items():
        add_to_account(db, child, delivered=samples)
