"""Log in to a device: wait for its prompts and send user and password. Secrets never appear in messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from adapters.serial.framing.notation import escaped_text
from adapters.serial.port.open_errors import lost
from adapters.serial.profile.conversation_settings import ConversationSettings, LoginStep
from gateway.adapter import Cause, DeviceUnreachable, seconds_text

LOGIN_PROMPT_SECONDS = 1.0
"""Time limit for the log-in prompt; a device may have sent it before the port was opened, so it is then woken up."""

ACCEPTED_SECONDS = 0.5
"""A device without a command prompt has accepted the log-in if it does not ask again within this time."""

PIECES_SECONDS = 0.2
"""Time within which the rest of a line comes that contains the log-in prompt."""

BEHIND_PROMPT_BYTES = 16
"""Number of bytes that may follow a prompt on its line: blanks, and sequences that colour it."""

_LINE_ENDS = frozenset(b"\r\n")

MAX_BUFFERED_BYTES = 4096
"""Number of received bytes that are kept during the log-in."""


class LoginPort(Protocol):
    """The part of an open port that a log-in uses."""

    async def write(self, data: bytes) -> None:
        """Write the data."""


class Login:
    """Log-in of one device, repeated whenever the device asks for it, for example after its restart.

    Args:
        port: the open port.
        settings: conversation settings with at least one log-in step.
    """

    def __init__(self, port: LoginPort, settings: ConversationSettings) -> None:
        self._is_accepted = False
        self._port = port
        self._settings = settings
        self._seconds = settings.login_seconds
        self._first_prompt = settings.login[0].expect
        self._is_running = False
        self._loss_reason: str | None = None
        self._received = bytearray()
        self._changed = asyncio.Event()

    @property
    def is_done(self) -> bool:
        """Whether the device is logged in; not any more when it waits behind its log-in prompt."""
        return self._is_accepted and not self._waits_for_login

    def consume(self, data: bytes) -> bool:
        """Return whether the received bytes belong to a running log-in."""
        self._received += data
        del self._received[:-MAX_BUFFERED_BYTES]
        if self._is_running:
            self._changed.set()
        return self._is_running

    def port_lost(self, why: str) -> None:
        """Fail the running log-in: the port is lost."""
        self._loss_reason = why
        self._changed.set()

    async def run(self) -> None:
        """Perform all steps, until the device is ready for commands.

        Raises:
            DeviceUnreachable: an expected prompt does not come, or the device rejects the log-in.
            BusUnavailable: the port is lost.
        """
        self._is_running, self._is_accepted = True, False
        try:
            if await self._is_login_wanted():
                for step in self._settings.login:
                    await self._answer_step(step)
                await self._check_accepted()
            self._is_accepted = True
            self._received.clear()  # after a failure it is kept: the device may wait behind a prompt that it does not repeat
        finally:
            self._is_running = False

    async def _is_login_wanted(self) -> bool:
        """Return whether the device wants a log-in; false if it is ready for commands already."""

        def is_decided() -> bool:
            return self._waits_for_login or self._is_prompted

        if not await self._wait_for(is_decided, min(LOGIN_PROMPT_SECONDS, self._seconds)):
            await self._port.write(self._settings.wake)
            await self._wait_for(is_decided, self._seconds)
        return self._waits_for_login or not self._is_prompted

    async def _answer_step(self, step: LoginStep) -> None:
        if not await self._wait_for(lambda: step.expect in self._received, self._seconds):
            raise DeviceUnreachable(
                f"log-in: `{escaped_text(step.expect)}` did not come within {seconds_text(self._seconds)}", cause=Cause.NO_ANSWER
            )
        self._received.clear()
        if step.is_password_missing or step.is_user_missing:
            missing = "a password: name a `password_file`" if step.is_password_missing else "a user: name the `user`"
            raise DeviceUnreachable(f"log-in: it needs {missing} for it in `devices` of this entry", cause=Cause.LOGIN_REFUSED)
        await self._port.write(_secret_bytes(step))

    async def _check_accepted(self) -> None:
        """Wait for the command prompt or, for a device without one, make sure that it does not ask again."""
        await self._wait_for(
            lambda: self._is_prompted or self._is_refused, self._seconds if self._settings.prompt else ACCEPTED_SECONDS
        )
        if self._waits_for_login:  # or `Last login: ` came in two pieces
            await self._wait_for(lambda: not self._is_refused, PIECES_SECONDS)
            await self._wait_for(lambda: self._is_prompted or self._is_refused, self._seconds if self._settings.prompt else 0.0)
        if self._is_refused:
            raise DeviceUnreachable(
                "log-in: the device rejects it: check the user and the password in the config", cause=Cause.LOGIN_REFUSED
            )
        if self._settings.prompt and not self._is_prompted:
            raise DeviceUnreachable(
                f"log-in: the prompt `{escaped_text(self._settings.prompt)}` did not come: is the password right?",
                cause=Cause.LOGIN_REFUSED,
            )

    @property
    def _is_prompted(self) -> bool:
        return bool(self._settings.prompt) and self._received.endswith(self._settings.prompt)

    @property
    def _waits_for_login(self) -> bool:
        """Whether the log-in prompt is the last that the device has sent: the same text within data or a greeting is none."""
        _, prompt, behind = self._received.rpartition(self._first_prompt)
        is_last = bool(prompt) and len(behind) <= BEHIND_PROMPT_BYTES and not _LINE_ENDS.intersection(behind)
        return is_last and not self._is_prompted

    @property
    def _is_refused(self) -> bool:
        """Whether the device has rejected the log-in or asks for it again."""
        return self._waits_for_login or (bool(self._settings.login_refused) and self._settings.login_refused in self._received)

    async def _wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition is true, at most for this time; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    if self._loss_reason is not None:
                        raise lost(self._loss_reason)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def _secret_bytes(step: LoginStep) -> bytes:
    return b"".join(one.encode("latin-1" if one <= "\xff" else "utf-8") for one in step.send.get_secret_value())
