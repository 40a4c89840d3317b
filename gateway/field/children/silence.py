"""Detect which of the devices that send unprompted have been silent for too long. Pure.

A device that is never asked shows that it is there by sending. How long its silence is normal is learned from its own intervals:
a door contact that sends once an hour is not offline after a minute, but a thermometer that sends every second is after 30 s.
Until enough intervals are known, the adapter's limit applies. Times are seconds of one clock, passed in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

BURST_SECONDS = 1.0
"""Messages that arrive within this time are one transmission: many devices repeat each message several times in a row."""

INTERVALS_LEARNED_FROM = 16

LIMIT_FACTOR = 3.0
"""A device is silent after this many times its longest interval: much is lost on the radio."""

SHORTEST_LIMIT_SECONDS = 30.0

NEVER = float("inf")


@dataclass(slots=True)
class _Sender:
    """One device that sends unprompted."""

    default_limit_seconds: float
    heard_at: float
    """When it was last heard; when listening began, for one that was not heard yet."""
    burst_began_at: float | None = None
    """When its last transmission began; `None` before the first, and after the bus was closed for a while."""
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=INTERVALS_LEARNED_FROM))
    limit_seconds: float = 0.0
    is_silent: bool = False

    @property
    def silent_at(self) -> float:
        return self.heard_at + self.limit_seconds


class SilenceDetector:
    """The devices of one bus that send unprompted."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}

    def __contains__(self, child: object) -> bool:
        return child in self._senders

    def __len__(self) -> int:
        return len(self._senders)

    def expect(self, child: str, default_limit_seconds: float, now: float) -> None:
        """Expect a child to send; until its intervals are learned, it may be silent for the default limit."""
        known = self._senders.get(child)
        if known is None:
            self._senders[child] = _Sender(default_limit_seconds, now, limit_seconds=default_limit_seconds)
        elif known.default_limit_seconds != default_limit_seconds:
            known.default_limit_seconds = default_limit_seconds
            known.limit_seconds = _limit_seconds(known)

    def forget(self, child: str) -> None:
        """Expect a child to send no longer, and free what is kept of it."""
        self._senders.pop(child, None)

    def resume(self, closed_seconds: float, now: float) -> None:
        """Resume after the bus was closed for this long: that nothing was heard meanwhile is not counted as silence.

        Silence before that counts on, or no device would ever become silent on a bus that is reopened since all are silent. Every
        device gets at least `SHORTEST_LIMIT_SECONDS`, or its limit if that is shorter, to send from now on.
        """
        for sender in self._senders.values():
            grace_seconds = min(sender.limit_seconds, SHORTEST_LIMIT_SECONDS)
            heard_at = max(sender.heard_at + closed_seconds, now + grace_seconds - sender.limit_seconds)
            sender.heard_at, sender.burst_began_at, sender.is_silent = min(heard_at, now), None, False

    def record_message(self, child: str, now: float) -> None:
        """Record that a child sent something."""
        sender = self._senders.get(child)
        if sender is None:
            return
        sender.heard_at, sender.is_silent = now, False
        if sender.burst_began_at is None:
            sender.burst_began_at = now
        elif (interval := now - sender.burst_began_at) >= BURST_SECONDS:
            sender.burst_began_at = now
            sender.intervals.append(interval)
            sender.limit_seconds = _limit_seconds(sender)

    def longest_interval(self, child: str) -> float | None:
        """Return the longest of a child's last intervals in seconds; `None` while none is known."""
        sender = self._senders.get(child)
        return max(sender.intervals) if sender is not None and sender.intervals else None

    def newly_silent(self, now: float) -> list[tuple[str, str]]:
        """Return each child that has just exceeded its limit, and why it counts as silent; each silence is returned once."""
        silent = []
        for child, sender in self._senders.items():
            if not sender.is_silent and now >= sender.silent_at:
                sender.is_silent = True
                silent.append((child, _reason(sender, now)))
        return silent

    def next_check_at(self) -> float:
        """Return when the next child may have become silent; infinity when none can."""
        return min((sender.silent_at for sender in self._senders.values() if not sender.is_silent), default=NEVER)


def _limit_seconds(sender: _Sender) -> float:
    if not sender.intervals:
        return sender.default_limit_seconds
    learned = max(LIMIT_FACTOR * max(sender.intervals), SHORTEST_LIMIT_SECONDS)
    is_learned = len(sender.intervals) == INTERVALS_LEARNED_FROM
    return learned if is_learned else max(learned, sender.default_limit_seconds)


def _reason(sender: _Sender, now: float) -> str:
    silence = f"not heard for {_in_words(now - sender.heard_at)}"
    if not sender.intervals:
        return silence
    return f"{silence}; it used to send at least every {_in_words(max(sender.intervals))}"


def _in_words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
