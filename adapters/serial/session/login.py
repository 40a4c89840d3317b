"""Logging in: what a device asks before it obeys, and what it is told. Nothing of it is ever shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from adapters.serial.framing.notation import escaped_text
from adapters.serial.profile.conversation_settings import LoginStep, Manner
from gateway.adapter import BusUnavailable, DeviceUnreachable

ASKED_BEFORE_SECONDS = 1.0
"""A device that has not asked by then may have done so before anybody listened."""

LET_IN_SECONDS = 0.5
"""A device without a prompt, which has not asked anew by then, lets in."""

OVERHEARD_BYTES = 4096
"""So much of what comes meanwhile is kept."""


class Outlet(Protocol):
    """Where a log-in is written to."""

    async def write(self, data: bytes) -> None:
        """Hand this to the port."""


class Login:
    """One device's log-in, which it may want again after a restart.

    Args:
        port: where to write.
        manner: with at least one step.
    """

    def __init__(self, port: Outlet, manner: Manner) -> None:
        self.is_done = False
        self._port = port
        self._manner = manner
        self._seconds = manner.login_seconds
        self._first = manner.login[0].expect
        self._is_running = False
        self._why_lost: str | None = None
        self._heard = bytearray()
        self._news = asyncio.Event()

    def takes(self, data: bytes) -> bool:
        """Say whether what came belongs to the log-in; notice a device that wants it again."""
        self._heard += data
        if self._is_running:
            del self._heard[:-OVERHEARD_BYTES]
            self._news.set()
            return True
        if self._first in self._heard:
            self.is_done = False
            del self._heard[:-OVERHEARD_BYTES]
        else:
            del self._heard[: -len(self._first)]
        return False

    def port_lost(self, why: str) -> None:
        """Take in that the port is lost."""
        self._why_lost = why
        self._news.set()

    async def run(self) -> None:
        """Answer what the device asks, until it is ready for commands.

        Raises:
            DeviceUnreachable: it does not ask, or does not let in.
            BusUnavailable: the port is lost.
        """
        self._is_running = True
        try:
            if await self._is_asked():
                for step in self._manner.login:
                    await self._tell(step)
                await self._is_let_in()
            self.is_done = True
        finally:
            self._is_running = False
            self._heard.clear()

    async def _is_asked(self) -> bool:
        """Say whether the device wants it, or is ready for commands already."""

        def has_spoken() -> bool:
            return self._first in self._heard or self._is_prompted

        if not await self._until(has_spoken, min(ASKED_BEFORE_SECONDS, self._seconds)):
            await self._port.write(self._manner.wake)
            await self._until(has_spoken, self._seconds)
        return self._first in self._heard or not self._is_prompted

    async def _tell(self, step: LoginStep) -> None:
        if not await self._until(lambda: step.expect in self._heard, self._seconds):
            raise DeviceUnreachable(f"log-in: `{escaped_text(step.expect)}` did not come within {self._seconds:g} s")
        self._heard.clear()
        await self._port.write(_secret_bytes(step))

    async def _is_let_in(self) -> None:
        """Wait for the prompt; where there is none, for not being asked again."""
        await self._until(lambda: self._is_prompted or self._is_refused, self._seconds if self._manner.prompt else LET_IN_SECONDS)
        if self._is_refused:
            raise DeviceUnreachable("log-in: the device refuses it: check the user and the password in the config")
        if self._manner.prompt and not self._is_prompted:
            raise DeviceUnreachable(
                f"log-in: the prompt `{escaped_text(self._manner.prompt)}` did not come: is the password right?"
            )

    @property
    def _is_prompted(self) -> bool:
        return bool(self._manner.prompt) and self._heard.endswith(self._manner.prompt)

    @property
    def _is_refused(self) -> bool:
        """It says so, or asks anew."""
        return self._first in self._heard or (bool(self._manner.refused) and self._manner.refused in self._heard)

    async def _until(self, claim: Callable[[], bool], seconds: float) -> bool:
        """Return whether the claim came true within this time."""
        try:
            async with asyncio.timeout(seconds):
                while not claim():
                    if self._why_lost is not None:
                        raise BusUnavailable(self._why_lost)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True


def _secret_bytes(step: LoginStep) -> bytes:
    return b"".join(one.encode("latin-1" if one <= "\xff" else "utf-8") for one in step.send.get_secret_value())
