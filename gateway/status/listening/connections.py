"""Keep the connections of the page within bounds: how many there are in all and for each client, and how long each may take."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gateway.tasks import loop_time

log = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 256
"""At most; a quarter of the descriptors that the process may have, where that is less."""
CLIENT_SHARE: Final = 0.5
"""One client may have so much of them. More than the pages that are kept live, which cannot be closed for others."""
HEAD_SECONDS: Final = 10.0
"""A request's head has to arrive within this time, and so has its body."""
READ_SECONDS: Final = 60.0
"""A response has to be taken within this time."""
REPLACED_PER_SECOND: Final = 50.0
"""So many connections are closed for new ones of clients that have their share already; further ones are turned away, which
costs a tenth."""
LOOK_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 60.0
"""After so long without a connection that had to be closed for others, the page has room again."""


class Phase(Enum):
    """What a connection does; one that works for a request is not closed for others."""

    ARRIVING = "a request is arriving"
    WAITING = "a request waits for its turn"
    WORKING = "a request is worked on"
    RESTING = "between two requests"


@dataclass(slots=True, eq=False)
class Connection:
    """One connection to the page."""

    client: str
    """Whose it is."""
    since: float
    """When its phase began."""
    phase: Phase = Phase.ARRIVING
    close: Callable[[], None] = field(default=lambda: None)
    """Closes it at once."""
    unsent_bytes: Callable[[], int] = field(default=lambda: 0)
    """How much of a response the client has not taken."""
    unsent_since: float | None = None

    def enter(self, phase: Phase) -> None:
        """Begin a phase, unless it is in it."""
        if self.phase is not phase:
            self.phase, self.since = phase, loop_time()

    def is_overdue(self, now: float) -> bool:
        """Whether its request, or its client's taking of a response, takes too long."""
        if not self.unsent_bytes():
            self.unsent_since = None
        elif self.unsent_since is None:
            self.unsent_since = now
        is_stuck = self.unsent_since is not None and now - self.unsent_since > READ_SECONDS
        return is_stuck or (self.phase is Phase.ARRIVING and now - self.since > HEAD_SECONDS)


class Connections:
    """All connections of the page."""

    def __init__(self, most: int = MOST_CONNECTIONS, *, shares_all: Callable[[str], bool] = lambda client: False) -> None:
        """Take at most so many.

        Args:
            most: how many there may be in all.
            shares_all: whether a client stands for many, as a proxy does, and has no share of its own.
        """
        self.most = most
        self.most_of_one = max(1, int(most * CLIENT_SHARE))
        self.stands_for_many = shares_all
        self._open: dict[Connection, None] = {}
        self._of_client: Counter[str] = Counter()
        self._any = asyncio.Event()
        self.closed_early = 0
        """How many were closed, or not taken, because there were too many."""
        self._crowded_since: int | None = None
        """What `closed_early` was when there began to be too many; `None` while there is room."""
        self._last_closed_early = 0.0
        self._replaceable = REPLACED_PER_SECOND
        self._counted_at = loop_time()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_crowded(self) -> bool:
        """Whether connections are closed to make room for others."""
        return self._crowded_since is not None

    def admit(self, client: str) -> Connection | None:
        """Count a new connection; where there is no room, the one that has waited longest is closed for it.

        `None` when all that could make room are at work.
        """
        is_alone = not self.stands_for_many(client)
        if is_alone and self._of_client[client] >= self.most_of_one:
            has_room = self._may_replace() and self._close_one(client)
        elif len(self._open) < self.most:
            has_room = True
        else:
            has_its_share = is_alone and self._of_client[client] >= self.most / len(self._of_client)
            has_room = (not has_its_share or self._may_replace()) and self._close_one(None)
        if not has_room:
            self.note_crowd(client)
            return None
        connection = Connection(client, loop_time())
        self._open[connection] = None
        self._of_client[client] += 1
        self._any.set()
        return connection

    def release(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        if connection not in self._open:
            return
        del self._open[connection]
        self._of_client[connection.client] -= 1
        if self._of_client[connection.client] <= 0:
            del self._of_client[connection.client]
        if not self._open and not self.is_crowded:
            self._any.clear()

    def note_crowd(self, client: str) -> None:
        """Count a connection that was closed early, and say so where it is the first."""
        self._last_closed_early = loop_time()
        if self._crowded_since is None:
            self._crowded_since = self.closed_early
            busiest, count = next(iter(self._of_client.most_common(1)), (client, 1))
            log.warning(
                "the status page has as many connections as it takes: %d, and %d of them from %s;"
                " those that wait longest are closed for new ones",
                *(len(self._open), count, busiest),
            )
        self.closed_early += 1
        self._any.set()

    def close_waiting(self) -> None:
        """Close all connections that do nothing: their descriptors are needed."""
        for connection in list(self._open):
            if connection.phase is not Phase.WORKING:
                self._close(connection)

    async def run(self) -> None:
        """Close connections that take too long, until cancelled."""
        while True:
            await self._any.wait()
            await asyncio.sleep(LOOK_SECONDS)
            now = loop_time()
            for connection in list(self._open):
                if connection.is_overdue(now):
                    self._close(connection)
            if self._crowded_since is not None and now - self._last_closed_early > QUIET_SECONDS:
                closed = self.closed_early - self._crowded_since
                self._crowded_since = None
                log.info("the status page has room again; %d connections were closed to make room for others", closed)
            if not self._open and not self.is_crowded:
                self._any.clear()

    def _may_replace(self) -> bool:
        now = loop_time()
        self._replaceable = min(REPLACED_PER_SECOND, self._replaceable + REPLACED_PER_SECOND * (now - self._counted_at))
        self._counted_at = now
        if self._replaceable < 1:
            return False
        self._replaceable -= 1
        return True

    def _close_one(self, client: str | None) -> bool:
        """Close what has waited longest among the connections of a client, or of the one that has most of them."""
        waiting = [one for one in self._open if one.phase is not Phase.WORKING and client in (None, one.client)]
        if not waiting:
            return False

        def order(connection: Connection) -> tuple[int, float]:
            weight = 0 if self.stands_for_many(connection.client) else self._of_client[connection.client]
            return -weight, connection.since

        chosen = min(waiting, key=order)
        self.note_crowd(chosen.client)
        self._close(chosen)
        return True

    def _close(self, connection: Connection) -> None:
        self.release(connection)
        connection.close()
