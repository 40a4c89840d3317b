"""Choose the samples that go ahead of a backlog: after an outage the cloud shows first what holds now.

The newest sample of each child that is behind goes first, once in each telemetry interval, and leaves the queue as usual; the
others follow in order. Each has the time at which it was taken (device API reference, section 5.1). Nothing says whether the
state in the hub follows that time or the order of arrival, so a child that has sent nothing newer by the end of its backlog sends
its newest sample once more: a device that fell silent during the outage is not shown as online because older samples came last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from gateway.hub import CHILDREN_PER_CALL, MESSAGE_BYTES
from gateway.state.outbox import Outbox, QueuedSample
from gateway.tasks import loop_time

BEHIND = 4
"""A child with fewer samples is not behind: its samples go in order."""

SENT_AGAIN = 0
"""The position of a sample that is not in the outbox any more."""

ENTRY_FRAME_BYTES = 160
"""The size of a child's entry in a bulk body besides its values: id, status, timestamp, override."""

REST_SECONDS = 600.0
"""So long no sample of a child goes ahead after one of them was not accepted."""


class LiveSamples:
    """Follows which children have sent a sample ahead of their backlog."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._after: str | None = None  # the child after which the sweep goes on; `None`: there is none
        self._ahead: dict[str, QueuedSample] = {}
        self._going: set[int] = set()
        self._rests_until: dict[str, float] = {}

    def begin(self) -> None:
        """Let the newest samples go ahead once more."""
        self._after = ""

    def clear(self) -> None:
        """Forget everything: the gateway was registered again."""
        self._after = None
        for children in (self._ahead, self._going, self._rests_until):
            children.clear()

    async def next_batch(self, parent_id: str, without: Collection[str], *, is_backlog: bool) -> list[QueuedSample]:
        """Return the samples that go next, at most one of each child; none when those of this interval have gone.

        Without a backlog no sample goes ahead any more, and those that did are followed up.
        """
        while self._after is not None:
            if self._after == "" and (again := await self._ended(without)):
                return again
            if not is_backlog:
                self._after = None
                return []
            newest = await self._outbox.newest(
                CHILDREN_PER_CALL, parent_id=parent_id, after=self._after, at_least=BEHIND, without=[*without, *self._resting()]
            )
            self._after = newest[-1].sample.child if len(newest) == CHILDREN_PER_CALL else None
            ahead = [one for one in newest if one.seq > self._seq_ahead(one.sample.child)]
            if ahead:
                batch = fitting(ahead)
                if len(batch) < len(ahead):
                    self._after = batch[-1].sample.child
                self._going = {one.seq for one in batch}
                return batch
        return []

    def accepted(self, queued: QueuedSample) -> None:
        """Take note of a sample that was accepted."""
        child = queued.sample.child
        if queued.seq in self._going:
            self._ahead[child] = queued
        elif queued.seq == SENT_AGAIN or queued.seq > self._seq_ahead(child):
            self._ahead.pop(child, None)

    def not_accepted(self, queued: QueuedSample) -> None:
        """Take note of a sample that was not accepted."""
        child = queued.sample.child
        if queued.seq in self._going:
            self._rests_until[child] = loop_time() + REST_SECONDS
        elif queued.seq == SENT_AGAIN:
            self._ahead.pop(child, None)

    async def _ended(self, without: Collection[str]) -> list[QueuedSample]:
        """Return the newest samples of children whose backlog has ended, and who have sent nothing newer."""
        if not self._ahead:
            return []
        heads = await self._outbox.heads(self._ahead)
        for child in [child for child, head in heads.items() if head > self._seq_ahead(child)]:
            del self._ahead[child]  # a newer one follows in order
        ended = [one for child, one in self._ahead.items() if child not in heads and child not in without]
        return [replace(one, seq=SENT_AGAIN) for one in ended[:CHILDREN_PER_CALL]]

    def _seq_ahead(self, child: str) -> int:
        ahead = self._ahead.get(child)
        return -1 if ahead is None else ahead.seq

    def _resting(self) -> list[str]:
        now = loop_time()
        self._rests_until = {child: until for child, until in self._rests_until.items() if until > now}
        return list(self._rests_until)


def fitting(queued: Sequence[QueuedSample]) -> list[QueuedSample]:
    """Return the first samples that fit into one body, at least one."""
    room = MESSAGE_BYTES - 1024
    batch: list[QueuedSample] = []
    for one in queued:
        room -= one.size_bytes + ENTRY_FRAME_BYTES
        if batch and room < 0:
            break
        batch.append(one)
    return batch
