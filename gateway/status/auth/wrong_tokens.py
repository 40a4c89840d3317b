"""Slow down clients that send wrong tokens, and tell of them: a program with an old token sends them for years.

Only wrong tokens are ever slowed or refused. The right one is too long to be guessed, and a stranger, or a forgotten program,
that shares the address of an operator must not be able to lock them out.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.tasks import loop_time

log = logging.getLogger(__name__)

FREE_ATTEMPTS: Final = 5
"""Number of wrong tokens that one client may send before it has to wait: a person may mistype."""
WAIT_SECONDS: Final = 60.0
"""Wait between further wrong tokens of such a client."""
DELAY_SECONDS: Final = 1.0
"""The response to a further wrong token is held back so long."""
FORGET_SECONDS: Final = WAIT_SECONDS * FREE_ATTEMPTS
MAX_CLIENTS: Final = 1000
LOG_SECONDS: Final = 60.0
"""Of one client, a line is written so often at most."""
MOST_LINES: Final = 10
"""In `LOG_SECONDS`, so many clients are named in the log; further ones are counted."""


@dataclass(slots=True)
class _Attempts:
    count: int = 0
    """Wrong tokens in a row, none much later than the one before."""
    last: float = 0.0
    untold: int = 0
    """Those that no line has told of yet."""
    untold_since: float = 0.0
    told_at: float = float("-inf")


def _seconds_to_wait(known: _Attempts, now: float) -> float:
    return max(0.0, known.last + WAIT_SECONDS - now) if known.count >= FREE_ATTEMPTS else 0.0


class WrongTokens:
    """Counts wrong tokens by the client that sent them."""

    def __init__(self, on_told: Callable[[str], None] = lambda text: None, now: Callable[[], float] = loop_time) -> None:
        """Count them.

        Args:
            on_told: told in a sentence what the log is told.
            now: returns the time in seconds.
        """
        self._on_told = on_told
        self._now = now
        self._clients: OrderedDict[str, _Attempts] = OrderedDict()
        self._lines_since = float("-inf")
        self._lines = 0

    def seconds_to_wait(self, client: str) -> float:
        """Return how long this client has to wait before its next wrong token is told as one; 0 when it need not wait."""
        known = self._clients.get(client)
        return 0.0 if known is None else _seconds_to_wait(known, self._now())

    def record(self, client: str) -> None:
        """Count a wrong token, and tell of it in the log; the clients with the oldest ones are forgotten."""
        now = self._now()
        known = self._clients.pop(client, None) or _Attempts()
        is_refused = _seconds_to_wait(known, now) > 0
        known.count = known.count + 1 if now - known.last < FORGET_SECONDS else 1
        known.untold_since = known.untold_since if known.untold else max(now - LOG_SECONDS, known.told_at)
        known.untold += 1
        if not is_refused:  # else a program that never stops would never be told again that its token is wrong
            known.last = now
        self._clients[client] = known
        while len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        self._tell(client, known, now)

    def _tell(self, client: str, known: _Attempts, now: float) -> None:
        if now - known.told_at < LOG_SECONDS or not self._has_room(now):
            return
        count, since = known.untold, now - known.untold_since
        known.untold, known.told_at = 0, now
        text = f"{client} has sent a wrong token to the status page"
        if count > 1:
            text = f"{client} has sent {count} wrong tokens to the status page in the last {max(1, round(since / 60))} min"
        log.warning("%s; a program there may have one that was withdrawn", text)
        self._on_told(text)

    def _has_room(self, now: float) -> bool:
        """Whether another line may be written: a thousand addresses must not flood the log."""
        if now - self._lines_since >= LOG_SECONDS:
            self._lines_since, self._lines = now, 0
        self._lines += 1
        if self._lines == MOST_LINES + 1:
            log.warning("further addresses send wrong tokens to the status page; they are not named in this minute")
        return self._lines <= MOST_LINES
