"""Learn how long a host takes from accepting a connection to its first answer, and wait for it. Pure.

Some hosts accept a connection and lose what is sent in the first second or two. Nothing distinguishes that from a unit that
is not there, until the host has answered something on this connection. So the first request that is not answered on a fresh
connection is sent again for a while, and what was learned by that holds for the next connections of this host: the first
request waits, or no request is sent again because the host is known to answer at once.

A serial line answers as soon as it is open, unless its settings say otherwise: some adapters restart the device then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from typing import Final

from adapters.modbus.client.buses import Bus, TcpHost
from adapters.modbus.client.learned_wait import LearnedWait, WaitLimits

STARTUP_SECONDS: Final = 6.0
"""How long requests on a fresh connection are sent again, to a host of which nothing is known."""

ASK_AGAIN_SECONDS: Final = 0.25
"""They are sent no sooner after each other than this."""

AT_ONCE_SECONDS: Final = 0.3
"""A host whose first answer is to a request that was sent this soon answers at once."""

SOON_SECONDS: Final = 1.0
"""A request that is sent again later than this after it was given up does not tell how long the host takes: a scan asks all other
units in between. On the next connection it is sent again at once."""

LIMITS: Final = WaitLimits(most_seconds=10.0, evidence=1, failed_trials=1, trial_after=4, trial_later=16, trial_at_most=256)

AT_ONCE: Final = "at once"
"""What is remembered about a host that answers at once."""


class ConnectionStart:
    """The beginning of the connections to one host or line. Times are seconds of one clock.

    Args:
        bus: the host or line.
        memory: gives what the adapter remembers.
    """

    def __init__(self, bus: Bus, memory: Callable[[], MutableMapping[str, str]]) -> None:
        self._bus = bus
        self._memory = memory
        self._wait: LearnedWait | None = None
        self._answers_at_once = False
        self._opened_at = 0.0
        self._has_answered = False
        self._delay_seconds = 0.0
        self._sent_at = 0.0
        self._unanswered: dict[int, float] = {}
        """Unit -> how long after the opening it was last asked in vain, while nothing was answered."""
        self._given_up_at: dict[int, float] = {}
        """Unit -> when that request was given up."""

    def opened(self, now: float) -> None:
        """Begin with a fresh connection."""
        self._opened_at, self._has_answered = now, False
        self._unanswered.clear()
        self._given_up_at.clear()
        self._delay_seconds = self._learned.next_seconds() if self._bus.connect_delay is None else self._configured_seconds

    @property
    def has_answered(self) -> bool:
        """Whether anything was answered on this connection."""
        return self._has_answered

    def send_at(self, unit: int, *, is_write: bool) -> float:
        """Return when a request can be sent on this connection; a write is sent once, so it waits for the whole time."""
        if self._has_answered:
            return 0.0
        seconds = max(self._delay_seconds, self._learned.seconds) if is_write else self._delay_seconds
        again_at = self._unanswered.get(unit, -ASK_AGAIN_SECONDS) + ASK_AGAIN_SECONDS
        return self._opened_at + max(seconds, min(again_at, self._startup_seconds))

    def sent(self, now: float) -> None:
        """Record that a request is sent."""
        self._sent_at = now

    def unanswered(self, unit: int, now: float) -> None:
        """Record that the request was not answered."""
        if not self._has_answered:
            self._unanswered[unit] = self._sent_at - self._opened_at
            self._given_up_at[unit] = now

    def heard(self) -> None:
        """Record that something was received that is no answer: the host is ready."""
        self._has_answered = True

    def answered(self, unit: int) -> None:
        """Learn from the first answer on a connection."""
        if self._has_answered:
            return
        self._has_answered = True
        waited, missed = self._sent_at - self._opened_at, self._unanswered.get(unit)
        if missed is not None:
            is_exact = self._sent_at - self._given_up_at[unit] <= SOON_SECONDS
            if is_exact or missed >= STARTUP_SECONDS:
                self._learned.answered(waited, missed)
            self._answers_at_once = False
        elif not self._unanswered:
            self._learned.answered(waited)
            self._answers_at_once |= waited <= AT_ONCE_SECONDS
        elif not self._learned.seconds and max(self._unanswered.values()) >= STARTUP_SECONDS - ASK_AGAIN_SECONDS:
            self._answers_at_once = True  # it was asked long enough: the other units are not there
        self._save()

    def is_doubtful(self, now: float, *, within_seconds: float = math.inf) -> bool:
        """Return whether silence says nothing about a unit, at most so long after connecting: the host may not be ready yet."""
        return not self._has_answered and now - self._opened_at < min(self._startup_seconds, within_seconds)

    def is_over(self, now: float) -> bool:
        """Return whether the host has answered on this connection, or had enough time for it."""
        return self._has_answered or now - self._opened_at >= self._startup_seconds + STARTUP_SECONDS

    @property
    def learned_seconds(self) -> float:
        """How long the host takes, as far as it was learned; 0 for none."""
        return self._learned.seconds

    @property
    def _startup_seconds(self) -> float:
        if self._bus.connect_delay is not None:
            return 2 * self._configured_seconds
        if not isinstance(self._bus, TcpHost) or self._bus.loses_requests:  # datagrams have no connection
            return 0.0
        learned = self._learned.seconds
        if learned:
            return learned + STARTUP_SECONDS
        return 0.0 if self._answers_at_once else STARTUP_SECONDS

    @property
    def _configured_seconds(self) -> float:
        return self._bus.connect_delay.total_seconds() if self._bus.connect_delay is not None else 0.0

    @property
    def _learned(self) -> LearnedWait:
        """What was learned; at first what is stored."""
        if self._wait is None:
            stored = self._memory().get(self._name, "")
            self._answers_at_once = stored == AT_ONCE
            self._wait = LearnedWait.from_text(stored, LIMITS)
        return self._wait

    def _save(self) -> None:
        memory, learned = self._memory(), self._learned
        stored = memory.get(self._name, "")
        if learned.seconds and learned.differs_from(stored):
            memory[self._name] = learned.as_text()
        elif not learned.seconds and self._answers_at_once:
            memory[self._name] = AT_ONCE
        elif not learned.seconds and stored not in {"", AT_ONCE}:
            del memory[self._name]

    @property
    def _name(self) -> str:
        return f"{self._bus.label} first answer"
