"""What systemd, or whoever else started us with NOTIFY_SOCKET, is told: we serve, we live, how things stand, we stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Self

from gateway.tasks import run_in_own_task

log = logging.getLogger(__name__)

Headline = Callable[[], Awaitable[str] | str]
"""Says in a sentence how everything stands."""

MOST_CHARACTERS = 500
"""Of a status. systemd drops a message of over 4096 bytes whole, and nobody reads more."""


class Notifier:
    """Tells the service manager; silent where there is none, and never in the way where it does not listen.

    Nothing is waited for: what does not get through is said again together with what comes next.

    Args:
        address: where it listens: a path, or a name that begins with `@`; `None` where nobody does.
        killed_after: it kills and restarts a process that shows no life for so long; `None`: it does not watch.
        headline_every: how often the headline is asked for.
    """

    def __init__(
        self,
        address: str | None,
        *,
        killed_after: timedelta | None = None,
        headline_every: timedelta = timedelta(seconds=5),
    ) -> None:
        self._address = address
        self._killed_after = killed_after
        self._headline_every = headline_every
        self._unsaid: dict[str, str] = {}
        self._status = ""
        self._is_heard = True

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the notifier for what the service manager put into our environment."""
        return cls(environment.get("NOTIFY_SOCKET") or None, killed_after=_killed_after(environment))

    @asynccontextmanager
    async def serving(self, headline: Headline, stop: asyncio.Event) -> AsyncIterator[None]:
        """Say that we serve, and from then on that the event loop turns and how things stand; once `stop` is set, that we end."""
        if self._address is None:
            yield
            return
        self.ready()
        speaking = [asyncio.create_task(work) for work in (self.run(headline), self._take_leave(stop))]
        try:
            yield
        finally:
            for task in speaking:
                task.cancel()
            await asyncio.wait(speaking)

    def ready(self) -> None:
        """Say that the start is over, and that we serve."""
        self._say(READY="1")

    def status(self, text: str) -> None:
        """Say in a sentence how things stand, if that has changed."""
        text = textwrap.shorten(text, MOST_CHARACTERS)
        if text != self._status:
            self._status = text
            self._say(STATUS=text)
        elif self._unsaid:
            self._say()

    def stopping(self) -> None:
        """Say that we end, because we were asked to."""
        self._say(STOPPING="1")

    async def run(self, headline: Headline) -> None:
        """Show for ever that the event loop turns, and how things stand; a headline that fails costs only itself."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell(headline))
            if self._killed_after is not None:
                group.create_task(self._show_life(self._killed_after / 2))

    async def _tell(self, headline: Headline) -> None:
        error = await run_in_own_task(self._keep_telling(headline))
        log.error("the service manager is told no more how things stand: the headline failed", exc_info=error)

    async def _keep_telling(self, headline: Headline) -> None:
        while True:
            said = headline()
            self.status(said if isinstance(said, str) else await said)
            await asyncio.sleep(self._headline_every.total_seconds())

    async def _show_life(self, every: timedelta) -> None:
        while True:
            self._say(WATCHDOG="1")
            await asyncio.sleep(every.total_seconds())

    async def _take_leave(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.stopping()

    def _say(self, **news: str) -> None:
        if self._address is None:
            return
        self._unsaid |= news
        message = "\n".join(f"{name}={said}" for name, said in self._unsaid.items())
        try:
            _send(self._address, message)
        except OSError as error:
            if self._is_heard:
                log.warning("the service manager at %s does not hear: %s", self._address, error)
            self._is_heard = False
        else:
            if not self._is_heard:
                log.info("the service manager at %s hears again", self._address)
            self._is_heard = True
            self._unsaid.clear()


def _send(address: str, message: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
        speaking.settimeout(0)  # a reader whose queue is full is not waited for
        speaking.connect("\0" + address[1:] if address.startswith("@") else address)  # @: a name that is no file
        speaking.send(message.encode(errors="replace"))


def _killed_after(environment: Mapping[str, str]) -> timedelta | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", str(os.getpid()))  # a process that was started by the watched one inherits both
    if not microseconds.isdecimal() or int(microseconds) == 0 or watched != str(os.getpid()):
        return None
    return timedelta(microseconds=int(microseconds))
