"""Count the failed transactions of a child by kind, so that one cause with many numbers in its texts is one row. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from gateway.causes import Cause, Reason
from gateway.status.snapshot import FailureCount

MAX_KINDS_OF_UNKNOWN_CAUSE: Final = 8
"""A stranger's adapter may write another text each time."""
OTHER_REASONS: Final = "other reasons"

_NUMBER: Final = re.compile(r"(?<![\w.])[+-]?(?:0x[0-9a-f]+|\d+(?:[.,:]\d+)*)(?![\w])", re.IGNORECASE)


def kind_of(reason: Reason) -> str:
    """Return what failed, without the numbers of the single case: `no answer`, `no answer within … s`."""
    return reason.cause.phrase if reason.cause is not Cause.UNKNOWN else _NUMBER.sub("…", reason.text)


class FailureCounts:
    """The failures of one child: bounded by the number of causes, and of kinds without a cause."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[Cause, int, datetime, str]] = {}

    def count(self, reason: Reason) -> None:
        """Count a failed transaction."""
        kind = kind_of(reason)
        if kind not in self._kinds and reason.cause is Cause.UNKNOWN:
            unknown = sum(cause is Cause.UNKNOWN for cause, *_ in self._kinds.values())
            kind = kind if unknown < MAX_KINDS_OF_UNKNOWN_CAUSE else OTHER_REASONS
        times = self._kinds[kind][1] if kind in self._kinds else 0
        self._kinds[kind] = reason.cause, times + 1, datetime.now(UTC), reason.text

    def restore(self, counts: Iterable[FailureCount]) -> None:
        """Add what was counted before the start."""
        for one in counts:
            _, times, last_at, last_text = self._kinds.get(one.kind, (one.cause, 0, one.last_at, one.last_text))
            self._kinds[one.kind] = one.cause, times + one.times, last_at, last_text

    def counts(self) -> tuple[FailureCount, ...]:
        """Return the counts, the most frequent first."""
        counted = sorted(self._kinds.items(), key=lambda item: -item[1][1])
        return tuple(
            FailureCount(kind=kind, cause=cause, times=times, last_at=at, last_text=text)
            for kind, (cause, times, at, text) in counted
        )
