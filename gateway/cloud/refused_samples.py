"""Remember the samples that the hub refuses for no reason of the API's documentation, and when each is tried again.

Only two texts say that a sample will never be taken: those of section 5.1 of the device API reference. Any other one may be of a
proxy, of a hub in trouble, or of a later version of the API. So such a sample is kept and sent again, ever more rarely, and its
neighbours go on: those of other children always, those of its own child as soon as one of them is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.backoff import Backoff
from gateway.state.outbox import QueuedSample
from gateway.tasks import loop_time

FIRST_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3600.0

GIVEN_UP_AFTER_SECONDS = 24 * 3600.0
"""A sample that is refused for so long, in this run, counts as lost."""

REFUSED_IN_A_ROW = 3
"""So many refused samples of a child, and none accepted: the child as a whole waits."""

MOST_OF_A_CHILD = 100
MOST = 2000
"""So many samples of a child, and of all children, may wait beside the queue; beyond it, a child waits as a whole."""

FORGOTTEN_AFTER_SECONDS = 24 * 3600.0
"""A sample that was not tried again for so long is not in the outbox any more."""

_DOCUMENTED = re.compile(
    r"\s*(?:Missing 'telemetries' object|Common telemetries\..+ must be string, number or boolean)\W*", re.IGNORECASE | re.DOTALL
)


def is_about_data(error: str) -> bool:
    """Return whether an error text is one that the API documents for telemetry that it will never take (section 5.1)."""
    return _DOCUMENTED.fullmatch(error) is not None


@dataclass(slots=True)
class _Refusal:
    """A sample, or a child, that the hub refuses."""

    child: str
    since: float
    why: str
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, jitter=0))
    retry_at: float = 0.0

    def refuse(self, why: str) -> None:
        self.why = why
        self.retry_at = loop_time() + self.backoff.next_wait_seconds()


class RefusedSamples:
    """The samples that wait beside the queue, and the children that wait as a whole; forgotten with the process."""

    def __init__(self) -> None:
        self._samples: dict[int, _Refusal] = {}
        self._children: dict[str, _Refusal] = {}

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def why(self) -> str | None:
        """The latest reason of the hub; `None` where it refuses nothing."""
        latest = max(self._samples.values(), key=lambda refusal: refusal.retry_at, default=None)
        return None if latest is None else latest.why

    @property
    def children(self) -> set[str]:
        """The children with refused samples."""
        return {refusal.child for refusal in self._samples.values()} | set(self._children)

    def refused(self, queued: QueuedSample, why: str) -> bool:
        """Record that a sample was refused with the child's own key; return whether it is given up."""
        now, child = loop_time(), queued.sample.child
        self._forget_gone(now)
        refusal = self._samples.setdefault(queued.seq, _Refusal(child, now, why))
        if now - refusal.since >= GIVEN_UP_AFTER_SECONDS:
            del self._samples[queued.seq]
            return True
        refusal.refuse(why)
        return False

    def is_full_for(self, child: str) -> bool:
        """Return whether no more samples of this child may wait beside the queue."""
        of_child = sum(refusal.child == child for refusal in self._samples.values())
        return of_child >= MOST_OF_A_CHILD or len(self._samples) >= MOST

    def hold(self, child: str, why: str) -> None:
        """Let a child wait as a whole: none of its samples is accepted."""
        self._children.setdefault(child, _Refusal(child, loop_time(), why)).refuse(why)

    def accepted(self, queued: Collection[QueuedSample]) -> None:
        """Forget what is accepted now; the children of it do not wait any more."""
        for one in queued:
            self._samples.pop(one.seq, None)
            self._children.pop(one.sample.child, None)

    def gone(self, seq: int) -> None:
        """Forget a sample that is not in the outbox any more."""
        self._samples.pop(seq, None)

    def samples_to_skip(self) -> set[int]:
        """Return the positions of the samples whose time has not come."""
        now = loop_time()
        return {seq for seq, refusal in self._samples.items() if refusal.retry_at > now}

    def children_to_skip(self) -> set[str]:
        """Return the children whose time has not come."""
        now = loop_time()
        return {child for child, refusal in self._children.items() if refusal.retry_at > now}

    def clear(self) -> None:
        """Forget everything: the gateway was registered again."""
        self._samples.clear()
        self._children.clear()

    def _forget_gone(self, now: float) -> None:
        gone = [seq for seq, refusal in self._samples.items() if now - refusal.retry_at > FORGOTTEN_AFTER_SECONDS]
        for seq in gone:
            del self._samples[seq]
