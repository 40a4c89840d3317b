"""Notify systemd, or another service manager that sets NOTIFY_SOCKET: ready, alive, status, stopping."""

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
"""Returns the state of the gateway in a sentence."""

MAX_STATUS_CHARACTERS = 500
"""systemd drops a whole message of over 4096 bytes, and a person reads no more than this."""


class Notifier:
    """Sends notifications to the service manager; does nothing without one, and never blocks.

    A notification that cannot be sent is repeated together with the next one.

    Args:
        address: its socket: a path, or a name that begins with `@`; `None` without a service manager.
        killed_after: its watchdog restarts a process that sends no sign of life for so long; `None`: no watchdog.
        headline_every: how often the headline is sent.
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
        self._unsent: dict[str, str] = {}
        self._status = ""
        self._is_connected = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the notifier for the environment that the service manager has set."""
        return cls(environment.get("NOTIFY_SOCKET") or None, killed_after=_killed_after(environment))

    @asynccontextmanager
    async def serving(self, headline: Headline, stop: asyncio.Event) -> AsyncIterator[None]:
        """Send that the gateway is ready, then signs of life and its status, and, once `stop` is set, that it stops."""
        if self._address is None:
            yield
            return
        self.ready()
        sending = [asyncio.create_task(work) for work in (self.run(headline), self._notify_stop(stop))]
        try:
            yield
        finally:
            for task in sending:
                task.cancel()
            await asyncio.wait(sending)

    def ready(self) -> None:
        """Send that the start is complete."""
        self._send(READY="1")

    def status(self, text: str) -> None:
        """Send the status, a sentence, if it has changed."""
        text = textwrap.shorten(text, MAX_STATUS_CHARACTERS)
        if text != self._status:
            self._status = text
            self._send(STATUS=text)
        elif self._unsent:
            self._send()

    def stopping(self) -> None:
        """Send that the gateway stops on request."""
        self._send(STOPPING="1")

    async def run(self, headline: Headline) -> None:
        """Send signs of life and the status until cancelled; the signs of life go on when the headline fails."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_headlines(headline))
            if self._killed_after is not None:
                group.create_task(self._send_signs_of_life(self._killed_after / 4))

    async def _send_headlines(self, headline: Headline) -> None:
        error = await run_in_own_task(self._keep_sending(headline))
        log.error("the service manager gets no more status: the headline failed", exc_info=error)

    async def _keep_sending(self, headline: Headline) -> None:
        while True:
            text = headline()
            self.status(text if isinstance(text, str) else await text)
            await asyncio.sleep(self._headline_every.total_seconds())

    async def _send_signs_of_life(self, every: timedelta) -> None:
        while True:
            self._send(WATCHDOG="1")
            await asyncio.sleep(every.total_seconds())

    async def _notify_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.stopping()

    def _send(self, **news: str) -> None:
        if self._address is None:
            return
        self._unsent |= news
        message = "\n".join(f"{name}={value}" for name, value in self._unsent.items())
        try:
            _send_datagram(self._address, message)
        except OSError as error:
            if self._is_connected:
                log.warning("the service manager at %s cannot be notified: %s", self._address, error)
            self._is_connected = False
        else:
            if not self._is_connected:
                log.info("the service manager at %s can be notified again", self._address)
            self._is_connected = True
            self._unsent.clear()


def _send_datagram(address: str, message: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)  # does not wait for a reader whose queue is full
        sender.connect("\0" + address[1:] if address.startswith("@") else address)  # @: an abstract socket name, no file
        sender.send(message.encode(errors="replace"))


def _killed_after(environment: Mapping[str, str]) -> timedelta | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", str(os.getpid()))  # a child process of the watched one inherits both
    if not microseconds.isdecimal() or int(microseconds) == 0 or watched != str(os.getpid()):
        return None
    return timedelta(microseconds=int(microseconds))
