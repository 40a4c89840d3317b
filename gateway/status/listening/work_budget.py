"""Bound the processor time that clients of the page cause, for each client and in all; what is beyond waits for its turn.

The buses and the uploads run in the same event loop. Requests are counted by the time that they take, not by their number, so
that a page of a thousand children costs what it costs. Of those that wait, the client goes first that has used least.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import exp, inf
from time import thread_time
from typing import Any, Final, TypeVar

from gateway.tasks import loop_time

log = logging.getLogger(__name__)

SHARE: Final = 0.25
"""All clients together may use this share of one processor, beyond what they may use at once."""
CLIENT_SHARE: Final = 0.15
AT_ONCE_SECONDS: Final = 1.0
"""A client that was quiet may use so much at once, and so may all together: several tabs that are opened with one click."""
EXPECTED_SECONDS: Final = 0.005
"""A request counts as this much until it is known what it takes."""
REQUEST_SECONDS: Final = 0.001
"""What a request takes outside its handler: it is parsed, and its response is written."""
CONNECTION_SECONDS: Final = 0.0005
"""What taking a connection costs."""
TLS_SECONDS: Final = 0.005
"""What the handshake of a connection costs, on a small machine."""
PATIENCE_SECONDS: Final = 5.0
"""A request that has waited so long is refused."""
LEAST_WAIT_SECONDS: Final = 0.001
"""A wait that is shorter than the clock can tell would never end."""
LATELY_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 60.0
"""A refusal is logged when there was none for so long."""
MANY_ACCOUNTS: Final = 512
"""With more of them, those that owe nothing are forgotten."""

T = TypeVar("T")


class TooMuchWork(Exception):
    """A client asks for more than its share, or all together do."""


@dataclass(slots=True)
class Account:
    """How much processor time somebody has used and not yet got back."""

    share: float
    """It gets back so many seconds in each second."""
    used: float = 0.0
    lately: float = 0.0
    """How much was used lately, which is forgotten in some minutes: who used less goes first."""
    at: float = field(default_factory=loop_time)

    def charge(self, seconds: float) -> None:
        """Count what was used; less than nothing takes back what was expected."""
        self._settle()
        self.used = max(0.0, self.used + seconds)
        self.lately = max(0.0, self.lately + seconds)

    def seconds_to_wait(self) -> float:
        """Return how long it is until something may begin; 0 when it may."""
        self._settle()
        return max(0.0, self.used - AT_ONCE_SECONDS) / self.share

    def is_in_use(self) -> bool:
        """Whether anything has to be got back."""
        self._settle()
        return self.used > 0

    def _settle(self) -> None:
        now = loop_time()
        self.used = max(0.0, self.used - self.share * (now - self.at))
        self.lately *= exp((self.at - now) / LATELY_SECONDS)
        self.at = now


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks for work. Who has the token is another client than strangers at the same address."""

    address: str
    has_token: bool = False

    def __str__(self) -> str:
        return f"{self.address} with the token" if self.has_token else self.address


class Turn:
    """The turn of one request."""

    def __init__(self, charge: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._charge = charge
        self._clock = clock

    def measured(self, work: Awaitable[T]) -> Awaitable[T]:
        """Return the work, whose processor time is counted while it is awaited."""
        return _Measured(work, self._clock, self._charge)


class WorkBudget:
    """Decides whose request begins, and when."""

    def __init__(self, clock: Callable[[], float] = thread_time) -> None:
        """Measure work by this clock."""
        self._clock = clock
        self._all = Account(SHARE)
        self._accounts: dict[Client, Account] = {}
        self._waiting: dict[Client, deque[asyncio.Future[None]]] = {}
        self._next_look: asyncio.Handle | None = None
        self._last_refused = -inf
        self.refused = 0
        """How many requests and connections waited in vain."""

    @asynccontextmanager
    async def turn(self, client: Client, *, costs: float = REQUEST_SECONDS) -> AsyncIterator[Turn]:
        """Wait until the work of a client may begin.

        Args:
            client: who causes it.
            costs: what it takes in any case, beside what is measured.

        Raises:
            TooMuchWork: it had to wait for too long.
        """
        if self._next_look is not None or self._seconds_to_wait(client) > 0:
            await self._wait(client)
        account = self._account_of(client)
        self._look_soon()  # only one begins in each turn of the event loop, so that a thousand at once do not hold it
        self._charge(account, costs + EXPECTED_SECONDS)
        try:
            yield Turn(partial(self._charge, account), self._clock)
        finally:
            self._charge(account, -EXPECTED_SECONDS)

    async def _wait(self, client: Client) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(client, deque())
        queue.append(mine)
        self._look_soon()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await mine
        except TimeoutError as error:
            self._note_refusal(client)
            raise TooMuchWork from error
        finally:
            if mine in queue:
                queue.remove(mine)
            if not queue and self._waiting.get(client) is queue:
                del self._waiting[client]

    def _look_soon(self) -> None:
        if isinstance(self._next_look, asyncio.TimerHandle):
            self._next_look.cancel()
        elif self._next_look is not None:
            return
        self._next_look = asyncio.get_running_loop().call_soon(self._let_one_begin)

    def _let_one_begin(self) -> None:
        """Let the client begin that has used least, those with the token before others; look again when one may."""
        self._next_look = None
        if not self._waiting:
            return
        first = min(self._waiting, key=lambda client: (self._seconds_to_wait(client), not client.has_token, self._lately(client)))
        if (wait := self._seconds_to_wait(first)) > 0:
            self._next_look = asyncio.get_running_loop().call_later(max(wait, LEAST_WAIT_SECONDS), self._let_one_begin)
            return
        queue = self._waiting[first]
        begins = queue.popleft()
        if not queue:
            del self._waiting[first]
        if not begins.done():
            begins.set_result(None)
        self._look_soon()

    def _seconds_to_wait(self, client: Client) -> float:
        return max(self._all.seconds_to_wait(), self._account_of(client).seconds_to_wait())

    def _lately(self, client: Client) -> float:
        return self._account_of(client).lately

    def _account_of(self, client: Client) -> Account:
        account = self._accounts.get(client)
        if account is None:
            if len(self._accounts) >= MANY_ACCOUNTS:
                self._accounts = {one: kept for one, kept in self._accounts.items() if kept.is_in_use()}
            account = self._accounts[client] = Account(CLIENT_SHARE)
        return account

    def _charge(self, account: Account, seconds: float) -> None:
        account.charge(seconds)
        self._all.charge(seconds)

    def _note_refusal(self, client: Client) -> None:
        self.refused += 1
        if loop_time() - self._last_refused > QUIET_SECONDS:
            log.warning(
                "the status page gets more requests than it has time for; they wait, and some are refused. The latest is from %s",
                client,
            )
        self._last_refused = loop_time()


class _Measured(Awaitable[T]):
    """Awaits some work, and tells how much processor time each of its steps took; what it waits for is not counted."""

    def __init__(self, work: Awaitable[T], clock: Callable[[], float], tell: Callable[[float], None]) -> None:
        self._work = work
        self._clock = clock
        self._tell = tell

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        step: Callable[[], Any] = partial(next, steps)
        while True:
            begun = self._clock()
            try:
                waits_for = step()
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self._tell(self._clock() - begun)
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - the work is told, and decides
                step = partial(steps.throw, error)
            else:
                step = partial(next, steps)
