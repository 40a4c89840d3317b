"""Detect a connection on which nothing is answered any more, although the host acknowledges what is sent. Pure.

Only a new connection helps then. Requests to units that never answered say nothing about the connection: a scan sends many.
So the requests are counted that units leave unanswered which used to answer, and all of them have to be silent. When a new
connection does not help either, the units are gone: the next one is opened after twice as many requests.
"""

from __future__ import annotations

from typing import Final

UNANSWERED_REQUESTS: Final = 3
"""After so many unanswered requests to units that used to answer, a new connection is opened."""

SILENT_SECONDS: Final = 5.0
"""Answers may be late: nothing has been received for at least so long since the first of them was not answered."""

UNANSWERED_AT_MOST: Final = 96
"""The number doubles up to this one while new connections do not help."""

UNASKED_UNITS_FACTOR: Final = 4
"""After so many times as many requests it is not waited for units that nobody asks any more."""

CONFUSED_AT_MOST: Final = 96
"""While new connections do not help against confused answers, the next one is opened after so many such requests at most."""

CLEAR_ANSWERS: Final = 20
"""After so many answers without a confused one, a new connection has helped."""


class SessionHealth:
    """The answers on one connection after the other to a host."""

    def __init__(self) -> None:
        self.renewals = 0
        """How often a new connection was opened since the start because nothing was answered on the last one."""
        self.unanswered_at_renewal = 0
        """After how many unanswered requests that was done last."""
        self._answering: set[int] = set()
        self._silent: set[int] = set()
        self._unanswered = 0
        self._silent_since = 0.0
        self._limit = UNANSWERED_REQUESTS

    def answered(self, unit: int) -> None:
        """Record an answer."""
        self._answering.add(unit)
        self.heard()
        self._limit = UNANSWERED_REQUESTS

    def heard(self) -> None:
        """Record that something else was received: the connection works."""
        self._silent.clear()
        self._unanswered = 0

    def unanswered(self, unit: int, now: float) -> None:
        """Record a request that was not answered."""
        if unit in self._answering:
            self._silent_since = now if not self._unanswered else self._silent_since
            self._silent.add(unit)
            self._unanswered += 1

    def is_silent(self, now: float) -> bool:
        """Return whether a new connection is to be tried."""
        if now - self._silent_since < SILENT_SECONDS:
            return False
        are_all_silent = self._silent >= self._answering or self._unanswered >= UNASKED_UNITS_FACTOR * self._limit
        return self._unanswered >= self._limit and are_all_silent

    def renewed(self) -> None:
        """Record that a new connection was opened because of the silence."""
        self.renewals += 1
        self.unanswered_at_renewal = self._unanswered
        self._unanswered = 0
        self._silent.clear()
        self._limit = min(2 * self._limit, UNANSWERED_AT_MOST)


class Confusions:
    """The requests whose answers cannot be told from those to others: on a new connection no answer to an earlier one arrives."""

    def __init__(self) -> None:
        self.renewals = 0
        """How often a new connection was opened since the start for this reason."""
        self._clear_answers = 0
        self._requests_left = 0
        self._interval = 1

    def answered(self) -> None:
        """Record an answer that belongs to its request."""
        self._clear_answers += 1
        if self._clear_answers >= CLEAR_ANSWERS:
            self._requests_left, self._interval = 0, 1

    @property
    def is_repeated(self) -> bool:
        """Whether the new connection is not the first since answers were clear."""
        return self._interval > 2

    def take(self) -> bool:
        """Record a request with a confused answer, and return whether to open a new connection."""
        self._clear_answers = 0
        self._requests_left -= 1
        if self._requests_left > 0:
            return False
        self.renewals += 1
        self._requests_left, self._interval = self._interval, min(2 * self._interval, CONFUSED_AT_MOST)
        return True
